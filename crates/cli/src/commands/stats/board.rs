//! What is known of each container that is shown.

use std::cell::RefCell;

use dhow_api::container::Stats;
use dhow_errdefs::Error;

use super::row::Usage;

/// Entries in the order in which they came.
pub(super) type Entries = RefCell<Vec<Usage>>;

/// The entries, shared by those who fill them and the one who shows them.
pub(super) struct Board<'a> {
    entries: &'a Entries,
    full: bool,
}

impl<'a> Board<'a> {
    pub(super) fn new(entries: &'a Entries, full: bool) -> Self {
        Self { entries, full }
    }

    pub(super) fn add(&self, container: &str) {
        self.entries.borrow_mut().push(Usage::of(container, self.full));
    }

    pub(super) fn remove(&self, container: &str) {
        self.entries.borrow_mut().retain(|entry| entry.container != container);
    }

    pub(super) fn has(&self, container: &str) -> bool {
        self.entries.borrow().iter().any(|entry| entry.container == container)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.borrow().is_empty()
    }

    pub(super) fn tell(&self, container: &str, stats: &Stats) {
        self.change(container, |entry| entry.tell(stats));
    }

    /// Nothing is known any more.
    pub(super) fn ended(&self, container: &str) {
        self.change(container, Usage::forget);
    }

    pub(super) fn failed(&self, container: &str, error: &Error) {
        self.change(container, |entry| {
            entry.forget();
            entry.failure = Some(error.to_string());
        });
    }

    /// Whether something, good or bad, is known of each.
    pub(super) fn all_told(&self) -> bool {
        self.entries.borrow().iter().all(|entry| entry.told)
    }

    /// What failed; those entries go.
    pub(super) fn failures(&self) -> Vec<String> {
        let mut entries = self.entries.borrow_mut();
        let failures = entries.iter().filter_map(|entry| entry.failure.clone()).collect();
        entries.retain(|entry| entry.failure.is_none());
        failures
    }

    pub(super) fn rows(&self) -> Vec<Usage> {
        self.entries.borrow().clone()
    }

    fn change(&self, container: &str, change: impl FnOnce(&mut Usage)) {
        if let Some(entry) = self.entries.borrow_mut().iter_mut().find(|entry| entry.container == container) {
            change(entry);
        }
    }
}
