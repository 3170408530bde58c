//! `--filter` of `docker ps`.

use dhow_errdefs::{Error, Result, parse_bool};
use dhow_oci::Digest;
use jiff::Timestamp;
use regex_lite::Regex;

use crate::container::{Container, View};
use crate::core::Core;
use crate::labels::has_label;
use crate::spec::ContainerSpec;
use crate::{Filters, Status};

/// Filters, read and checked. All keys have to match, of each key any value (of `label` all).
#[derive(Debug, Default)]
pub(super) struct Filter {
    ids: Option<Vec<Regex>>,
    names: Option<Vec<Regex>>,
    labels: Vec<String>,
    statuses: Vec<Status>,
    codes: Vec<i32>,
    ancestors: Option<Vec<Digest>>,
    volumes: Vec<String>,
    networks: Vec<String>,
    published: Vec<Ports>,
    exposed: Vec<Ports>,
    health: Vec<String>,
    before: Option<Timestamp>,
    since: Option<Timestamp>,
    /// Nothing matches: only tasks of a cluster were asked for.
    tasks_only: bool,
}

impl Filter {
    pub(super) fn new(filters: &Filters, core: &Core) -> Result<Self> {
        let mut filter = Self::default();
        for (key, values) in filters {
            for value in values {
                filter.add(key, value, core)?;
            }
        }
        Ok(filter)
    }

    fn add(&mut self, key: &str, value: &str, core: &Core) -> Result<()> {
        let invalid = || Error::invalid(format!("invalid filter '{key}={value}'"));
        let created = |reference: &str| core.containers().find(reference).map(|container| container.created);
        match key {
            // An expression that is none matches nothing.
            "id" => self.ids.get_or_insert_default().extend(Regex::new(value).ok()),
            "name" => self.names.get_or_insert_default().extend(Regex::new(value).ok()),
            "label" => self.labels.push(value.to_owned()),
            "status" => self.statuses.push(Status::from_name(value).ok_or_else(invalid)?),
            "exited" => self.codes.push(value.parse().map_err(|_| invalid())?),
            "ancestor" => {
                let known = self.ancestors.get_or_insert_default();
                // An image that is not there has no containers.
                known.extend(core.images.resolve(value).ok().map(|image| image.id));
            }
            "volume" => self.volumes.push(value.to_owned()),
            // By name or id.
            "network" => self.networks.push(match core.networks.find(value) {
                Ok(network) => network.spec.name.clone(),
                Err(_) => value.to_owned(),
            }),
            "publish" => self.published.push(Ports::parse(key, value)?),
            "expose" => self.exposed.push(Ports::parse(key, value)?),
            // Of Windows; here all are alike.
            "isolation" => {}
            "health" if ["none", "starting", "healthy", "unhealthy"].contains(&value) => {
                self.health.push(value.to_owned());
            }
            "health" => return Err(Error::invalid(format!("Unrecognised filter value for health: {value}"))),
            "before" => self.before = Some(self.before.map_or(created(value)?, |time| time)),
            "since" => self.since = Some(self.since.map_or(created(value)?, |time| time)),
            "is-task" => {
                let wrong = || Error::invalid(format!("invalid filter 'is-task=[{value}]'"));
                self.tasks_only |= parse_bool(value).ok_or_else(wrong)?;
            }
            _ => return Err(Error::invalid(format!("invalid filter '{key}'"))),
        }
        Ok(())
    }

    /// The filter asks for containers that do not run.
    pub(super) fn wants_stopped(&self) -> bool {
        !self.statuses.is_empty()
    }

    pub(super) fn matches(&self, container: &Container, view: &View) -> bool {
        let state = view.state();
        let has_ended = !state.is_running() && state.started_at.is_some();
        let any =
            |list: &[String], test: &dyn Fn(&str) -> bool| list.is_empty() || list.iter().any(|value| test(value));
        !self.tasks_only
            && matches(self.ids.as_deref(), &[&container.id])
            && matches(self.names.as_deref(), &[&view.name, &format!("/{}", view.name)])
            && self.labels.iter().all(|value| has_label(&view.spec.labels, value))
            && (self.statuses.is_empty() || self.statuses.contains(&state.status))
            && (self.codes.is_empty() || (has_ended && self.codes.contains(&state.exit_code)))
            && self.ancestors.as_ref().is_none_or(|known| container.image.is_some_and(|image| known.contains(&image)))
            && any(&self.volumes, &|value| {
                view.points.iter().any(|point| {
                    point.name.as_deref() == Some(value) || point.destination == value || point.source == value
                })
            })
            && any(&self.networks, &|value| view.spec.networking.contains_key(value))
            && self.has_port(&view.spec)
            && any(&self.health, &|value| state.health.as_ref().map_or("none", |it| it.status.as_str()) == value)
            && self.before.is_none_or(|time| container.created < time)
            && self.since.is_none_or(|time| container.created > time)
    }
}

