//! What is told about the things around a container when it starts and ends: its network and its volumes.

use std::collections::BTreeMap;

use super::owner::Owner;
use crate::EventKind;
use crate::create::Source;
use crate::networks;

impl Owner {
    /// It uses its network and its volumes from now on.
    pub(super) fn tell_joined(&self) {
        self.tell_network("connect");
        for mount in &self.body.mounts {
            let Source::Volume { name, .. } = &mount.source else { continue };
            let writable = if mount.read_only { "false" } else { "true" };
            let more = [
                ("container", &*self.container.id),
                ("destination", mount.destination.as_str()),
                ("propagation", ""),
                ("read/write", writable),
            ];
            self.core.events.volume("mount", name, &self.driver_of(name), &more);
        }
    }

    /// It does so no more.
    pub(super) fn tell_left(&self) {
        self.tell_network("disconnect");
        for mount in &self.body.mounts {
            if let Source::Volume { name, .. } = &mount.source {
                let more = [("container", &*self.container.id)];
                self.core.events.volume("unmount", name, &self.driver_of(name), &more);
            }
        }
    }

    fn driver_of(&self, volume: &str) -> String {
        self.core.volumes.place(volume).1
    }

    fn tell_network(&self, action: &str) {
        let Some((name, driver)) = networks::of_mode(&self.body.spec.host.network_mode) else { return };
        let attributes = [("container", &*self.container.id), ("name", name), ("type", driver)];
        let attributes: BTreeMap<_, _> = attributes.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let id = networks::id(name).unwrap_or_default();
        self.core.events.tell(EventKind::Network, action.to_owned(), id, attributes);
    }
}
