//! The hooks `poststop`: what a container has left on the host is theirs to undo.

use std::time::{Duration, Instant};

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

    /// Runs them, each whatever became of those before it, and gives what went wrong (runtime specification, "Lifecycle":
    /// that is a warning).
    pub(super) fn run(&self) -> Vec<String> {
        self.run_within(PATIENCE)
    }

    fn run_within(&self, patience: Duration) -> Vec<String> {
        let end = Instant::now() + patience;
        self.hooks.iter().filter_map(|hook| self.run_one(hook, end).err()).collect()
    }

    fn run_one(&self, hook: &Hook, end: Instant) -> Result<(), String> {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(format!("hook poststop {}: those before it took all the time there is", hook.path.display()));
        }
        let left = i64::try_from(left.as_millis().div_ceil(1000)).unwrap_or(i64::MAX);
        let hook = Hook { timeout: Some(hook.timeout.map_or(left, |own| own.min(left))), ..hook.clone() };
        hooks::run_all("poststop", &[hook], &self.state).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hook(script: &str) -> Hook {
        let args = ["sh", "-c", script].map(str::to_owned).into();
        Hook { path: "/bin/sh".into(), args, ..Hook::default() }
    }

    #[test]
    fn each_runs_and_all_have_one_deadline() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("mark");
        let farewell = |hooks| Farewell { hooks, state: State::default() };
        let failed = farewell(vec![hook("echo why >&2; exit 3"), hook(&format!("touch {}", mark.display()))]).run();
        assert!(failed.len() == 1 && failed[0].ends_with("exit status: 3: why"), "{failed:?}");
        assert!(mark.exists());
        let slow = farewell(vec![hook("exec sleep 1000"), hook("exec sleep 1001")]);
        let failed = slow.run_within(Duration::from_millis(500));
        let ends = ["took longer than 1 s", "those before it took all the time there is"];
        assert!(failed.len() == 2 && failed.iter().zip(ends).all(|(text, end)| text.ends_with(end)), "{failed:?}");
    }
}
