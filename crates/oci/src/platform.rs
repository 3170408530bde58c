//! Operating system and processor (OCI image-spec, image-index.md, "platform").

use std::fmt;
use std::str::FromStr;

use dhow_errdefs::{Error, Result};
use serde::{Deserialize, Serialize};

/// What an image runs on, in Go's words (`linux`, `amd64`, `v8`).
///
/// ```
/// use dhow_oci::Platform;
/// let platform: Platform = "linux/aarch64".parse().unwrap();
/// assert_eq!(platform.to_string(), "linux/arm64");
/// assert!(platform.matches(&"linux/arm64/v8".parse().unwrap()));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Platform {
    /// Processor.
    pub architecture: String,
    /// Operating system.
    pub os: String,
    /// Its version (Windows).
    #[serde(rename = "os.version", skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// What it must be able to do.
    #[serde(rename = "os.features", deserialize_with = "crate::json::nullable", skip_serializing_if = "Vec::is_empty")]
    pub os_features: Vec<String>,
    /// Variant of the processor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl Platform {
    /// The platform that this program was built for.
    #[must_use]
    pub fn host() -> Self {
        Self::new("linux", std::env::consts::ARCH, None)
    }

    /// A platform from words as people, kernels or Go write them.
    #[must_use]
    pub fn new(os: &str, architecture: &str, variant: Option<&str>) -> Self {
        let (architecture, variant) = normalised(architecture, variant);
        Self { os: system(os), architecture, variant, ..Self::default() }
    }

    /// Whether an image for this platform is what somebody gets who asks for `wanted`: the same, or what such a processor
    /// runs, too (older variants; 386 on amd64). An image often does not say its variant. As containerd's `platforms.Only`
    /// decides.
    #[must_use]
    pub fn serves(&self, wanted: &Self) -> bool {
        let parts = |platform: &Self| normalised(&platform.architecture, platform.variant.as_deref());
        let ((own, variant), (wanted_name, wanted_variant)) = (parts(self), parts(wanted));
        let unsaid = if own == "arm64" { 8 } else { 1 };
        let level = |variant: &Option<String>| {
            variant.as_deref().map_or(Some(unsaid), |text| text.trim_start_matches('v').parse::<u8>().ok())
        };
        let fits = match (own.as_str(), wanted_name.as_str()) {
            ("386", "amd64") | ("arm", "arm64") => true,
            (own, wanted) if own == wanted => match (level(&variant), level(&wanted_variant)) {
                (Some(level), Some(wanted)) => level <= wanted,
                _ => variant == wanted_variant,
            },
            _ => false,
        };
        fits && self.os.eq_ignore_ascii_case(&wanted.os)
    }

    /// Whether both mean the same processor and system; versions and features of the system are not compared.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        let parts = |platform: &Self| {
            (platform.os.to_lowercase(), normalised(&platform.architecture, platform.variant.as_deref()))
        };
        parts(self) == parts(other)
    }
}

/// Words that mean a system, and those that mean a processor, where one stands alone.
const OPERATING_SYSTEMS: [&str; 4] = ["linux", "windows", "darwin", "freebsd"];
const ARCHITECTURES: [&str; 9] = ["amd64", "arm64", "arm", "386", "ppc64le", "s390x", "riscv64", "loong64", "mips64le"];

/// The system of that name, as containerd's `platforms` calls it.
fn system(name: &str) -> String {
    match name.to_lowercase() {
        macos if macos == "macos" => "darwin".to_owned(),
        name => name,
    }
}

/// Names of one processor made equal, as containerd's `platforms` does.
fn normalised(architecture: &str, variant: Option<&str>) -> (String, Option<String>) {
    let architecture = architecture.to_lowercase();
    let variant = variant.map(str::to_lowercase).filter(|variant| !variant.is_empty());
    let (name, variant) = match (architecture.as_str(), variant.as_deref()) {
        ("x86_64" | "x86-64" | "amd64", Some("v1") | None) => ("amd64", None),
        ("x86_64" | "x86-64", variant) => ("amd64", variant),
        ("aarch64" | "arm64", Some("8" | "v8" | "v8.0") | None) => ("arm64", None),
        ("aarch64", variant) => ("arm64", variant),
        ("i386" | "i486" | "i586" | "i686" | "x86", variant) => ("386", variant),
        ("armhf", _) | ("arm", Some("7") | None) => ("arm", Some("v7")),
        ("armel", _) | ("arm", Some("6")) => ("arm", Some("v6")),
        ("arm", Some("5")) => ("arm", Some("v5")),
        ("powerpc64le", variant) => ("ppc64le", variant),
        (name, variant) => (name, variant),
    };
    (name.to_owned(), variant.map(str::to_owned))
}

impl FromStr for Platform {
    type Err = Error;

