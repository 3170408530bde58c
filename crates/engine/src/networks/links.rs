//! Links: other containers of the default network, under a name of one's own, with what they say about themselves.
//!
//! In networks that somebody made there are names, and links are only further ones.

use std::collections::HashMap;
use std::sync::Arc;

use dhow_errdefs::{Class, Error, Result};
use dhow_network::model::{DEFAULT, Port};

use super::membership::{is_user_defined, main_network};
use crate::container::{Container, View};
use crate::core::Core;
use crate::launch::Sharing;
use crate::spec::ContainerSpec;

/// A link: the other container, by name or id, and what it is called here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LinkText<'a> {
    pub target: &'a str,
    pub alias: &'a str,
}

impl<'a> LinkText<'a> {
    /// `container[:alias]`, or `/container:/own/alias` as `inspect` shows it.
    pub(crate) fn parse(text: &'a str) -> Result<Self> {
        let parts: Vec<&str> = text.split(':').collect();
        match parts[..] {
            [""] => Err(Error::invalid("empty string specified for links")),
            [target] => Ok(Self { target, alias: target }),
            [target, alias] => match target.strip_prefix('/') {
                Some(target) => Ok(Self { target, alias: alias.rsplit('/').next().unwrap_or(alias) }),
                // Docker's paths of names begin so, and people write them.
                None => Ok(Self { target, alias: alias.trim_start_matches('/') }),
            },
            _ => Err(Error::invalid(format!("bad format for links: {text}"))),
        }
    }
}

/// The parts of the name that a link gives: `container/alias`.
pub(crate) fn owner_and_alias(reference: &str) -> Option<(&str, &str)> {
    reference.strip_prefix('/').unwrap_or(reference).split_once('/')
}

/// Makes a container's links say whom they mean, by ids: names change.
pub(crate) fn resolve(core: &Core, spec: &mut ContainerSpec) -> Result<()> {
    if main_network(&spec.host.network_mode).is_none_or(is_user_defined) {
        return Ok(());
    }
    for text in spec.host.links.iter_mut().flatten() {
        let LinkText { target, alias } = LinkText::parse(text)?;
        let peer = meant(core, target)?;
        let alias = if alias == target { peer.view().name.clone() } else { alias.to_owned() };
        let owner = owner_of_network(core, peer)?;
        if owner.view().spec.host.network_mode == "host" {
            let text = "conflicting options: host type networking can't be used with links. This would result in undefined \
                        behavior";
            return Err(Error::invalid(text));
        }
        *text = format!("{}:{alias}", owner.id);
    }
    Ok(())
}

fn meant(core: &Core, reference: &str) -> Result<Arc<Container>> {
    core.containers().find(reference).map_err(|error| match error.class() {
        Class::NotFound => {
            error.context(format!("could not get container for {reference}")).with_class(Class::InvalidArgument)
        }
        _ => error,
    })
}

/// Who has the network for its own that a container is in: that one has the address.
fn owner_of_network(core: &Core, mut container: Arc<Container>) -> Result<Arc<Container>> {
    while let Sharing::Container(peer) = Sharing::of(&container.view().spec.host.network_mode) {
        container = meant(core, peer)?;
    }
    Ok(container)
}

/// The links that stay when one is taken away; `None` if there is none with that name.
pub(crate) fn without(spec: &ContainerSpec, alias: &str) -> Option<Vec<String>> {
    let links = of_default(spec);
    let is_it = |text: &String| LinkText::parse(text).is_ok_and(|link| link.alias == alias);
    links.iter().any(is_it).then(|| links.iter().filter(|text| !is_it(text)).cloned().collect())
}

/// The links of a container in the default network: in others, they are names and nothing more.
fn of_default(spec: &ContainerSpec) -> &[String] {
    match main_network(&spec.host.network_mode) {
        Some(network) if !is_user_defined(network) => spec.host.links.as_deref().unwrap_or_default(),
        _ => &[],
    }
}

