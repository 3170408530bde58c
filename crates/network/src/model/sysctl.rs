//! Settings of the kernel for one link of a container.

use dhow_errdefs::{Error, Result};
use serde::{Deserialize, Serialize};

/// Stands for the link's name, which is not known before it is made. Docker's client makes small letters of it.
const LINK: &str = "IFNAME";

/// A setting of the kernel for one link (Documentation/networking/ip-sysctl.rst).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkSysctl {
    /// The family, and the folder of its settings.
    folder: String,
    name: String,
    pub(crate) value: String,
}

impl LinkSysctl {
    /// Settings as Docker's option has them: `net.FAMILY.FOLDER.IFNAME.NAME=VALUE`, separated by commas.
    ///
    /// # Errors
    /// `InvalidArgument` with the first one that is none of a link.
    pub(crate) fn list(text: &str) -> Result<Vec<Self>> {
        text.split(',').filter(|part| !part.is_empty()).map(Self::parse).collect()
    }

    fn parse(text: &str) -> Result<Self> {
        let wrong = || {
            Error::invalid(format!("invalid sysctl of an interface: {text:?}"))
                .with_hint(format!("it is written net.X.Y.{LINK}.Z=VALUE, as in net.ipv4.conf.{LINK}.log_martians=1"))
        };
        let (key, value) = text.split_once('=').ok_or_else(wrong)?;
        let plain = |part: &str| !part.is_empty() && part.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'_');
        match key.trim().split('.').collect::<Vec<_>>()[..] {
            ["net", family, folder, link, name]
                if link.eq_ignore_ascii_case(LINK) && [family, folder, name].into_iter().all(plain) =>
            {
                Ok(Self { folder: format!("{family}/{folder}"), name: name.to_owned(), value: value.trim().to_owned() })
            }
            _ => Err(wrong()),
        }
    }

    /// Below `/proc/sys/net`.
    pub(crate) fn path(&self, link: &str) -> String {
        format!("{}/{link}/{}", self.folder, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_those_of_the_link_and_no_others() {
        let list = LinkSysctl::list("net.ipv4.conf.IFNAME.log_martians=1,net.ipv6.conf.ifname.accept_ra=2").unwrap();
        let shown: Vec<_> = list.iter().map(|sysctl| (sysctl.path("eth0"), sysctl.value.as_str())).collect();
        let expected = [("ipv4/conf/eth0/log_martians".to_owned(), "1"), ("ipv6/conf/eth0/accept_ra".to_owned(), "2")];
        assert_eq!(shown, expected);
        for wrong in [
            "net.ipv4.conf.IFNAME.log_martians",
            "net.ipv4.conf.all.forwarding=1",
            "net.ipv4.ip_forward=1",
            "kernel.a.b.IFNAME.c=1",
            "net.ipv4.conf.IFNAME.../x=1",
            "net.ipv4.conf/../x.IFNAME.y=1",
            "net.ipv4..IFNAME.y=1",
        ] {
            let error = LinkSysctl::list(wrong).unwrap_err();
            assert_eq!(error.to_string(), format!("invalid sysctl of an interface: {wrong:?}"));
        }
        assert_eq!(LinkSysctl::list("").unwrap(), []);
    }
}
