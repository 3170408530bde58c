//! What a spare shim makes while its engine still writes down the container it is likely to get next.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::thread;
use std::time::{Duration, Instant};

use dhow_cgroups::Hierarchy;
use dhow_sys::{loopback, namespace};
use rustix::thread::ThreadNameSpaceType;

/// How long it may be used: the kernel copies settings of the host into a network namespace when it is made
/// (`inetdev_init` and its kin), and a person who changes them expects them in the next container.
const FRESH: Duration = Duration::from_secs(1);

/// Enough for two system calls.
const STACK: usize = 64 << 10;

/// A network namespace takes the kernel longer than all other namespaces of a container together.
#[derive(Debug)]
pub(crate) struct Ahead {
    made: Instant,
    network: Option<OwnedFd>,
    hierarchy: Option<Hierarchy>,
}

impl Ahead {
    /// Makes what can be made; what cannot is made by the launch, which says why not.
    pub(crate) fn make() -> Self {
        Self { made: Instant::now(), network: network(), hierarchy: Hierarchy::detect().ok() }
    }

    /// How long it may still be used.
    pub(crate) fn rest(&self) -> Duration {
        FRESH.saturating_sub(self.made.elapsed())
    }

    /// The same, if it may still be used.
    pub(crate) fn fresh(self) -> Option<Self> {
        (!self.rest().is_zero()).then_some(self)
    }

    /// An empty network namespace whose loopback interface is up, and the host's cgroup trees.
    pub(crate) fn into_parts(self) -> (Option<OwnedFd>, Option<Hierarchy>) {
        (self.network, self.hierarchy)
    }
}

/// Made by a thread that lives for it: this process has no right to come back from another network namespace when its
/// user namespace does not own the first.
fn network() -> Option<OwnedFd> {
    let make = || {
        namespace::unshare(ThreadNameSpaceType::NETWORK)?;
        loopback::up()?;
        File::open("/proc/thread-self/ns/net")
    };
    let thread = thread::Builder::new().stack_size(STACK).spawn(make).ok()?;
    Some(thread.join().ok()?.ok()?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_too_long_ago_is_not_used() {
        let made = |ago| Ahead { made: Instant::now().checked_sub(ago).unwrap(), network: None, hierarchy: None };
        assert!(made(Duration::ZERO).fresh().is_some());
        assert!(made(FRESH).fresh().is_none());
    }
}
