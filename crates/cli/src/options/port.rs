//! `-p` and `--expose`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use dhow_api::container::{Empty, PortBinding, PortMap, Set};
use dhow_errdefs::Result;

use super::wrong;

/// What all `-p` and `--expose` say together.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Ports {
    pub(super) exposed: Set,
    pub(super) bindings: PortMap,
}

impl Ports {
    /// Adds a value of `-p`: `[[address:][host]:]container[/protocol]`, with ranges of equal length, and behind it
    /// `,from=BLOCK` for each block of addresses that may come. Engines that do not know that refuse it: it is sent as part
    /// of the port.
    pub(super) fn publish(&mut self, text: &str) -> Result<()> {
        let (text, from) = text.split_at(text.find(FROM).unwrap_or(text.len()));
        check_sources(from)?;
        let long = text.contains('=').then(|| short(text)).transpose()?;
        let text = long.as_deref().unwrap_or(text);
        let (address, host, container) = split(text);
        let (container, protocol) = container.split_once('/').unwrap_or((container, "tcp"));
        if container.is_empty() {
            return Err(wrong(format!("no port specified: {text}<empty>")));
        }
        let ports = range(container).ok_or_else(|| wrong(format!("invalid containerPort: {container}")))?;
        let published = match host {
            "" => None,
            host => Some(range(host).ok_or_else(|| wrong(format!("invalid hostPort: {host}")))?),
        };
        if !address.is_empty() && address.parse::<IpAddr>().is_err() {
            return Err(wrong(format!("invalid IP address: {address}")));
        }
        let protocol = check_protocol(protocol)?;
        let one_port = ports.0 == ports.1;
        if let Some(published) = published
            && !one_port
            && published.1 - published.0 != ports.1 - ports.0
        {
            return Err(wrong(format!(
                "invalid ranges specified for container and host Ports: {container} and {host}"
            )));
        }
        for (offset, port) in (ports.0..=ports.1).enumerate() {
            let mut host_port = match published {
                None => String::new(),
                Some(_) if one_port => host.to_owned(),
                Some((first, _)) => (usize::from(first) + offset).to_string(),
            };
            host_port.push_str(from);
            let binding = PortBinding { host_ip: address.to_owned(), host_port };
            let key = format!("{port}/{protocol}");
            self.exposed.insert(key.clone(), Empty {});
            self.bindings.entry(key).or_default().get_or_insert_default().push(binding);
        }
        Ok(())
    }

    /// Adds a value of `--expose`: `port[-port][/protocol]`.
    pub(super) fn expose(&mut self, text: &str) -> Result<()> {
        if text.contains(':') {
            return Err(wrong(format!("invalid port format for --expose: {text}")));
        }
        let (port, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let (first, last) = range(port)
            .ok_or_else(|| wrong(format!("invalid range format for --expose: {text}, error: {}", no_range(port))))?;
        let protocol = protocol.to_lowercase();
        self.exposed.extend((first..=last).map(|port| (format!("{port}/{protocol}"), Empty {})));
        Ok(())
    }
}

/// `published=8080,target=80,protocol=tcp` in the other notation; what else is said is left out, as Docker does.
fn short(text: &str) -> Result<String> {
    let (mut host, mut container, mut protocol) = ("", "", "tcp");
    for field in text.split(',') {
        match field.split_once('=') {
            Some(("published", value)) => host = value,
            Some(("target", value)) => container = value,
            Some(("protocol", value)) => protocol = value,
            // Left out, it would open the port to everybody.
            Some(("from", _)) => return Err(wrong(format!("from= has to stand at the end: {text}"))),
            Some((key, _)) if !key.is_empty() => {}
            _ => return Err(wrong(format!("invalid publish opts format (should be name=value but got '{field}')"))),
        }
    }
    // A value with `=` in it would be taken for this notation again.
    Ok(format!("{host}:{container}/{protocol}").replace('=', ""))
}

/// Go's words for what is no range of ports.
fn no_range(text: &str) -> String {
    if text.is_empty() {
        return "empty string specified for ports".to_owned();
    }
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let bad = [first, last].into_iter().find(|port| range(port).is_none());
    bad.map_or_else(
        || format!("invalid range specified for port: {text}"),
        |port| {
            let number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
            let why = if number { "value out of range" } else { "invalid syntax" };
            format!("strconv.ParseUint: parsing {port:?}: {why}")
        },
    )
}

/// What is before each block of those who may come.
const FROM: &str = ",from=";

fn check_sources(text: &str) -> Result<()> {
    for block in text.split(FROM).skip(1) {
        let (address, prefix) = block.split_once('/').unwrap_or((block, ""));
        let longest = match address.parse() {
            Ok(IpAddr::V4(_)) => 32,
            Ok(IpAddr::V6(_)) => 128,
            Err(_) => return Err(wrong(format!("invalid source: {block} (expected a block such as 10.0.0.0/8)"))),
        };
        if !prefix.parse::<u8>().is_ok_and(|prefix| prefix <= longest) {
            return Err(wrong(format!("invalid source: {block} (expected a block such as 10.0.0.0/8)")));
        }
    }
    Ok(())
}

/// Address, host port and container port; the address may be in brackets.
fn split(text: &str) -> (&str, &str, &str) {
    let Some((before, container)) = text.rsplit_once(':') else { return ("", "", text) };
    match before.rsplit_once(':') {
        Some((address, host)) if !host.contains(']') => {
            (address.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(address), host, container)
        }
        _ => ("", before, container),
    }
}

fn range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let port = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<u16>().ok())?;
    let (first, last) = (port(first)?, port(last)?);
    (first <= last).then_some((first, last))
}

