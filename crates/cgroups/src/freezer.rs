//! Stopping and continuing every process of a cgroup: what `docker pause` does.

use std::time::{Duration, Instant};

use dhow_errdefs::{Error, Result};

use crate::Controller;
use crate::cgroup::{Cgroup, Member};
use crate::hierarchy::Version;
use crate::removal::{wait, wait_until};

/// How long tasks may take to stop. A task in uninterruptible sleep stops when it wakes.
const PATIENCE: Duration = Duration::from_secs(5);

impl Cgroup {
    /// Stops every process in the cgroup and below it; returns when all have stopped.
    ///
    /// # Errors
    /// `NotImplemented` without a freezer, `DeadlineExceeded` when a process does not stop within 5 s (the cgroup is thawed
    /// again then).
    pub fn freeze(&self) -> Result<()> {
        let member = self.freezer()?;
        let frozen = match member.version {
            Version::V2 => freeze_v2(member)?,
            Version::V1 => freeze_v1(member)?,
        };
        if frozen {
            return Ok(());
        }
        thaw(member)?;
        Err(Error::deadline(format!("freeze cgroup {}: a process does not stop", self.path())))
    }

    /// Lets every process go on.
    ///
    /// # Errors
    /// `NotImplemented` without a freezer, and what writing its file gives.
    pub fn thaw(&self) -> Result<()> {
        thaw(self.freezer()?)
    }

    /// Whether the cgroup is frozen.
    ///
    /// # Errors
    /// What reading its state gives.
    pub fn is_frozen(&self) -> Result<bool> {
        let core = self.core_freezer();
        let Some(member) = core.or_else(|| self.member(Controller::Freezer)) else { return Ok(false) };
        Ok(match member.version {
            Version::V2 => member.directory.read_keyed("cgroup.events", "frozen")? == Some(1),
            Version::V1 => member.directory.read("freezer.state")?.trim() != "THAWED",
        })
    }

    /// The tree that freezes: v2's core file where the kernel has it (5.2), else the v1 controller, joined now.
    fn freezer(&self) -> Result<&Member> {
        match self.core_freezer() {
            Some(member) => Ok(member),
            None => self
                .join(Controller::Freezer)?
                .ok_or_else(|| Error::not_implemented("the host has no cgroup freezer: pausing is not possible")),
        }
    }

    fn core_freezer(&self) -> Option<&Member> {
        self.v2().filter(|member| member.directory.has("cgroup.freeze"))
    }
}

fn freeze_v2(member: &Member) -> Result<bool> {
    member.directory.write("cgroup.freeze", "1")?;
    if member.directory.is_plain() {
        return Ok(true);
    }
    wait_until(&member.directory, "frozen", 1, Instant::now() + PATIENCE)
}

/// v1 tells of no change, and a cgroup may hang in `FREEZING` when a task forked at the wrong moment: writing again
/// makes the kernel try again (freezer-subsystem.rst). So it is asked at growing intervals.
fn freeze_v1(member: &Member) -> Result<bool> {
    let deadline = Instant::now() + PATIENCE;
    let mut pause = Duration::from_micros(50);
    loop {
        member.directory.write("freezer.state", "FROZEN")?;
        if member.directory.read("freezer.state")?.trim() == "FROZEN" {
            return Ok(true);
        }
        if Instant::now() >= deadline {
            return Ok(false);
        }
        wait(&mut [], pause);
        pause = (pause * 2).min(Duration::from_millis(10));
    }
}

pub(crate) fn thaw(member: &Member) -> Result<()> {
    match member.version {
        Version::V2 => member.directory.write("cgroup.freeze", "0"),
        Version::V1 => member.directory.write("freezer.state", "THAWED"),
    }
}
