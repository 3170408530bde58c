//! Everything that one engine has of networks in the kernel.

mod change;
mod connect;
mod containers;
mod live;
mod restore;
mod watch;

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use dhow_errdefs::{Error, Result};
use dhow_sys::frame::FrameSocket;

use crate::dns::Directory;
use crate::driver::{Bridges, raise_macvlan};
use crate::firewall::{Changes, Delivery, Firewall, Passage, Redirect};
use crate::home::{Home, HomeSettings, LazyHome, host_side};
use crate::ipam::{AddressUsage, BlockPool, free_block};
use crate::link::Links;
use crate::model::{Driver, IpamPool, Network, Protocol, Published, Subnet, is_link_local};
use crate::ports::{Reservation, bind, bind_to_listen};
use containers::Containers;
use live::Live;
pub use restore::Survivor;
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
    /// The holder, which passes on ports that the kernel cannot send to the container.
    pub home: HomeSettings,
    /// All ports are passed on: those of an engine without root, whose networks are in a namespace of their own, and those
    /// that obey the host's input policy.
    pub passed_on: bool,
    /// Rules are made; without, somebody else sees to what the host lets through.
    pub rules: bool,
    /// The host may be told to pass packets on between its networks.
    pub forwarding: bool,
}

/// The networks of one engine. All methods block, but only for the kernel's own work.
#[derive(Debug)]
pub struct Networks {
    settings: Settings,
    home: LazyHome,
    bridges: Bridges,
    firewall: Firewall,
    /// `None` where the networks are in a namespace of their own: nobody else has rules there.
    passage: Option<Passage>,
    directory: Arc<Directory>,
    live: Mutex<HashMap<String, Arc<Mutex<Live>>>>,
    containers: Containers,
    watch: OnceLock<Option<Watch>>,
    /// For addresses that somebody has from now on.
    frames: OnceLock<Option<FrameSocket>>,
    /// There are containers of which nobody knows what they have.
    has_strangers: AtomicBool,
}

impl Networks {
    /// Nothing is done to the kernel before the first network is used.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            bridges: Bridges::new(settings.engine.clone(), settings.default_bridge.clone(), settings.forwarding),
            firewall: Firewall::new(format!("dhow-{}", settings.engine), delivery(&settings)),
            home: LazyHome::new(settings.home.clone()),
            // A zone decides about what comes in, too: where the host's policy is to decide about that, no bridge is put into one.
            passage: (settings.rules && settings.home.outlet.is_none())
                .then(|| Passage::new(&settings.engine, !settings.passed_on)),
            directory: Arc::default(),
            settings,
            live: Mutex::default(),
            containers: Containers::default(),
            watch: OnceLock::new(),
            frames: OnceLock::new(),
            has_strangers: AtomicBool::new(false),
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

    /// The addresses of a bridge that somebody has made on the host, for a network to be on, but for those that the kernel
    /// gave it.
    ///
    /// # Errors
    /// `NotFound`, `InvalidArgument` for what is no bridge, `Conflict` for one that an engine has made for another network;
    /// an error of the kernel.
    pub fn addresses_of_bridge(&self, network: &Network, name: &str) -> Result<Vec<Subnet>> {
        self.at_home(|| {
            let links = Links::open()?;
            let link = links.named(name)?;
            if !link.bridge {
                return Err(Error::invalid(format!("the host's link {name} is no bridge")));
            }
            self.bridges.check_given(&link, network)?;
            let own = links.addresses()?.into_iter().filter(|address| address.index == link.index);
            Ok(own.map(|address| address.subnet).filter(|subnet| !is_kernels(*subnet)).collect())
        })
    }

    /// The bridge that any of these links to containers is on; `None` where all are gone.
    ///
    /// # Errors
    /// An error of the kernel.
    pub fn bridge_of(&self, ports: &[String]) -> Result<Option<String>> {
        if ports.is_empty() || self.is_separate() && !self.home.is_there() {
            return Ok(None);
        }
        self.at_home(|| Bridges::bridge_of(ports))
    }

