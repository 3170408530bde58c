//! `--filter` of `docker ps`.

use dhow_errdefs::{Error, Result};
use dhow_oci::Digest;
use jiff::Timestamp;

use crate::container::{Container, View};
use crate::core::Core;
use crate::{Filters, Status};

/// Filters, read and checked. All keys have to match, of each key any value (of `label` all).
#[derive(Debug, Default)]
pub(super) struct Filter {
    ids: Vec<String>,
    names: Vec<String>,
    labels: Vec<String>,
    statuses: Vec<Status>,
    codes: Vec<i32>,
    ancestors: Option<Vec<Digest>>,
    volumes: Vec<String>,
    networks: Vec<String>,
    ports: Vec<String>,
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
            "id" => self.ids.push(value.to_owned()),
            "name" => self.names.push(value.to_owned()),
            "label" => self.labels.push(value.to_owned()),
            "status" => self.statuses.push(Status::from_name(value).ok_or_else(invalid)?),
            "exited" => self.codes.push(value.parse().map_err(|_| invalid())?),
            "ancestor" => {
                let known = self.ancestors.get_or_insert_default();
                // An image that is not there has no containers.
                known.extend(core.images.resolve(value).ok().map(|image| image.id));
            }
            "volume" => self.volumes.push(value.to_owned()),
            "network" => self.networks.push(value.to_owned()),
            "publish" | "expose" => self.ports.push(value.to_owned()),
            "health" => self.health.push(value.to_owned()),
            "before" => self.before = Some(self.before.map_or(created(value)?, |time| time)),
            "since" => self.since = Some(self.since.map_or(created(value)?, |time| time)),
            "is-task" => self.tasks_only |= matches!(value, "true" | "1"),
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
        let any =
            |list: &[String], test: &dyn Fn(&str) -> bool| list.is_empty() || list.iter().any(|value| test(value));
        !self.tasks_only
            && any(&self.ids, &|value| pattern(value, &container.id))
            && any(&self.names, &|value| pattern(value, &view.name) || pattern(value, &format!("/{}", view.name)))
            && self.labels.iter().all(|value| label(value, view))
            && (self.statuses.is_empty() || self.statuses.contains(&state.status))
            && (self.codes.is_empty() || (!state.is_running() && self.codes.contains(&state.exit_code)))
            && self.ancestors.as_ref().is_none_or(|known| container.image.is_some_and(|image| known.contains(&image)))
            && any(&self.volumes, &|value| {
                view.points.iter().any(|point| {
                    point.name.as_deref() == Some(value) || point.destination == value || point.source == value
                })
            })
            && any(&self.networks, &|value| network(value, &view.spec.host.network_mode))
            && any(&self.ports, &|value| view.spec.exposed_ports.iter().any(|port| port_is(value, port)))
            && any(&self.health, &|value| value == "none")
            && self.before.is_none_or(|time| container.created < time)
            && self.since.is_none_or(|time| container.created > time)
    }
}

/// What people use of Docker's regular expressions: a part of the text, with `^` and `$` for its ends.
fn pattern(pattern: &str, text: &str) -> bool {
    let (start, pattern) = pattern.strip_prefix('^').map_or((false, pattern), |rest| (true, rest));
    let (end, pattern) = pattern.strip_suffix('$').map_or((false, pattern), |rest| (true, rest));
    match (start, end) {
        (true, true) => text == pattern,
        (true, false) => text.starts_with(pattern),
        (false, true) => text.ends_with(pattern),
        (false, false) => text.contains(pattern),
    }
}

fn label(wanted: &str, view: &View) -> bool {
    let (name, value) = wanted.split_once('=').map_or((wanted, None), |(name, value)| (name, Some(value)));
    view.spec.labels.get(name).is_some_and(|found| value.is_none_or(|value| value == found))
}

fn network(wanted: &str, mode: &str) -> bool {
    let mode = if mode == "default" { "bridge" } else { mode };
    wanted == mode
}

/// `80`, `80/tcp`, `80-90/tcp` against an exposed port.
fn port_is(wanted: &str, exposed: &str) -> bool {
    let split = |text: &str| {
        let (numbers, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let (from, to) = numbers.split_once('-').unwrap_or((numbers, numbers));
        Some((from.parse::<u16>().ok()?, to.parse::<u16>().ok()?, protocol.to_owned()))
    };
    match (split(wanted), split(exposed)) {
        (Some((from, to, protocol)), Some((first, last, other))) => protocol == other && from <= last && first <= to,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_have_ends() {
        assert!(pattern("eb", "web1") && pattern("^web", "web1") && pattern("1$", "web1") && pattern("^web1$", "web1"));
        assert!(!pattern("^eb", "web1") && !pattern("web$", "web1"));
    }

    #[test]
    fn ports_match_by_range_and_protocol() {
        assert!(port_is("80", "80/tcp") && port_is("70-90/tcp", "80/tcp"));
        assert!(!port_is("80/udp", "80/tcp") && !port_is("x", "80/tcp"));
    }
}