    /// `os/architecture[/variant]`, or one of the two words alone: the other one is this host's then, or Linux.
    fn from_str(text: &str) -> Result<Self> {
        let parts: Vec<&str> = text.splitn(4, '/').collect();
        check(text, &parts)?;
        match parts.as_slice() {
            [os] if OPERATING_SYSTEMS.contains(&system(os).as_str()) => Ok(Self { os: system(os), ..Self::host() }),
            [architecture] if ARCHITECTURES.contains(&normalised(architecture, None).0.as_str()) => {
                Ok(Self::new("linux", architecture, None))
            }
            [_] => Err(refusal(format!("{text:?}: unknown operating system or architecture"))),
            [os, architecture, variant @ ..] if variant.len() < 2 => {
                Ok(Self::new(os, architecture, variant.first().copied()))
            }
            _ => Err(refusal(format!("{text:?}: cannot parse platform specifier"))),
        }
    }
}

/// The words of containerd's parser, which Docker passes on.
fn refusal(said: String) -> Error {
    Error::invalid(format!("{said}: invalid argument")).with_hint("a platform is written os/architecture[/variant]")
}

/// Refuses parts with characters that none has.
fn check(text: &str, parts: &[&str]) -> Result<()> {
    if text.contains('*') {
        return Err(refusal(format!("{text:?}: wildcards not yet supported")));
    }
    if !is_word(parts[0], "_-") {
        let rule = r"^([A-Za-z0-9_-]+)(?:\(([A-Za-z0-9_.-]*)\))?$";
        let said = format!("{:?} is an invalid OS component of {text:?}: OSAndVersion specifier", parts[0]);
        return Err(refusal(format!("{said} component must match {rule:?}")));
    }
    match parts[1..].iter().find(|part| !is_word(part, "_.-")) {
        None => Ok(()),
        Some(part) => Err(refusal(format!(
            "{part:?} is an invalid component of {text:?}: platform specifier component must match \"^[A-Za-z0-9_.-]+$\""
        ))),
    }
}

fn is_word(part: &str, signs: &str) -> bool {
    !part.is_empty() && part.chars().all(|it| it.is_ascii_alphanumeric() || signs.contains(it))
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.iter().try_for_each(|variant| write!(f, "/{variant}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_one_processor_are_equal() {
        for (typed, printed) in [
            ("linux/amd64", "linux/amd64"),
            ("Linux/x86_64", "linux/amd64"),
            ("linux/amd64/v1", "linux/amd64"),
            ("linux/amd64/v3", "linux/amd64/v3"),
            ("linux/aarch64/v8", "linux/arm64"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/armel", "linux/arm/v6"),
            ("linux/i686", "linux/386"),
            ("windows/riscv64", "windows/riscv64"),
        ] {
            assert_eq!(typed.parse::<Platform>().expect(typed).to_string(), printed);
        }
    }

    #[test]
    fn other_texts_are_refused() {
        assert_eq!("linux".parse::<Platform>().expect("a system"), Platform::host());
        assert_eq!("aarch64".parse::<Platform>().expect("a processor").to_string(), "linux/arm64");
        let said = |bad: &str| bad.parse::<Platform>().expect_err(bad).to_string();
        for bad in ["", "nonsense", "linux/", "/amd64", "linux/arm/v7/x", "linux/a b", "linux*", "l.x/amd64"] {
            assert!(said(bad).ends_with(": invalid argument"), "{bad}");
        }
        assert_eq!(
            said("linux/\u{fffd}"),
            "\"\u{fffd}\" is an invalid component of \"linux/\u{fffd}\": platform specifier component must match \
             \"^[A-Za-z0-9_.-]+$\": invalid argument"
        );
        assert!(said("lin ux/x").contains(r#"must match "^([A-Za-z0-9_-]+)(?:\\(([A-Za-z0-9_.-]*)\\))?$""#));
    }

    #[test]
    fn an_image_serves_those_who_ask_for_what_can_run_it() {
        let serves = |own: &str, wanted: &str| {
            let own: Platform = own.parse().expect("good");
            own.serves(&wanted.parse().expect("good"))
        };
        for (own, wanted) in [
            ("linux/amd64", "linux/amd64/v3"),
            ("linux/386", "linux/amd64"),
            ("linux/arm/v6", "linux/arm/v7"),
            ("linux/arm/v7", "linux/arm64"),
            ("linux/riscv64", "linux/riscv64"),
        ] {
            assert!(serves(own, wanted), "{own} for {wanted}");
        }
        for (own, wanted) in [
            ("linux/amd64", "linux/386"),
            ("linux/amd64/v3", "linux/amd64"),
            ("linux/arm/v7", "linux/arm/v6"),
            ("linux/arm64", "linux/amd64"),
            ("windows/amd64", "linux/amd64"),
        ] {
            assert!(!serves(own, wanted), "{own} for {wanted}");
        }
    }

    #[test]
    fn a_raw_platform_matches_the_normalised_one() {
        let raw: Platform =
            serde_json::from_str(r#"{"os":"linux","architecture":"arm64","variant":"v8","os.features":null}"#)
                .expect("good");
        assert!(raw.matches(&Platform::new("linux", "arm64", None)));
        assert!(!raw.matches(&Platform::new("linux", "amd64", None)));
    }
}