/// Whether one of the expressions, if there are any, is found in one of the texts.
fn matches(patterns: Option<&[Regex]>, texts: &[&str]) -> bool {
    patterns.is_none_or(|patterns| patterns.iter().any(|pattern| texts.iter().any(|text| pattern.is_match(text))))
}

/// `80`, `80/tcp`, `80-90/tcp`.
#[derive(Debug, PartialEq, Eq)]
struct Ports {
    first: u16,
    last: u16,
    protocol: String,
}

impl Ports {
    fn parse(key: &str, value: &str) -> Result<Self> {
        if value.contains(':') {
            return Err(Error::invalid(format!("filter for '{key}' should not contain ':': {value}")));
        }
        let (numbers, protocol) = value.split_once('/').unwrap_or((value, "tcp"));
        let (first, last) = numbers.split_once('-').unwrap_or((numbers, numbers));
        match (first.parse(), last.parse()) {
            (Ok(first), Ok(last)) if first <= last => Ok(Self { first, last, protocol: protocol.to_lowercase() }),
            _ => Err(Error::invalid(format!("error while looking up for {key} {value}: invalid port"))),
        }
    }

    fn has(&self, number: &str, protocol: &str) -> bool {
        number.parse().is_ok_and(|number| (self.first..=self.last).contains(&number)) && self.protocol == protocol
    }
}

impl Filter {
    /// Whether one of the ports that were asked for, if there are any, is one of the container's.
    fn has_port(&self, spec: &ContainerSpec) -> bool {
        if self.published.is_empty() && self.exposed.is_empty() {
            return true;
        }
        let split = |port: &str| {
            let (number, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
            (number.to_owned(), protocol.to_owned())
        };
        let bindings = &spec.host.port_bindings;
        let mut exposed = spec.exposed_ports.iter().chain(bindings.keys()).map(|port| split(port));
        let mut published = bindings.iter().flat_map(|(port, bindings)| {
            let (_, protocol) = split(port);
            bindings.iter().map(move |binding| {
                (binding.host_port.split(',').next().unwrap_or_default().to_owned(), protocol.clone())
            })
        });
        exposed.any(|(number, protocol)| self.exposed.iter().any(|ports| ports.has(&number, &protocol)))
            || published.any(|(number, protocol)| self.published.iter().any(|ports| ports.has(&number, &protocol)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::PortBinding;

    #[test]
    fn names_are_found_by_expression() {
        let found = |pattern: &str| matches(Some(&[Regex::new(pattern).unwrap()]), &["web1", "/web1"]);
        assert!(found("eb") && found("^web") && found("1$") && found("^/web1$") && found("w.b[0-9]+") && found("a|w"));
        assert!(!found("^eb") && !found("web$"));
        assert!(matches(None, &["x"]) && !matches(Some(&[]), &["x"]));
    }

    fn has_port(key: &str, value: &str) -> bool {
        let mut spec = ContainerSpec::default();
        spec.exposed_ports.insert("80/tcp".to_owned());
        let binding = PortBinding { host_ip: String::new(), host_port: "8080".to_owned() };
        spec.host.port_bindings.insert("53/udp".to_owned(), vec![binding]);
        let ports = vec![Ports::parse(key, value).unwrap()];
        let filter = match key {
            "expose" => Filter { exposed: ports, ..Filter::default() },
            _ => Filter { published: ports, ..Filter::default() },
        };
        filter.has_port(&spec)
    }

    #[test]
    fn ports_match_by_range_and_protocol() {
        assert!(has_port("expose", "80") && has_port("expose", "70-90/tcp") && has_port("expose", "53/udp"));
        assert!(!has_port("expose", "80/udp") && !has_port("expose", "8080/udp"));
        assert!(has_port("publish", "8080/udp") && !has_port("publish", "8080") && !has_port("publish", "53/udp"));
        let refusal = Ports::parse("publish", "1:2").unwrap_err().to_string();
        assert_eq!(refusal, "filter for 'publish' should not contain ':': 1:2");
        assert!(Ports::parse("expose", "x").is_err() && Ports::parse("expose", "9-1").is_err());
    }
}
