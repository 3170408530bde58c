//! Everything that one engine has of networks in the kernel.

mod change;
mod connect;
mod live;
mod restore;
mod watch;

use std::collections::HashMap;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use dhow_errdefs::Result;

use crate::dns::Directory;
use crate::driver::Bridges;
use crate::firewall::{Changes, Delivery, Firewall, Redirect};
use crate::home::{Home, HomeSettings, LazyHome, host_side};
use crate::ipam::{BlockPool, free_block};
use crate::link::Links;
use crate::model::{Driver, IpamPool, Network, Subnet};
use crate::ports::Reservation;
use live::{Held, Live};
use tokio::runtime::Handle;
use watch::Watch;

/// What an engine decides about its networks.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Tells its bridges and its tables apart from those of other engines on the host: a few letters and digits, the same
    /// after every start.
    pub engine: String,
    /// The bridge of the default network.
    pub default_bridge: String,
    /// Where blocks of addresses come from.
    pub pools: Vec<BlockPool>,
    /// Ports are passed on by a holder: for an engine without root, whose networks are in a namespace of their own, and for
    /// one whose ports obey the host's input policy.
    pub home: Option<HomeSettings>,
}

/// The networks of one engine. All methods block, but only for the kernel's own work.
#[derive(Debug)]
pub struct Networks {
    settings: Settings,
    home: Option<LazyHome>,
    bridges: Bridges,
    firewall: Firewall,
    directory: Arc<Directory>,
    live: Mutex<HashMap<String, Arc<Mutex<Live>>>>,
    containers: Mutex<HashMap<String, Held>>,
    watch: OnceLock<Option<Watch>>,
}

impl Networks {
    /// Nothing is done to the kernel before the first network is used.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            bridges: Bridges::new(settings.engine.clone(), settings.default_bridge.clone()),
            firewall: Firewall::new(format!("dhow-{}", settings.engine), delivery(&settings)),
            home: settings.home.clone().map(LazyHome::new),
            directory: Arc::default(),
            settings,
            live: Mutex::default(),
            containers: Mutex::default(),
            watch: OnceLock::new(),
        }
    }

    /// A block for a network that names none: free of the host's routes and of these other networks.
    ///
    /// # Errors
    /// `ResourceExhausted`; an error of the kernel.
    pub fn choose_block(&self, ipv6: bool, others: impl Iterator<Item = Subnet>) -> Result<Subnet> {
        let mut taken = self.at_home(taken_blocks)?;
        if self.is_separate() {
            taken.extend(taken_blocks()?);
        }
        taken.extend(others);
        free_block(&self.settings.pools, ipv6, &taken)
    }

    /// Makes a network true. Otherwise that happens when it is first used.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub fn raise(self: &Arc<Self>, network: &Network) -> Result<()> {
        self.at_home(|| {
            self.watch();
            self.raised(network).map(drop)
        })
    }

    /// Removes a network that nobody uses from the kernel.
    ///
    /// # Errors
    /// What the kernel refuses; the rest is removed all the same.
    pub fn remove(&self, network: &Network) -> Result<()> {
        lock(&self.live).remove(&network.id);
        if network.spec.driver != Driver::Bridge {
            return Ok(());
        }
        self.at_home(|| self.bridges.remove(network, &self.firewall))
    }

    fn is_separate(&self) -> bool {
        self.home.as_ref().is_some_and(LazyHome::is_separate)
    }

    /// Does something where the networks are.
    fn at_home<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let Some(home) = &self.home else { return work() };
        let home = home.get()?;
        let runtime = Handle::try_current();
        home.inside(|| {
            let _entered = runtime.as_ref().map(Handle::enter);
            work()
        })
    }

    /// Changes the firewall, and which ports are passed on.
    fn apply(&self, changes: Changes, reservations: &[Reservation]) -> Result<()> {
        let home = self.home.as_ref().and_then(LazyHome::opened);
        let (closed, opened) = (changes.closed.clone(), changes.opened.clone());
        self.firewall.apply(changes)?;
        Firewall::forget_flows(&closed, &opened);
        home.map_or(Ok(()), |home| pass_on(&home, &closed, &opened, reservations))
    }

    /// What is known about a network that is in use.
    fn live(&self, network: &Network) -> Arc<Mutex<Live>> {
        let mut live = lock(&self.live);
        Arc::clone(live.entry(network.id.clone()).or_insert_with(|| Arc::new(Mutex::new(Live::new(network)))))
    }

    /// The bridge of a network, made if it is not there.
    fn raised(&self, network: &Network) -> Result<Option<crate::driver::Raised>> {
        if network.spec.driver != Driver::Bridge {
            return Ok(None);
        }
        let live = self.live(network);
        let mut live = lock(&live);
        if live.raised.is_none() {
            live.raised = Some(self.bridges.raise(network, &self.firewall)?);
        }
        Ok(live.raised.clone())
    }
}

fn delivery(settings: &Settings) -> Delivery {
    match &settings.home {
        None => Delivery::Direct,
        Some(home) if home.outlet.is_some() => Delivery::Both,
        Some(_) => Delivery::PassedOn,
    }
}

/// The gateway that a pool has where none was asked for.
#[must_use]
pub fn usual_gateway(pool: &IpamPool) -> std::net::IpAddr {
    pool.subnet.at(1)
}

/// Blocks that somebody has, in the calling thread's namespace.
fn taken_blocks() -> Result<Vec<Subnet>> {
    let links = Links::open()?;
    let mut taken = links.routes()?;
    taken.extend(links.addresses()?.iter().map(|address| address.subnet));
    Ok(taken)
}

/// A port that leads somewhere else is not shut in between.
fn pass_on(home: &Home, closed: &[Redirect], opened: &[Redirect], reservations: &[Reservation]) -> Result<()> {
    let stays = |gone: &Redirect| opened.iter().any(|redirect| redirect.published == gone.published);
    for Redirect { published, .. } in closed.iter().filter(|gone| !stays(gone)) {
        home.shut(published.port.protocol, host_side(published))?;
    }
    for redirect in opened {
        let reservation = reservations.iter().find(|reservation| reservation.published == redirect.published);
        let socket = reservation.and_then(|reservation| reservation.socket.as_ref()).map(AsFd::as_fd);
        home.pass_on(redirect, socket)?;
    }
    Ok(())
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
