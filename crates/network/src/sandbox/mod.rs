//! A container's network namespace, as the engine makes it and gets back to it.
//!
//! Nothing in the file system pins one: the engine's descriptor does until the container runs, and then the container
//! itself. So an engine that is killed in between leaves no namespace, and with the namespace go the links in it, and
//! with these their other ends on the host's bridges.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::thread;

use dhow_errdefs::{Error, Result, ResultExt};
use rustix::thread::ThreadNameSpaceType;

use crate::driver::sysctl;
use crate::link::Links;

/// The loopback link of every namespace.
const LOOPBACK: u32 = 1;

/// A network namespace that is held open, and a way to change what is in it.
#[derive(Debug)]
pub struct Sandbox {
    namespace: OwnedFd,
    links: Links,
}

impl Sandbox {
    /// A namespace with nothing but a loopback, which is up.
    ///
    /// # Errors
    /// Without the right to make one, or at the limit of the kernel.
    pub fn create() -> Result<Self> {
        let sandbox = visit(|| {
            dhow_sys::namespace::unshare(ThreadNameSpaceType::NETWORK).context(|| "create a network namespace")?;
            without_ipv6()?;
            Ok(Self { namespace: current()?, links: Links::open()? })
        })?;
        sandbox
            .links
            .set(|settings| {
                settings.up(LOOPBACK, None, true);
            })
            .context(|| "take the loopback up")?;
        Ok(sandbox)
    }

    /// A namespace that somebody has opened. Who finds it by the number of a process sees to it that it is still that
    /// process'.
    ///
    /// # Errors
    /// When the thread that visits it may not.
    pub fn of_namespace(namespace: OwnedFd) -> Result<Self> {
        let links = inside(namespace.as_fd(), Links::open)?;
        Ok(Self { namespace, links })
    }

    /// Where a runtime finds it, as long as this is kept.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        use std::os::fd::AsRawFd;
        PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), self.namespace.as_raw_fd()))
    }

    /// Does something on a thread that is in the namespace.
    pub(crate) fn inside<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        inside(self.namespace.as_fd(), work)
    }

    pub(crate) fn links(&self) -> &Links {
        &self.links
    }
}

impl AsFd for Sandbox {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.namespace.as_fd()
    }
}

/// New links of the calling thread's namespace have no IPv6 unless they are told to: a neighbour that plays the router must not
/// give a container an address and a way out that its network does not have. dockerd does the same.
pub(crate) fn without_ipv6() -> Result<()> {
    match sysctl::write("ipv6/conf/default/disable_ipv6", "1") {
        // A kernel without IPv6.
        Err(error) if error.os_error() == Some(rustix::io::Errno::NOENT.raw_os_error()) => Ok(()),
        written => written,
    }
}

/// The calling thread's namespace.
fn current() -> Result<OwnedFd> {
    let path = "/proc/thread-self/ns/net";
    Ok(File::open(path).context(|| format!("open {path}"))?.into())
}

pub(crate) fn inside<T: Send>(namespace: BorrowedFd<'_>, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    visit(|| {
        rustix::thread::move_into_link_name_space(namespace, Some(rustix::thread::LinkNameSpaceType::Network))
            .map_err(std::io::Error::from)
            .context(|| "enter a network namespace")?;
        work()
    })
}

/// Does something on a thread of its own, which nobody uses afterwards.
fn visit<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    thread::scope(|scope| {
        let visit = thread::Builder::new().name("visit".to_owned()).stack_size(256 << 10).spawn_scoped(scope, work);
        let visit = visit.context(|| "start a thread")?;
        visit.join().unwrap_or_else(|_| Err(Error::internal("a visit to a network namespace failed")))
    })
}
