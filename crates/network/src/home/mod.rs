//! Where the bridges of an engine without root are: a network namespace of its own, connected with the outside by `pasta`
//! or `slirp4netns`. An engine with root that has its ports passed on, so that the host's input policy decides about them,
//! has only the holder: its home is the host's namespace. So it is for ports of the host's IPv6 addresses that lead to containers
//! which have none.
//!
//! The engine itself stays in the host's namespace, where it pulls and listens; what it does to links, rules and
//! settings it does on threads that visit the namespace ([`Home::inside`]). A process of its own, the [holder], keeps the
//! namespace, the program that connects it, and published ports: those it passes on itself, because the kernel does not
//! know them outside. It goes on while the engine is away, and ends when there is no engine and no container any more.

mod gate;
pub(crate) mod holder;
mod outlet;
mod relay;

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::thread;
use std::time::Duration;

use dhow_errdefs::{Error, Result, ResultExt};
use rustix::io::Errno;

use crate::firewall::Redirect;
use crate::model::{Protocol, Published};
use crate::networks::{Networks, lock};
use gate::Gate;

pub use gate::connect;

/// How the engine's own binary is told to be a holder.
pub const ROLE: &str = "network-holder";

/// The namespace, in the holder's folder: there `pasta` and an engine that is started later find it.
const NAMESPACE: &str = "namespace";

/// What the connecting program says.
const OUTLET_LOG: &str = "outlet.log";

/// How long is waited before a holder that has died is replaced.
const PAUSE: Duration = Duration::from_millis(50);

/// What sockets mark that speak for a client outside, and what is marked that comes back to them.
pub(crate) const OUTWARD: u32 = 0x6468_6f01;
pub(crate) const BACK: u32 = 0x6468_6f02;

/// The table of routes by which that comes back.
const TABLE: u8 = 104;

/// What an engine needs whose ports are passed on by a holder.
#[derive(Debug, Clone)]
pub struct HomeSettings {
    /// The holder's folder, below the exec root.
    pub folder: PathBuf,
    /// Our own binary.
    pub program: PathBuf,
    /// For networks in a namespace of their own: `pasta` or `slirp4netns`, told apart by its name.
    pub outlet: Option<PathBuf>,
    /// Containers see the clients' addresses. That takes rules by which the answers come back.
    pub in_clients_name: bool,
}

/// The namespace, found or made when it is first needed.
#[derive(Debug)]
pub(crate) struct LazyHome {
    settings: HomeSettings,
    home: Mutex<Option<Arc<Home>>>,
    /// Who is told that the holder has died.
    mender: OnceLock<Weak<Networks>>,
}

impl LazyHome {
    /// Whether the networks are in a namespace of their own.
    pub(crate) fn is_separate(&self) -> bool {
        self.settings.outlet.is_some()
    }

    pub(crate) fn new(settings: HomeSettings) -> Self {
        Self { settings, home: Mutex::default(), mender: OnceLock::new() }
    }

    pub(crate) fn get(&self) -> Result<Arc<Home>> {
        let mut home = lock(&self.home);
        if let Some(home) = &*home {
            return Ok(Arc::clone(home));
        }
        let opened = Arc::new(Home::open(&self.settings)?);
        *home = Some(Arc::clone(&opened));
        if let Some(mender) = self.mender.get() {
            opened.watch(&self.settings.folder, mender.clone());
        }
        Ok(opened)
    }

    /// Has the networks mended when the holder dies.
    pub(crate) fn watch(&self, mender: Weak<Networks>) {
        if self.mender.set(mender.clone()).is_ok()
            && let Some(home) = self.opened()
        {
            home.watch(&self.settings.folder, mender);
        }
    }

    /// The holder is gone: the next one who needs it starts another.
    pub(crate) fn forget(&self) {
        *lock(&self.home) = None;
    }

    /// Whether a holder lives that an engine before this one has started.
    pub(crate) fn is_there(&self) -> bool {
        connect(&self.settings.folder).is_ok()
    }

