//! The hooks `poststop`: what a container has left on the host is theirs to undo.

use std::time::Duration;

use dhow_oci::runtime::{ContainerStatus, Hook, State};
use dhow_runtime::hooks;

use crate::protocol::Launch;

/// What all of them may take together: an engine that waits longer for a shim's end ends it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Hooks to be run when nothing is left, and what they are told.
#[derive(Debug)]
pub(super) struct Farewell {
    hooks: Vec<Hook>,
    state: State,
}

impl Farewell {
    pub(super) fn of(launch: &Launch) -> Self {
        Self {
            hooks: launch.spec.hooks.as_ref().map(|hooks| hooks.poststop.clone()).unwrap_or_default(),
            state: State {
                oci_version: launch.spec.oci_version.clone(),
                id: launch.id.clone(),
                status: ContainerStatus::Stopped,
                pid: None,
                bundle: launch.run_dir.clone(),
                annotations: launch.spec.annotations.clone(),
            },
        }
    }

    /// Runs them, and gives what went wrong.
    pub(super) fn run(&self) -> Vec<String> {
        hooks::run_last(&self.hooks, &self.state, Some(PATIENCE)).iter().map(ToString::to_string).collect()
    }
}
