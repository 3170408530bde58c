//! Ports of a container that are published, or not any more, after it was made.

use std::collections::BTreeMap;
use std::sync::Arc;

use dhow_errdefs::{Error, Result};
use dhow_network::model::{Port, PortBinding as Wanted, Published};

use super::{facts, ports};
use crate::core::Core;
use crate::launch::Sharing;
use crate::spec::{ContainerSpec, PortBinding};

/// `port/protocol` → bindings, as in a specification.
type Bindings = BTreeMap<String, Vec<PortBinding>>;

/// What is to be published, and what no more.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PublishChange {
    /// As `-p`.
    pub add: Bindings,
    /// What is empty in a binding, or a port without any, stands for all.
    pub remove: Bindings,
}

/// The specification with a change; each port in the form in which Docker's clients send them.
///
/// # Errors
/// `InvalidArgument` for what is no port or is published already; `NotFound` for what is not published.
pub(crate) fn changed(spec: &ContainerSpec, change: &PublishChange) -> Result<ContainerSpec> {
    let shares = !matches!(Sharing::of(&spec.host.network_mode), Sharing::Own) || spec.network_disabled;
    if shares && !change.add.is_empty() {
        let kind = if spec.host.network_mode == "host" { "host" } else { "container" };
        return Err(Error::invalid(format!("conflicting options: port publishing and the {kind} type network mode"))
            .with_hint("the container has no network of its own"));
    }
    let mut spec = spec.clone();
    for (port, gone) in normal(&change.remove)? {
        let own = spec.host.port_bindings.remove(&port).unwrap_or_default();
        let left: Vec<PortBinding> = own.iter().filter(|binding| !stands_for(&gone, binding)).cloned().collect();
        if left.len() == own.len() {
            return Err(Error::not_found(format!("port {port} is not published like that")));
        }
        if !left.is_empty() {
            spec.host.port_bindings.insert(port, left);
        }
    }
    for (port, more) in normal(&change.add)? {
        let own = spec.host.port_bindings.entry(port.clone()).or_default();
        for binding in more {
            if !binding.host_port.is_empty() && own.contains(&binding) {
                return Err(Error::conflict(format!("port {port} is published at {} already", binding.host_port)));
            }
            own.push(binding);
        }
        spec.exposed_ports.insert(port);
    }
    Ok(spec)
}

/// Checks the ports, and says each in one way.
fn normal(bindings: &Bindings) -> Result<Bindings> {
    let one =
        |(port, bindings): (&String, &Vec<PortBinding>)| Ok((port.parse::<Port>()?.to_string(), bindings.clone()));
    bindings.iter().map(one).collect()
}

fn stands_for(patterns: &[PortBinding], binding: &PortBinding) -> bool {
    // An address of IPv6 may be in brackets; behind a port may be who may come.
    let bare = |text: &str| text.split(',').next().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let fits = |pattern: &str, value: &str| pattern.is_empty() || bare(pattern) == bare(value);
    let is = |pattern: &PortBinding| {
        fits(&pattern.host_ip, &binding.host_ip) && fits(&pattern.host_port, &binding.host_port)
    };
    patterns.is_empty() || patterns.iter().any(is)
}

/// What is published now and was asked for by bindings that are gone.
fn gone(published: &[Published], remove: &Bindings) -> Result<Vec<Published>> {
    let mut all = Vec::new();
    for (port, patterns) in normal(remove)? {
        let as_binding =
            |it: &Published| PortBinding { host_ip: it.host_address.to_string(), host_port: it.host_port.to_string() };
        let of_port = published.iter().filter(|it| it.port.to_string() == port);
        all.extend(of_port.filter(|it| stands_for(&patterns, &as_binding(it))).copied());
    }
    Ok(all)
}

/// What is published and nobody asks for, and what is asked for and not published.
fn differences(published: &[Published], mut wanted: Vec<Wanted>) -> (Vec<Published>, Vec<Wanted>) {
    let is_wanted = |it: &&Published| wanted.iter().any(|binding| binding.is_met_by(it));
    let surplus = published.iter().filter(|it| !is_wanted(it)).copied().collect();
    wanted.retain(|binding| !published.iter().any(|it| binding.is_met_by(it)));
    (surplus, wanted)
}

impl Core {
    /// Publishes ports of a container that runs, and takes others back. Blocks. All of it happens, or nothing. Returns
    /// what is published then.
    pub(crate) fn republish(&self, container: &Arc<str>, change: &PublishChange) -> Result<Vec<Published>> {
        let before = self.kernel.connection(container).map(|connection| connection.published).unwrap_or_default();
        let gone = gone(&before, &change.remove)?;
        let mut wanted = Vec::new();
        for (port, bindings) in normal(&change.add)? {
            for binding in bindings {
                wanted.push(Wanted::parse(&port, &binding.host_ip, &binding.host_port)?);
            }
        }
        let again = self.kernel.connection(container).map(|connection| connection.bindings(&gone)).unwrap_or_default();
        self.kernel.publish_less(container, &gone)?;
        let connection =
            self.kernel.publish_more(container, &wanted).inspect_err(|_| self.take_back(container, &again))?;
        if let Err(error) = facts::remember(&self.run_dir(container), &connection) {
            let new = connection.published.iter().filter(|published| !before.contains(published)).copied();
            self.kernel.publish_less(container, &new.collect::<Vec<_>>())?;
            self.take_back(container, &again);
            return Err(error.context("write down what is published"));
        }
        let mut published = connection.published;
        published.sort();
        Ok(published)
    }

