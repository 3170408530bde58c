//! Waiting for the start.

use std::os::fd::AsFd;

use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with};

use super::Line;
use crate::plan::Plan;
use crate::report::{At, Outcome, Step, wait_for_go};

/// Waits for the word to go: from the parent, or from whoever connects to the container's socket, who is then the one to
/// hear of a failure. A process that enters a container goes on.
pub(super) fn pass(plan: &Plan<'_>, line: &mut Line) -> Outcome {
    let Some(container) = plan.new_world() else { return Ok(()) };
    let Some(gate) = &container.gate else { return wait_for_go(line.as_fd()).at(Step::Line) };
    loop {
        let caller = match accept_with(gate, SocketFlags::CLOEXEC) {
            Err(Errno::INTR | Errno::CONNABORTED) => continue,
            accepted => accepted.at(Step::Line)?,
        };
        // One that connects and leaves again has not said a word.
        if wait_for_go(caller.as_fd()).is_ok() {
            *line = caller;
            return Ok(());
        }
    }
}
