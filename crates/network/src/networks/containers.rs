//! The containers that have something of networks. One container is worked on by one at a time, which holds up no other
//! one; what is known about it can be read meanwhile.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::live::Held;
use super::lock;
use crate::connection::Connection;

/// By id.
#[derive(Debug, Default)]
pub(super) struct Containers(Mutex<HashMap<String, Entry>>);

#[derive(Debug)]
struct Entry {
    held: Arc<Mutex<Held>>,
    /// What it had when somebody was last done with it.
    connection: Connection,
}

impl Containers {
    pub(super) fn insert(&self, container: &str, held: Held) -> Arc<Mutex<Held>> {
        let connection = held.connection.clone();
        let held = Arc::new(Mutex::new(held));
        lock(&self.0).insert(container.to_owned(), Entry { held: Arc::clone(&held), connection });
        held
    }

    pub(super) fn get(&self, container: &str) -> Option<Arc<Mutex<Held>>> {
        lock(&self.0).get(container).map(|entry| Arc::clone(&entry.held))
    }

    pub(super) fn remove(&self, container: &str) -> Option<Arc<Mutex<Held>>> {
        lock(&self.0).remove(container).map(|entry| entry.held)
    }

    pub(super) fn all(&self) -> Vec<(String, Arc<Mutex<Held>>)> {
        lock(&self.0).iter().map(|(container, entry)| (container.clone(), Arc::clone(&entry.held))).collect()
    }

    /// Somebody is done with it.
    pub(super) fn tell(&self, container: &str, connection: &Connection) {
        if let Some(entry) = lock(&self.0).get_mut(container) {
            entry.connection.clone_from(connection);
        }
    }

    pub(super) fn connection(&self, container: &str) -> Option<Connection> {
        lock(&self.0).get(container).map(|entry| entry.connection.clone())
    }

    /// The first one of whom something is to be told.
    pub(super) fn find<T>(&self, mut told: impl FnMut(&str, &Connection) -> Option<T>) -> Option<T> {
        lock(&self.0).iter().find_map(|(container, entry)| told(container, &entry.connection))
    }

    pub(super) fn each(&self, mut see: impl FnMut(&Connection)) {
        lock(&self.0).values().for_each(|entry| see(&entry.connection));
    }
}