impl Core {
    /// Whom a container means by the name it has for a link: `container/alias` is a name, too.
    pub(crate) fn linked(&self, reference: &str) -> Option<Arc<Container>> {
        let (owner, alias) = owner_and_alias(reference)?;
        let view = self.containers().find(owner).ok()?.view();
        let mut links = of_default(&view.spec).iter().filter_map(|text| LinkText::parse(text).ok());
        let link = links.find(|link| view.name == owner && link.alias == alias)?;
        self.containers().find(link.target).ok()
    }

    /// The names that containers have by the links of others, by their ids: `container/alias`, sorted.
    pub(crate) fn link_names(&self) -> HashMap<String, Vec<String>> {
        let mut names: HashMap<String, Vec<String>> = HashMap::new();
        for container in self.containers().all() {
            let view = container.view();
            let links = of_default(&view.spec).iter().filter_map(|text| LinkText::parse(text).ok());
            for link in links {
                names.entry(link.target.to_owned()).or_default().push(format!("{}/{}", view.name, link.alias));
            }
        }
        names.values_mut().for_each(|names| names.sort_unstable());
        names
    }

    /// The links of a container as `inspect` shows them: `/container:/own/alias`. What is gone is left out.
    pub(crate) fn shown_links(&self, view: &View) -> Option<Vec<String>> {
        let links = view.spec.host.links.as_ref()?;
        let shown = links.iter().filter_map(|text| {
            let LinkText { target, alias } = LinkText::parse(text).ok()?;
            let peer = self.containers().find(target).ok()?;
            Some(format!("/{}:/{}/{alias}", peer.view().name, view.name))
        });
        let shown: Vec<String> = shown.collect();
        (!shown.is_empty()).then_some(shown)
    }

    /// Those that are linked to a container, by id, with what they call it.
    pub(crate) fn links_to(&self, peer: &Container) -> Vec<(Arc<str>, String)> {
        let mut found = Vec::new();
        for container in self.containers().all() {
            let view = container.view();
            let links = of_default(&view.spec).iter().filter_map(|text| LinkText::parse(text).ok());
            let links = links.filter(|link| *link.target == *peer.id);
            found.extend(links.map(|link| (Arc::clone(&container.id), link.alias.to_owned())));
        }
        found
    }

    /// Lets those that are linked to a container find it where it is from now on. Docker renews their `/etc/hosts`, too.
    /// Blocks, but for nothing that a container does.
    pub(crate) fn renew_links(&self, links: &[(Arc<str>, String)], peer: &Container) {
        for (container, alias) in links {
            if let Err(error) = crate::start::renew_link(self, container, peer, alias) {
                tracing::warn!(id = %container, link = alias, %error, "a link is not renewed");
            }
        }
    }

    /// What a container is told about those that it is linked to.
    ///
    /// # Errors
    /// If one of them does not run.
    pub(crate) fn link_environment(&self, view: &View) -> Result<Vec<String>> {
        let told: Result<Vec<_>> = self.link_environments(view).collect();
        Ok(told?.concat())
    }

    /// The same of those that run now.
    pub(crate) fn present_link_environment(&self, view: &View) -> Vec<String> {
        self.link_environments(view).filter_map(Result::ok).flatten().collect()
    }

    fn link_environments<'a>(&'a self, view: &'a View) -> impl Iterator<Item = Result<Vec<String>>> + 'a {
        let linked = view.spec.networking.contains_key(DEFAULT);
        view.spec.host.links.iter().flatten().filter(move |_| linked).map(|text| {
            let LinkText { target, alias } = LinkText::parse(text)?;
            told(&*self.containers().find(target)?, alias, &view.name)
        })
    }
}

fn told(peer: &Container, alias: &str, own: &str) -> Result<Vec<String>> {
    let view = peer.view();
    if !view.condition.state.is_alive() {
        let text = format!("Cannot link to a non running container: /{} AS /{own}/{alias}", view.name);
        return Err(Error::conflict(text));
    }
    let attached = view.condition.attached.as_ref();
    let address = attached.and_then(|attached| attached.endpoints.get(DEFAULT)?.ipv4);
    let Some((address, _)) = address else {
        return Err(Error::conflict(format!("container {} not attached to default bridge network", peer.id)));
    };
    let ports: Vec<Port> = view.spec.exposed_ports.iter().filter_map(|port| port.parse().ok()).collect();
    Ok(variables(&address.to_string(), (alias, own), &view.spec.env, ports))
}