    /// Only if it is there already.
    pub(crate) fn opened(&self) -> Option<Arc<Home>> {
        lock(&self.home).clone()
    }
}

type Job = Box<dyn FnOnce() + Send>;

/// The namespace and the way to its holder.
#[derive(Debug)]
pub(crate) struct Home {
    /// `None`: the host's.
    namespace: Option<OwnedFd>,
    gate: Mutex<Gate>,
    /// A thread that is in the host's namespace: whoever visits ours cannot go back there.
    outside: Sender<Job>,
    watched: AtomicBool,
}

impl Home {
    fn open(settings: &HomeSettings) -> Result<Self> {
        let gate = Gate::open(settings)?;
        let path = settings.folder.join(NAMESPACE);
        let open = || File::open(&path).context(|| format!("open {}", path.display()));
        let namespace = settings.outlet.is_some().then(open).transpose()?.map(OwnedFd::from);
        let (outside, jobs) = channel::<Job>();
        let work = move || jobs.into_iter().for_each(|job| job());
        thread::Builder::new().name("outside".to_owned()).spawn(work).context(|| "start a thread")?;
        Ok(Self { namespace, gate: Mutex::new(gate), outside, watched: AtomicBool::new(false) })
    }

    /// Waits, on a thread of its own, for the end of the holder, which closes a connection then that says nothing.
    fn watch(&self, folder: &Path, mender: Weak<Networks>) {
        if self.watched.swap(true, Ordering::Relaxed) {
            return;
        }
        let Ok(lifeline) = connect(folder) else { return };
        let wait = move || {
            let _ = io::Read::read(&mut &lifeline, &mut [0]);
            // One that dies again and again does not keep a processor busy.
            thread::sleep(PAUSE);
            if let Some(networks) = mender.upgrade() {
                networks.replace_holder();
            }
        };
        if let Err(error) = thread::Builder::new().name("lifeline".to_owned()).stack_size(512 << 10).spawn(wait) {
            tracing::warn!(%error, "nobody watches over the holder of the networks");
        }
    }

    /// Does something on a thread that is in the namespace.
    pub(crate) fn inside<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        match &self.namespace {
            Some(namespace) => crate::sandbox::inside(namespace.as_fd(), work),
            None => work(),
        }
    }

    /// Takes a port of the host, for the holder to serve.
    pub(crate) fn bind(&self, protocol: Protocol, address: SocketAddr) -> rustix::io::Result<OwnedFd> {
        let (told, outcome) = channel();
        let job = move || drop(told.send(crate::ports::bind_to_listen(protocol, address)));
        self.outside.send(Box::new(job)).map_err(|_| Errno::PIPE)?;
        outcome.recv().map_err(|_| Errno::PIPE)?
    }

    /// Published ports that the holder passes on.
    pub(crate) fn passed_on(&self) -> Result<Vec<(Protocol, SocketAddr)>> {
        lock(&self.gate).list()
    }

    /// Passes ports on from now on; without a socket, one that is passed on already goes to another target.
    pub(crate) fn pass_on<'a>(
        &self,
        ports: impl Iterator<Item = (&'a Redirect, Option<BorrowedFd<'a>>)>,
    ) -> Result<()> {
        lock(&self.gate).open_ports(ports)
    }

    /// Does not pass ports on any more.
    pub(crate) fn shut(&self, ports: impl Iterator<Item = (Protocol, SocketAddr)>) -> Result<()> {
        lock(&self.gate).close_ports(ports)
    }
}

pub(crate) fn host_side(published: &Published) -> SocketAddr {
    SocketAddr::new(published.host_address, published.host_port)
}

/// Whether the file is a namespace that somebody has mounted there.
fn is_namespace(path: &Path) -> bool {
    const NSFS: u32 = 0x6e73_6673;
    // The field has another width and sign on each machine.
    rustix::fs::statfs(path).is_ok_and(|info| info.f_type as u32 == NSFS)
}

fn broken(error: io::Error) -> Error {
    Error::internal("speak with the holder of the networks").with_cause(error)
}