    /// An engine may end between what it writes down about ports and what it does. What is written down counts. Blocks. For
    /// the time before anybody else publishes ports: what the holder has for nobody is taken for what is missing here.
    pub(super) fn finish_publishing(&self, container: &str, spec: &ContainerSpec) -> Result<()> {
        let (surplus, missing) = self.unlike(container, spec)?;
        if surplus.is_empty() && missing.is_empty() {
            return Ok(());
        }
        self.kernel.publish_less(container, &surplus)?;
        self.kernel.take_back(&missing)?;
        let connection = self.kernel.publish_more(container, &missing)?;
        facts::remember(&self.run_dir(container), &connection)
    }

    /// Publishes ports that led nowhere until now. Blocks.
    pub(super) fn publish_missing(&self, container: &str, spec: &ContainerSpec) -> Result<()> {
        let (_, missing) = self.unlike(container, spec)?;
        if missing.is_empty() { Ok(()) } else { self.kernel.publish_more(container, &missing).map(drop) }
    }

    fn unlike(&self, container: &str, spec: &ContainerSpec) -> Result<(Vec<Published>, Vec<Wanted>)> {
        let published = self.kernel.connection(container).map(|connection| connection.published).unwrap_or_default();
        Ok(differences(&published, ports(spec)?))
    }

    fn take_back(&self, container: &str, again: &[Wanted]) {
        if let Err(error) = self.kernel.publish_more(container, again) {
            tracing::warn!(%error, container, "publish again what was to be published no more");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bindings(list: &[(&str, &str, &str)]) -> Bindings {
        let mut all = Bindings::new();
        for (port, ip, host) in list {
            let binding = PortBinding { host_ip: (*ip).to_owned(), host_port: (*host).to_owned() };
            all.entry((*port).to_owned()).or_default().push(binding);
        }
        all
    }

    fn spec(list: &[(&str, &str, &str)]) -> ContainerSpec {
        let mut spec = ContainerSpec::default();
        "bridge".clone_into(&mut spec.host.network_mode);
        spec.host.port_bindings = bindings(list);
        spec
    }

    fn change(add: &[(&str, &str, &str)], remove: &[(&str, &str, &str)]) -> PublishChange {
        PublishChange { add: bindings(add), remove: bindings(remove) }
    }

    #[test]
    fn what_is_left_empty_stands_for_all() {
        let own = spec(&[("80/tcp", "", "8080"), ("80/tcp", "127.0.0.1", "8081"), ("53/udp", "", "53")]);
        let left = |remove: &[(&str, &str, &str)]| {
            changed(&own, &change(&[], remove)).map(|spec| spec.host.port_bindings).map_err(|error| error.to_string())
        };
        assert_eq!(left(&[("80/tcp", "", "")]).unwrap(), bindings(&[("53/udp", "", "53")]));
        let one = [("80/tcp", "127.0.0.1", "8081"), ("53/udp", "", "53")];
        assert_eq!(left(&[("80", "", "8080")]).unwrap(), bindings(&one));
        assert_eq!(left(&[("80", "", "8080,from=10.0.0.0/8")]).unwrap(), bindings(&one));
        assert_eq!(left(&[("81/tcp", "", "")]).unwrap_err(), "port 81/tcp is not published like that");
    }

    #[test]
    fn what_an_engine_had_no_time_for_is_found() {
        let at = |address: &str, host_port| Published {
            port: "80".parse().unwrap(),
            host_address: address.parse().unwrap(),
            host_port,
        };
        let wanted = |ports: &[(&str, &str)]| {
            ports.iter().map(|(address, port)| Wanted::parse("80", address, port).unwrap()).collect::<Vec<_>>()
        };
        let published = [at("0.0.0.0", 8080), at("::", 8080), at("127.0.0.1", 8081)];
        assert_eq!(differences(&published, wanted(&[("", "8080"), ("127.0.0.1", "")])), (vec![], vec![]));
        let (surplus, missing) = differences(&published, wanted(&[("", "8080"), ("", "9000-9001")]));
        assert_eq!((surplus, missing), (published[2..].to_vec(), wanted(&[("", "9000-9001")])));
    }

    #[test]
    fn what_runs_and_was_asked_for_is_found_by_address_and_by_port() {
        let at = |address: &str| Published {
            port: "80".parse().unwrap(),
            host_address: address.parse().unwrap(),
            host_port: 8080,
        };
        let all = ["0.0.0.0", "::", "::1"].map(at);
        let taken = |binding: (&str, &str, &str)| gone(&all, &bindings(&[binding])).unwrap();
        assert_eq!(taken(("80/tcp", "", "8080")), all);
        assert_eq!(taken(("80/tcp", "0.0.0.0", "8080")), all[..1]);
        assert_eq!(taken(("80/tcp", "[::]", "")), all[1..2]);
        assert_eq!(taken(("80/tcp", "::1", "8080")), all[2..]);
        assert_eq!(taken(("80/tcp", "", "8081")), []);
    }

    #[test]
    fn more_is_added_once_and_exposed() {
        let own = spec(&[("80/tcp", "", "8080")]);
        let more = changed(&own, &change(&[("80/tcp", "", "9090"), ("81/tcp", "", "")], &[])).unwrap();
        assert_eq!(more.host.port_bindings["80/tcp"].len(), 2);
        assert!(more.exposed_ports.contains("81/tcp"));
        assert!(changed(&own, &change(&[("80/tcp", "", "8080")], &[])).is_err());
        let mut shared = own;
        "host".clone_into(&mut shared.host.network_mode);
        assert!(changed(&shared, &change(&[("80/tcp", "", "9090")], &[])).is_err());
    }
}
