//! What happens, told to whoever listens.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tokio::sync::broadcast;

use crate::Event;
use crate::spec::ContainerSpec;

/// As many as a slow listener may be behind before it loses the oldest.
const BACKLOG: usize = 1024;

/// The engine's loudspeaker.
#[derive(Debug)]
pub(crate) struct Events(broadcast::Sender<Event>);

impl Default for Events {
    fn default() -> Self {
        Self(broadcast::channel(BACKLOG).0)
    }
}

impl Events {
    pub(crate) fn listen(&self) -> broadcast::Receiver<Event> {
        self.0.subscribe()
    }

    pub(crate) fn listeners(&self) -> usize {
        self.0.receiver_count()
    }

    /// Something happened to a container. Costs nothing while nobody listens.
    pub(crate) fn container(
        &self,
        action: impl Into<String>,
        (id, name): (&str, &str),
        spec: &ContainerSpec,
        more: &[(&str, String)],
    ) {
        if self.listeners() == 0 {
            return;
        }
        let mut attributes: BTreeMap<String, String> = spec.labels.clone();
        attributes.insert("image".to_owned(), spec.image.clone());
        attributes.insert("name".to_owned(), name.to_owned());
        attributes.extend(more.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
        let event =
            Event { kind: "container", action: action.into(), id: id.to_owned(), attributes, time: Timestamp::now() };
        // Nobody may be listening any more.
        let _ = self.0.send(event);
    }
}