/// Docker's variables: `DB_PORT=tcp://10.0.0.2:5432`, `DB_PORT_5432_TCP_ADDR=…`, `DB_NAME=/own/db`, `DB_ENV_X=…`.
fn variables(address: &str, (alias, own): (&str, &str), env: &[String], mut ports: Vec<Port>) -> Vec<String> {
    let prefix = alias.replace('-', "_").to_uppercase();
    let mut variables = Vec::new();
    ports.sort_unstable();
    let place = |port: &Port| format!("{}://{address}:{}", port.protocol, port.number);
    variables.extend(ports.first().map(|port| format!("{prefix}_PORT={}", place(port))));
    for port in &ports {
        let name = format!("{prefix}_PORT_{}_{}", port.number, port.protocol.as_str().to_uppercase());
        variables.push(format!("{name}={}", place(port)));
        variables.push(format!("{name}_ADDR={address}"));
        variables.push(format!("{name}_PORT={}", port.number));
        variables.push(format!("{name}_PROTO={}", port.protocol));
    }
    variables.push(format!("{prefix}_NAME=/{own}/{alias}"));
    let own_variable = |variable: &&String| !variable.starts_with("HOME=") && !variable.starts_with("PATH=");
    variables.extend(env.iter().filter(own_variable).map(|variable| format!("{prefix}_ENV_{variable}")));
    variables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_notations() {
        let parsed = |text| LinkText::parse(text).map(|link| (link.target, link.alias));
        assert_eq!(parsed("db").unwrap(), ("db", "db"));
        assert_eq!(parsed("db:base").unwrap(), ("db", "base"));
        assert_eq!(parsed("/db:/web/base").unwrap(), ("db", "base"));
        assert_eq!(parsed("a:b:c").unwrap_err().to_string(), "bad format for links: a:b:c");
    }

    #[test]
    fn one_link_is_taken_away() {
        let mut spec = ContainerSpec::default();
        spec.host.links = Some(["1:db", "1:base"].map(str::to_owned).to_vec());
        assert_eq!(without(&spec, "db"), Some(vec!["1:base".to_owned()]));
        assert_eq!(without(&spec, "1"), None);
        spec.host.network_mode = "mine".into();
        assert_eq!(without(&spec, "db"), None, "no link of the default network");
    }

    #[test]
    fn names_of_links() {
        assert_eq!(owner_and_alias("/web/db"), Some(("web", "db")));
        assert_eq!((owner_and_alias("/web"), owner_and_alias("web")), (None, None));
    }

    #[test]
    fn variables_are_dockers() {
        let ports = ["5432/tcp", "53/udp"].map(|port| port.parse().unwrap()).to_vec();
        let env = ["PATH=/bin".to_owned(), "MODE=fast".to_owned()];
        assert_eq!(
            variables("10.0.0.2", ("my-db", "web"), &env, ports),
            [
                "MY_DB_PORT=udp://10.0.0.2:53",
                "MY_DB_PORT_53_UDP=udp://10.0.0.2:53",
                "MY_DB_PORT_53_UDP_ADDR=10.0.0.2",
                "MY_DB_PORT_53_UDP_PORT=53",
                "MY_DB_PORT_53_UDP_PROTO=udp",
                "MY_DB_PORT_5432_TCP=tcp://10.0.0.2:5432",
                "MY_DB_PORT_5432_TCP_ADDR=10.0.0.2",
                "MY_DB_PORT_5432_TCP_PORT=5432",
                "MY_DB_PORT_5432_TCP_PROTO=tcp",
                "MY_DB_NAME=/web/my-db",
                "MY_DB_ENV_MODE=fast",
            ]
        );
    }
}
