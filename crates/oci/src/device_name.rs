//! Names of devices that files describe (Container Device Interface, SPEC.md, "Kind" and "CDI Devices").

use std::fmt;
use std::str::FromStr;

use dhow_errdefs::{Error, Result};

/// `vendor.com/class=name`.
///
/// ```
/// use dhow_oci::DeviceName;
/// let name: DeviceName = "vendor.com/gpu=0".parse().unwrap();
/// assert_eq!((name.vendor.as_str(), name.class.as_str(), name.device.as_str()), ("vendor.com", "gpu", "0"));
/// assert!("/dev/fuse".parse::<DeviceName>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceName {
    /// Who describes it.
    pub vendor: String,
    /// What kind of device it is.
    pub class: String,
    /// Which one it is.
    pub device: String,
}

impl DeviceName {
    /// Puts a kind (`vendor.com/class`) and the name of a device together.
    ///
    /// # Errors
    /// `Invalid`, with the part that is wrong.
    pub fn new(kind: &str, device: &str) -> Result<Self> {
        let (vendor, class) = kind.split_once('/').unwrap_or(("", kind));
        part("vendor", vendor)?;
        part("class", class)?;
        let starts = device.starts_with(|first: char| first.is_ascii_alphanumeric());
        if !starts || !follows(device, "_-.:") {
            return Err(Error::invalid(format!("invalid device name {device:?}")));
        }
        Ok(Self { vendor: vendor.to_owned(), class: class.to_owned(), device: device.to_owned() })
    }
}

/// A vendor or a class: begins with a letter.
fn part(what: &str, name: &str) -> Result<()> {
    let starts = name.starts_with(|first: char| first.is_ascii_alphabetic());
    if starts && follows(name, "_-.") {
        return Ok(());
    }
    Err(Error::invalid(format!("invalid {what} {name:?}")))
}

/// Letters, digits and these signs, with no sign at the end.
fn follows(name: &str, signs: &str) -> bool {
    name.chars().all(|it| it.is_ascii_alphanumeric() || signs.contains(it))
        && name.ends_with(|last: char| last.is_ascii_alphanumeric())
}

impl FromStr for DeviceName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (kind, device) =
            text.split_once('=').ok_or_else(|| Error::invalid(format!("unqualified device {text:?}")))?;
        Self::new(kind, device)
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}={}", self.vendor, self.class, self.device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_from_paths_and_mistakes() {
        for good in ["vendor.com/class=0", "v/c=a", "vendor.com/a.b_c-d=GPU-1:2.3_4"] {
            assert_eq!(good.parse::<DeviceName>().unwrap().to_string(), good);
        }
        for bad in [
            "",
            "/dev/null",
            "/v/c=x",
            "v=x",
            "v/c",
            "v/c=",
            "v/=x",
            "1v/c=x",
            "v./c=x",
            "v/c/d=x",
            "v/c-=x",
            "v/c=-x",
            "v/c=x.",
            "v/c=x=y",
            "v/c=ä",
        ] {
            assert!(bad.parse::<DeviceName>().is_err(), "{bad}");
        }
    }
}
