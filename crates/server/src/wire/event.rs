//! Events: engine → wire, and their filters.

use dhow_api::event::{Actor, Event};
use dhow_engine::{EventKind, Filters, has_label};

/// An event, with the fields old clients look at.
pub(crate) fn event(event: &dhow_engine::Event) -> Event {
    let old_clients_see_it = matches!(event.kind, EventKind::Container | EventKind::Image);
    let or_nothing = |text: &str| if old_clients_see_it { text.to_owned() } else { String::new() };
    Event {
        status: or_nothing(&event.action),
        id: or_nothing(&event.id),
        from: if event.kind == EventKind::Container {
            event.attributes.get("image").cloned().unwrap_or_default()
        } else {
            String::new()
        },
        kind: event.kind.as_str().to_owned(),
        action: event.action.clone(),
        actor: Actor { id: event.id.clone(), attributes: event.attributes.clone() },
        scope: "local".to_owned(),
        time: event.time.as_second(),
        time_nano: event.time.as_nanosecond().try_into().unwrap_or(i64::MAX),
    }
}

/// Whether an event passes: for each key one of the values must fit; of labels all. As in Docker, a key that means nothing
/// keeps nothing back, and things are named by the beginning of their id or name.
pub(crate) fn passes(event: &Event, filters: &Filters) -> bool {
    filters.iter().filter(|(_, values)| !values.is_empty()).all(|(key, values)| match key.as_str() {
        "label" => values.iter().all(|value| has_label(&event.actor.attributes, value)),
        _ => values.iter().any(|value| fits(event, key, value)),
    })
}

fn fits(event: &Event, key: &str, value: &str) -> bool {
    let attribute = |name: &str| event.actor.attributes.get(name).map_or("", String::as_str);
    match key {
        "type" => event.kind == value,
        // `exec_start: sh -c …` is an event of the kind `exec_start`.
        "event" => event.action == value || event.action.split(':').next() == Some(value),
        "scope" => event.scope == value,
        "image" => {
            let name = if event.kind == "image" { attribute("name") } else { attribute("image") };
            [&event.actor.id, name].iter().any(|found| *found == value || without_tag(found) == value)
        }
        "container" | "daemon" | "plugin" | "volume" | "network" | "node" | "service" | "secret" | "config" => {
            event.kind == key && (event.actor.id.starts_with(value) || attribute("name").starts_with(value))
        }
        _ => true,
    }
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
        event(&dhow_engine::Event {
            kind: EventKind::Container,
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
        assert!(pass(&[("container", "we")]) && !pass(&[("container", "eb")]));
        assert!(!pass(&[("volume", "web")]));
        assert!(pass(&[("scope", "local"), ("nope", "x")]) && !pass(&[("scope", "swarm")]));
    }
}