fn check_protocol(protocol: &str) -> Result<String> {
    let lower = protocol.to_lowercase();
    match lower.as_str() {
        "tcp" | "udp" | "sctp" => Ok(lower),
        _ => Err(wrong(format!("invalid proto: {protocol}"))),
    }
}

/// What several values of `-p` publish.
pub(crate) fn published<'a>(texts: impl Iterator<Item = &'a str>) -> Result<PortMap> {
    let mut ports = Ports::default();
    for text in texts {
        ports.publish(text)?;
    }
    Ok(ports.bindings)
}

/// Whether it is a value of `-p`.
pub(crate) fn check_published(text: &str) -> std::result::Result<(), String> {
    Ports::default().publish(text).map_err(|error| error.to_string())
}

/// Ports in the order of `docker port`: by number, then by protocol.
pub(crate) fn in_order(ports: &PortMap) -> BTreeMap<(u16, &str), &[PortBinding]> {
    let parsed = ports.iter().filter_map(|(key, bindings)| {
        let (port, protocol) = key.split_once('/')?;
        Some(((port.parse().ok()?, protocol), bindings.as_deref()?))
    });
    parsed.collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn published(text: &str) -> Vec<String> {
        let mut ports = Ports::default();
        ports.publish(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let lines = ports.bindings.iter().flat_map(|(port, bindings)| {
            bindings.iter().flatten().map(move |to| format!("{port}={}:{}", to.host_ip, to.host_port))
        });
        lines.collect()
    }

    fn refused(text: &str) -> String {
        Ports::default().publish(text).unwrap_err().to_string()
    }

    #[test]
    fn every_form() {
        assert_eq!(published("8080:80,from=10.0.0.0/8"), ["80/tcp=:8080,from=10.0.0.0/8"]);
        assert_eq!(published("target=80,from=10.0.0.0/8,from=fd00::/8"), ["80/tcp=:,from=10.0.0.0/8,from=fd00::/8"]);
        assert_eq!(published("80"), ["80/tcp=:"]);
        assert_eq!(published("8080:80/udp"), ["80/udp=:8080"]);
        assert_eq!(published("127.0.0.1:8080:80"), ["80/tcp=127.0.0.1:8080"]);
        assert_eq!(published("127.0.0.1::80"), ["80/tcp=127.0.0.1:"]);
        assert_eq!(published("[::1]:8080:80"), ["80/tcp=::1:8080"]);
        assert_eq!(published("8000-8001:80-81"), ["80/tcp=:8000", "81/tcp=:8001"]);
        assert_eq!(published("8000-8010:80"), ["80/tcp=:8000-8010"]);
        assert_eq!(published("published=8080,target=80,protocol=udp,mode=host"), ["80/udp=:8080"]);
    }

    #[test]
    fn errors_in_dockers_words() {
        assert_eq!(refused("x"), "invalid containerPort: x");
        for open_to_all in
            ["from=10.0.0.0/8,target=80", "80,from=10.0.0.0/8,protocol=udp", "80,from=", "80,from=::/129"]
        {
            assert!(refused(open_to_all).contains("from=") || refused(open_to_all).starts_with("invalid source"));
        }
        assert_eq!(refused("x:80"), "invalid hostPort: x");
        assert_eq!(refused("1:2:3:4"), "invalid IP address: 1:2");
        assert_eq!(refused("80/foo"), "invalid proto: foo");
        assert_eq!(refused("1-2:3-5"), "invalid ranges specified for container and host Ports: 3-5 and 1-2");
        assert_eq!(refused("80:"), "no port specified: 80:<empty>");
        assert!(refused("70000").starts_with("invalid containerPort"));
    }

    #[test]
    fn exposed_ranges() {
        let mut ports = Ports::default();
        ports.expose("80-82/udp").unwrap();
        assert_eq!(ports.exposed.len(), 3);
        let refused = |text| Ports::default().expose(text).unwrap_err().to_string();
        assert!(refused("90-80").ends_with("error: invalid range specified for port: 90-80"));
        assert!(refused("99999").ends_with("strconv.ParseUint: parsing \"99999\": value out of range"));
        assert!(refused("").ends_with("error: empty string specified for ports"));
        assert!(ports.bindings.is_empty() && ports.expose("1:2").is_err() && ports.expose("x").is_err());
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in "[0-9:./\\-\\[\\]a-z]{0,20}") {
            drop(Ports::default().publish(&text));
            drop(Ports::default().expose(&text));
        }
    }
}