    /// Makes a network true. Otherwise that happens when it is first used.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub fn raise(self: &Arc<Self>, network: &Network) -> Result<()> {
        self.at_home(|| {
            self.watch();
            match network.spec.driver {
                Driver::Macvlan => raise_macvlan(network, &self.bridges.alias(network)),
                _ => self.raised(network).map(drop),
            }
        })
    }

    /// Removes a network that nobody uses from the kernel.
    ///
    /// # Errors
    /// What the kernel refuses; the rest is removed all the same.
    pub fn remove(&self, network: &Network) -> Result<()> {
        lock(&self.live).remove(&network.id);
        self.at_home(|| match network.spec.driver {
            Driver::Bridge => {
                let (bridge, removed) = self.bridges.remove(network, &self.firewall);
                self.let_bridges_through();
                if let (Some(passage), Some(bridge)) = (&self.passage, bridge) {
                    passage.shut_for(bridge);
                }
                removed
            }
            Driver::Macvlan => self.bridges.remove_parent(network),
            _ => Ok(()),
        })
    }

    /// The rules of others let pass what is for our bridges.
    fn let_bridges_through(&self) {
        if let Some(passage) = &self.passage {
            passage.open_for(self.firewall.bridges());
        }
    }

    fn is_separate(&self) -> bool {
        self.home.is_separate()
    }

    /// Does something where the networks are.
    fn at_home<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        if !self.settings.passed_on {
            return work();
        }
        let home = self.home.get()?;
        let runtime = Handle::try_current();
        home.inside(|| {
            let _entered = runtime.as_ref().map(Handle::enter);
            work()
        })
    }

    /// Changes the firewall, and which ports are passed on.
    fn apply(&self, changes: Changes, reservations: &[Reservation]) -> Result<()> {
        let applied = self.firewall.apply(&changes);
        // Whatever the kernel has refused: addresses are given up.
        Firewall::forget_flows(&changes);
        applied?;
        let Changes { mut closed, mut opened, .. } = changes;
        if !self.settings.passed_on {
            closed.retain(Redirect::is_relayed);
            opened.retain(Redirect::is_relayed);
        }
        if closed.is_empty() && opened.is_empty() {
            return Ok(());
        }
        pass_on(&*self.home.get()?, &closed, &opened, reservations)
    }

    /// Takes a port of the host.
    fn bind(&self, protocol: Protocol, address: SocketAddr) -> rustix::io::Result<OwnedFd> {
        let home = if self.settings.passed_on { self.home.opened() } else { None };
        match home {
            Some(home) => home.bind(protocol, address),
            // It may be passed on by a process of ours; then connections are accepted there.
            None if address.is_ipv6() => bind_to_listen(protocol, address),
            None => bind(protocol, address),
        }
    }

    /// How many addresses of each pool of a network there are for whom.
    #[must_use]
    pub fn usage(&self, network: &Network) -> Vec<(Subnet, AddressUsage)> {
        let live = lock(&self.live).get(&network.id).cloned();
        live.map_or_else(|| Live::new(network).usage(), |live| lock(&live).usage())
    }

    /// What is known about a network that is in use.
    fn live(&self, network: &Network) -> Arc<Mutex<Live>> {
        let new = || Arc::new(Mutex::new(Live::new(network)));
        let live = Arc::clone(lock(&self.live).entry(network.id.clone()).or_insert_with(new));
        lock(&live).learn(network);
        live
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
            self.let_bridges_through();
        }
        Ok(live.raised.clone())
    }
}

fn delivery(settings: &Settings) -> Delivery {
    match (settings.passed_on, &settings.home.outlet) {
        _ if !settings.rules => Delivery::WithoutRules,
        (false, _) => Delivery::Direct,
        (true, Some(_)) => Delivery::Both,
        (true, None) => Delivery::PassedOn,
    }
}

/// The gateway that a pool has where none was asked for.
#[must_use]
pub fn usual_gateway(pool: &IpamPool) -> IpAddr {
    pool.subnet.at(1)
}

/// The address that each link with IPv6 gets.
fn is_kernels(subnet: Subnet) -> bool {
    subnet.is_ipv6() && is_link_local(subnet.address())
}

/// Blocks that somebody has, in the calling thread's namespace.
fn taken_blocks() -> Result<Vec<Subnet>> {
    let links = Links::open()?;
    let mut taken = links.routes()?;
    taken.extend(links.addresses()?.iter().map(|address| address.subnet));
    Ok(taken)
}

/// A port that leads somewhere else is not shut in between.
fn pass_on<'a>(home: &Home, closed: &[Redirect], opened: &[Redirect], reservations: &'a [Reservation]) -> Result<()> {
    let stays: HashSet<Published> = opened.iter().map(|redirect| redirect.published).collect();
    let gone = closed.iter().map(|redirect| &redirect.published).filter(|published| !stays.contains(published));
    home.shut(gone.map(|published| (published.port.protocol, host_side(published))))?;
    let socket = |reservation: &'a Reservation| Some((reservation.published, reservation.socket.as_ref()?.as_fd()));
    let sockets: HashMap<Published, BorrowedFd<'_>> = reservations.iter().filter_map(socket).collect();
    home.pass_on(opened.iter().map(|redirect| (redirect, sockets.get(&redirect.published).copied())))
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
