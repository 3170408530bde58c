//! Events: engine → wire, and their filters.

use dhow_api::event::{Actor, Event};
use dhow_engine::Filters;
use dhow_errdefs::{Error, Result};

/// An event, with the fields old clients look at.
pub(crate) fn event(event: dhow_engine::Event) -> Event {
    let old_clients_see_it = matches!(event.kind, "container" | "image");
    let or_nothing = |text: &str| if old_clients_see_it { text.to_owned() } else { String::new() };
    Event {
        status: or_nothing(&event.action),
        id: or_nothing(&event.id),
        from: if event.kind == "container" {
            event.attributes.get("image").cloned().unwrap_or_default()
        } else {
            String::new()
        },
        kind: event.kind.to_owned(),
        action: event.action,
        actor: Actor { id: event.id, attributes: event.attributes },
        scope: "local".to_owned(),
        time: event.time.as_second(),
        time_nano: event.time.as_nanosecond().try_into().unwrap_or(i64::MAX),
    }
}

const KNOWN: [&str; 14] = [
    "type",
    "event",
    "container",
    "image",
    "label",
    "volume",
    "network",
    "daemon",
    "plugin",
    "scope",
    "service",
    "node",
    "secret",
    "config",
];

/// Refuses filters that do not exist.
pub(crate) fn check(filters: &Filters) -> Result<()> {
    match filters.keys().find(|key| !KNOWN.contains(&key.as_str())) {
        Some(key) => Err(Error::invalid(format!("invalid filter '{key}'"))),
        None => Ok(()),
    }
}

/// Whether an event passes: for each key one of the values must fit; of labels all.
pub(crate) fn passes(event: &Event, filters: &Filters) -> bool {
    filters.iter().all(|(key, values)| match key.as_str() {
        "label" => values.iter().all(|value| has_label(event, value)),
        _ => values.iter().any(|value| fits(event, key, value)),
    })
}

fn fits(event: &Event, key: &str, value: &str) -> bool {
    match key {
        "type" => event.kind == value,
        // `exec_start: sh -c …` is an event of the kind `exec_start`.
        "event" => event.action == value || event.action.split(':').next() == Some(value),
        "scope" => event.scope == value,
        "image" => {
            let image = if event.kind == "image" { "name" } else { "image" };
            let name = event.actor.attributes.get(image).map_or("", String::as_str);
            event.actor.id == value || name == value || without_tag(name) == value
        }
        kind => event.kind == kind && is_named(event, value),
    }
}

fn is_named(event: &Event, value: &str) -> bool {
    let name = event.actor.attributes.get("name").map(String::as_str);
    name == Some(value) || event.actor.id.starts_with(value)
}

fn has_label(event: &Event, wanted: &str) -> bool {
    let (name, value) = wanted.split_once('=').map_or((wanted, None), |(name, value)| (name, Some(value)));
    event.actor.attributes.get(name).is_some_and(|found| value.is_none_or(|value| value == found))
}

/// `registry:5000/name:tag` without `:tag`.
fn without_tag(name: &str) -> &str {
    match name.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn sample() -> Event {
        let attributes = [("image", "host:5000/bb:1"), ("name", "web"), ("a", "b")];
        event(dhow_engine::Event {
            kind: "container",
            action: "exec_start: sh".into(),
            id: "c0ffee".into(),
            attributes: attributes.map(|(key, value)| (key.into(), value.into())).into(),
            time: "2026-11-23T21:04:13.000000005Z".parse().expect("a time"),
        })
    }

    #[test]
    fn old_fields_repeat_the_new_ones() {
        let event = sample();
        assert_eq!(
            (event.status.as_str(), event.id.as_str(), event.from.as_str()),
            ("exec_start: sh", "c0ffee", "host:5000/bb:1")
        );
        assert_eq!(event.time_nano - event.time * 1_000_000_000, 5);
    }

    #[test]
    fn filters_choose() {
        let pass = |pairs: &[(&str, &str)]| {
            let filters = pairs.iter().fold(BTreeMap::<String, Vec<String>>::new(), |mut filters, (key, value)| {
                filters.entry((*key).into()).or_default().push((*value).into());
                filters
            });
            passes(&sample(), &filters)
        };
        assert!(pass(&[]));
        assert!(pass(&[("type", "container"), ("event", "exec_start"), ("container", "web"), ("container", "x")]));
        assert!(pass(&[("image", "host:5000/bb"), ("label", "a=b"), ("label", "a"), ("container", "c0f")]));
        assert!(!pass(&[("type", "image")]) && !pass(&[("event", "start")]) && !pass(&[("label", "a=c")]));
        assert!(!pass(&[("volume", "web")]));
        assert!(check(&Filters::from([("nope".into(), Vec::new())])).is_err());
    }
}
