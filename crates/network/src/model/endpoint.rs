//! A container's place in a network.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use dhow_errdefs::Result;
use serde::{Deserialize, Serialize};

use super::check::all;
use super::sysctl::LinkSysctl;
use super::{Mac, Published, option_name};

/// What an endpoint is asked to be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EndpointSpec {
    /// Further names in the network. `None`: not given (shown as null).
    pub aliases: Option<Vec<String>>,
    /// `container[:alias]`: names that only this container has for others. `None`: not given (shown as null).
    pub links: Option<Vec<String>>,
    /// The address it must have.
    pub ipv4: Option<Ipv4Addr>,
    /// The address it must have.
    pub ipv6: Option<Ipv6Addr>,
    /// Further addresses of its link.
    pub link_local: Vec<IpAddr>,
    /// The hardware address it must have.
    pub mac: Option<Mac>,
    /// Options of the driver. `None`: not given (shown as null).
    pub driver_options: Option<BTreeMap<String, String>>,
    /// Whose gateway the default route goes to: the highest wins, then the network whose name is first.
    pub gateway_priority: i64,
}

/// Addresses as they are written; empty: none.
#[derive(Debug, Clone, Copy, Default)]
pub struct AddressTexts<'a> {
    /// IPv4.
    pub ipv4: &'a str,
    /// IPv6.
    pub ipv6: &'a str,
    /// Further ones of either family.
    pub link_local: &'a [String],
    /// Hardware address.
    pub mac: &'a str,
}

impl EndpointSpec {
    /// What only this container calls others, in small letters as names are looked up, and the name that all know.
    pub(crate) fn own_names(&self) -> BTreeMap<String, String> {
        let links = self.links.iter().flatten().map(|link| link.split_once(':').unwrap_or((link, link)));
        links.map(|(target, own)| (own.to_ascii_lowercase(), target.to_owned())).collect()
    }

    /// The same with these addresses.
    ///
    /// # Errors
    /// `InvalidArgument` with all faults at once.
    pub fn with_addresses(mut self, texts: AddressTexts<'_>) -> Result<Self> {
        let mut faults = Vec::new();
        self.ipv4 = parsed(texts.ipv4, "IPv4 address:", &mut faults);
        self.ipv6 = parsed(texts.ipv6, "IPv6 address:", &mut faults);
        let link_local = texts.link_local.iter();
        self.link_local = link_local.filter_map(|text| parsed(text, "link-local IP address:", &mut faults)).collect();
        self.mac = parsed(texts.mac, "MAC address", &mut faults);
        all("invalid endpoint settings", &faults)?;
        Ok(self)
    }

    /// An option of the driver that says something.
    pub(crate) fn option(&self, name: &str) -> Option<&str> {
        self.driver_options.as_ref()?.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Settings of the kernel for its link.
    pub(crate) fn sysctls(&self) -> Result<Vec<LinkSysctl>> {
        LinkSysctl::list(self.option(option_name::INTERFACE_SYSCTLS).unwrap_or_default())
    }

    /// Whether an address was asked for.
    #[must_use]
    pub fn has_address(&self) -> bool {
        self.ipv4.is_some() || self.ipv6.is_some()
    }
}

fn parsed<T: FromStr>(text: &str, what: &str, faults: &mut Vec<String>) -> Option<T> {
    let value = text.parse().ok();
    if value.is_none() && !text.is_empty() {
        faults.push(format!("invalid {what} {text}"));
    }
    value
}

/// An endpoint that there is: what a running container has in a network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Endpoint {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Of its network.
    pub network: String,
    /// The link's name in the container; empty where there is none of its own.
    pub interface: String,
    /// Hardware address.
    pub mac: Option<Mac>,
    /// Address and prefix.
    pub ipv4: Option<(Ipv4Addr, u8)>,
    /// Address and prefix.
    pub ipv6: Option<(Ipv6Addr, u8)>,
    /// The way out.
    pub gateway4: Option<Ipv4Addr>,
    /// The way out.
    pub gateway6: Option<Ipv6Addr>,
}

/// What a running container has of all its networks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Attached {
    /// By the name of their network.
    pub endpoints: BTreeMap<String, Endpoint>,
    /// Its ports on the host, sorted.
    pub published: Vec<Published>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_all_faults_told() {
        let local = ["169.254.1.1".to_owned()];
        let good =
            AddressTexts { ipv4: "10.0.0.9", mac: "02:42:0a:00:00:09", link_local: &local, ..Default::default() };
        let spec = EndpointSpec::default().with_addresses(good).unwrap();
        assert_eq!((spec.ipv4, spec.ipv6, spec.link_local.len()), (Some(Ipv4Addr::new(10, 0, 0, 9)), None, 1));
        let bad = AddressTexts { ipv4: "fd00::1", ipv6: "10.0.0.1", mac: "x", ..Default::default() };
        assert_eq!(
            EndpointSpec::default().with_addresses(bad).unwrap_err().to_string(),
            "invalid endpoint settings:\n* invalid IPv4 address: fd00::1\n* invalid IPv6 address: 10.0.0.1\n\
             * invalid MAC address x"
        );
    }

    #[test]
    fn links_are_own_names_for_others() {
        let links = Some(["db:Base", "web"].map(str::to_owned).to_vec());
        let names = EndpointSpec { links, ..EndpointSpec::default() }.own_names();
        let expected = [("base", "db"), ("web", "web")].map(|(own, target)| (own.to_owned(), target.to_owned()));
        assert_eq!(names, BTreeMap::from(expected));
    }
}
