//! What is told about the things around a container when it starts and ends: its network and its volumes.

use std::sync::Arc;

use tokio::task::JoinHandle;

use super::Reply;
use super::owner::{Owner, answer};
use crate::create::Source;

impl Owner {
    /// It uses its network and its volumes from now on.
    pub(super) fn tell_joined(&self) {
        self.tell_networks("connect");
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
        self.tell_networks("disconnect");
        for mount in &self.body.mounts {
            if let Source::Volume { name, .. } = &mount.source {
                let more = [("container", &*self.container.id)];
                self.core.events.volume("unmount", name, &self.driver_of(name), &more);
            }
        }
    }

    /// Nothing of it runs any more that could use its volumes: those that have to be mounted are given back.
    pub(super) fn leave_volumes(&mut self) {
        let names: Vec<String> = self.core.volumes.mounted_among(&self.body.mounts).map(str::to_owned).collect();
        let images = self.body.mounts.iter().any(|mount| matches!(mount.source, Source::Image { .. }));
        let shm = self.body.spec.host.shares_ipc();
        let left = std::mem::take(&mut self.left);
        if names.is_empty() && !images && !shm {
            return left.into_iter().for_each(|reply| answer(reply, Ok(())));
        }
        let (core, container, mut before) = (Arc::clone(&self.core), Arc::clone(&self.container), self.leaving.take());
        self.leaving = Some(tokio::spawn(async move {
            settled(&mut before).await;
            let detach = move || {
                names.iter().for_each(|name| core.volumes.detach(name, &container.id));
                crate::start::unmount(&core, &container.id);
            };
            // Interrupted only when the process ends; the next engine finds the marks.
            let _ = tokio::task::spawn_blocking(detach).await;
            left.into_iter().for_each(|reply| answer(reply, Ok(())));
        }));
    }

    /// Answers when that is done for its last run.
    pub(super) fn await_left(&mut self, reply: Reply<()>) {
        if self.link.is_some() {
            self.left.push(reply);
            return;
        }
        let mut before = self.leaving.take();
        self.leaving = Some(tokio::spawn(async move {
            settled(&mut before).await;
            answer(reply, Ok(()));
        }));
    }

    fn driver_of(&self, volume: &str) -> String {
        self.core.volumes.place(volume).1
    }

    fn tell_networks(&self, action: &str) {
        for name in self.body.spec.networking.keys() {
            if let Some(network) = self.core.networks.named(name) {
                self.core.network_event(action, &network, Some(&self.container.id));
            }
        }
    }
}

/// Waits until what is under way of the last run has come to its end: volumes are given back, or a launch that was given up
/// sees that.
pub(super) async fn settled(under_way: &mut Option<JoinHandle<()>>) {
    if let Some(task) = under_way {
        let _ = task.await;
    }
    *under_way = None;
}
