//! After a start of the engine: what was there before.

use std::collections::{BTreeSet, HashSet};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use dhow_errdefs::{Class, Result};

use super::connect::{furnish, opened};
use super::live::Held;
use super::{Networks, lock, pass_on};
use crate::connection::{Attachment, Connection};
use crate::dns::Sockets;
use crate::driver::Bridges;
use crate::firewall::{Firewall, Redirect};
use crate::home::{Home, host_side};
use crate::link::Links;
use crate::model::{Driver, HostPorts, Network, PortBinding, Protocol, Published};
use crate::ports::{Families, Reservation, reserve};
use crate::sandbox::Sandbox;

/// What a container has that runs since before this engine was started.
#[derive(Debug)]
pub struct Survivor {
    /// The container's name.
    pub name: String,
    /// Its network namespace; `None`: it cannot be found any more.
    pub namespace: Option<OwnedFd>,
    /// What it had.
    pub connection: Connection,
    /// What was kept of its [`keepsakes`](Networks::keepsakes).
    pub kept: Vec<(String, OwnedFd)>,
}

impl Networks {
    /// Takes over what a container has that runs since before this engine was started. To be followed by
    /// [`settle`](Self::settle).
    pub fn adopt(&self, container: &str, survivor: Survivor, networks: &[Network]) {
        self.firewall.collect();
        let adopted = self.at_home(|| {
            self.adopt_here(container, survivor, networks);
            Ok(())
        });
        if let Err(error) = adopted {
            tracing::warn!(%error, container, "find the networks of a container");
        }
    }

    fn adopt_here(&self, container: &str, survivor: Survivor, networks: &[Network]) {
        let Survivor { name, namespace, connection, kept } = survivor;
        for attachment in &connection.attachments {
            if let Some(network) = networks.iter().find(|network| network.id == attachment.endpoint.network) {
                lock(&self.live(network)).adopt(attachment);
                if let Err(error) = self.raised(network) {
                    tracing::warn!(%error, network = network.name(), "restore a network");
                }
            }
        }
        let reservations = self.take_again(&connection);
        if let Err(error) = self.apply(opened(&connection), &reservations) {
            tracing::warn!(%error, container, "restore the ports of a container");
        }
        let sandbox = namespace.map(Sandbox::of_namespace).transpose();
        let sandbox = sandbox.inspect_err(|error| tracing::warn!(%error, "visit a network namespace"));
        let kept = Sockets::of_keepsakes(kept).ok();
        let held = Held { sandbox: sandbox.ok().flatten(), connection, reservations, name, resolver: None, kept };
        held.make_known(container, &self.directory);
        self.containers.insert(container, held);
    }

    /// Takes the ports of a container again that nobody holds for it. Somebody may have taken one meanwhile; the kernel
    /// sends the packets to the container all the same.
    fn take_again(&self, connection: &Connection) -> Vec<Reservation> {
        let passed_on = self.passed_on_for(connection);
        let passed_on = passed_on.inspect_err(|error| tracing::warn!(%error, "ask for the ports that are passed on"));
        let passed_on = passed_on.unwrap_or_default();
        let again = |published: &Published| {
            let families = Families { ipv4: true, ipv6: true, binding: None };
            let take = |protocol, address| self.bind(protocol, address);
            reserve(&[published.as_binding(Vec::new())], families, &take, |_| None)
                .inspect_err(|error| tracing::warn!(%error, "hold a published port"))
                .ok()
        };
        let held = |published: &&Published| passed_on.contains(&(published.port.protocol, host_side(published)));
        connection.published.iter().filter(|published| !held(published)).filter_map(again).flatten().collect()
    }

    /// The ports of a container that the holder has. It gives back what it had for an engine of another configuration, and
    /// what the kernel does now.
    fn passed_on_for(&self, connection: &Connection) -> Result<HashSet<(Protocol, SocketAddr)>> {
        let port = |published: &Published| (published.port.protocol, host_side(published));
        let wanted: HashSet<_> = self.relayed(connection).iter().map(|redirect| port(&redirect.published)).collect();
        if wanted.is_empty() && (connection.published.is_empty() || !self.home.is_there()) {
            return Ok(HashSet::new());
        }
        let home = self.home.get()?;
        let of_us: HashSet<_> = connection.published.iter().map(port).collect();
        let (kept, given_back): (Vec<_>, Vec<_>) =
            home.passed_on()?.into_iter().filter(|port| of_us.contains(port)).partition(|port| wanted.contains(port));
        home.shut(given_back.into_iter())?;
        Ok(kept.into_iter().collect())
    }

    /// What the holder passes on for a container.
    fn relayed(&self, connection: &Connection) -> Vec<Redirect> {
        let mut redirects = connection.redirects();
        redirects.retain(|redirect| self.settings.passed_on || redirect.is_relayed());
        redirects
    }

    /// Has the holder give back ports that these ask for and that it has for nobody: an engine before this one had no time
    /// to write down for whom.
    ///
    /// # Errors
    /// When the holder cannot be asked.
    pub fn take_back(&self, wanted: &[PortBinding]) -> Result<()> {
        if wanted.is_empty() || !self.home.is_there() {
            return Ok(());
        }
        let known = self.known_ports();
        let asks = |binding: &PortBinding, (protocol, host): &(Protocol, SocketAddr)| {
            let named = matches!(&binding.host_ports, HostPorts::Among(numbers) if numbers.contains(&host.port()));
            named && binding.port.protocol == *protocol
        };
        let home = self.home.get()?;
        let passed_on = home.passed_on()?.into_iter();
        home.shut(passed_on.filter(|port| !known.contains(port) && wanted.iter().any(|binding| asks(binding, port))))
    }

    /// The published ports of all containers.
    fn known_ports(&self) -> HashSet<(Protocol, SocketAddr)> {
        let mut known = HashSet::new();
        let port = |published: &Published| (published.port.protocol, host_side(published));
        self.containers.each(|connection| known.extend(connection.published.iter().map(port)));
        known
    }

    /// Shuts ports that are passed on for a container that is gone.
    fn shut_leftovers(&self, home: &Home) -> Result<()> {
        let wanted = self.known_ports();
        home.shut(home.passed_on()?.into_iter().filter(|port| !wanted.contains(port)))
    }

    /// The holder has died: another one goes on with what there is, and the ports are passed on again. Who has come to one
    /// meanwhile waits in its socket, which we have, too.
    pub(crate) fn replace_holder(&self) {
        self.home.forget();
        match self.home.get().and_then(|home| self.pass_on_again(&home)) {
            Ok(()) => tracing::info!("the holder of the networks has died, and is replaced"),
            Err(error) => tracing::warn!(%error, "replace the holder of the networks, which has died"),
        }
    }

    fn pass_on_again(&self, home: &Home) -> Result<()> {
        let mut done = Ok(());
        for (_, held) in self.containers.all() {
            let mut held = lock(&held);
            self.take_lost(&mut held);
            let redirects = self.relayed(&held.connection);
            done = done.and(pass_on(home, &[], &redirects, &held.reservations));
        }
        done
    }

    /// Takes ports again that are to be passed on, and that neither the holder has nor we: an engine before this one had the
    /// sockets, and what is not passed on the holder gives back.
    pub(super) fn take_lost(&self, held: &mut Held) {
        let redirects = self.relayed(&held.connection);
        let passed_on: HashSet<_> = redirects.iter().map(|redirect| redirect.published).collect();
        let kept: HashSet<_> = held.reservations.iter().map(|reservation| reservation.published).collect();
        let mut lost = held.connection.clone();
        lost.published.retain(|published| passed_on.contains(published) && !kept.contains(published));
        if !lost.published.is_empty() {
            held.reservations.extend(self.take_again(&lost));
        }
    }

    /// Bridges that are gone are made again, and links that were in them put back.
    pub(super) fn restore_links(&self) -> Result<()> {
        let live: Vec<_> = lock(&self.live).values().cloned().collect();
        let mut done = Ok(());
        for live in live {
            let mut live = lock(&live);
            if live.raised.is_some() {
                match self.bridges.raise(&live.network, &self.firewall) {
                    Ok(raised) => live.raised = Some(raised),
                    Err(error) => done = done.and(Err(error)),
                }
            }
        }
        for (_, held) in self.containers.all() {
            let held = lock(&held);
            for attachment in held.connection.attachments.iter().filter(|attachment| !attachment.port.is_empty()) {
                done = done.and(self.restore_link(&held, attachment));
            }
        }
        done
    }

    fn restore_link(&self, held: &Held, attachment: &Attachment) -> Result<()> {
        let live = lock(&self.live).get(&attachment.endpoint.network).cloned();
        let raised = live.and_then(|live| lock(&live).raised.clone());
        let (Some(bridge), Some(sandbox)) = (raised, &held.sandbox) else { return Ok(()) };
        let links = Links::open()?;
        match links.named(&attachment.port) {
            Ok(link) if link.master == Some(bridge.index) => Ok(()),
            Ok(_) => links.enslave(&attachment.port, bridge.index, !bridge.options.icc),
            Err(error) if error.class() == Class::NotFound => {
                Bridges::attach(&bridge, &attachment.port, &attachment.endpoint, sandbox)?;
                furnish(sandbox, attachment)?;
                self.set_routes(held)
            }
            Err(error) => Err(error),
        }
    }

    /// Whether the blocks of a network can be used on this host: its bridge is there already, or nobody else has them.
    ///
    /// # Errors
    /// An error of the kernel.
    pub fn is_usable(&self, network: &Network) -> Result<bool> {
        if network.pools.is_empty() {
            return Ok(false);
        }
        self.at_home(|| self.is_usable_here(network))
    }

    fn is_usable_here(&self, network: &Network) -> Result<bool> {
        let live = lock(&self.live).get(&network.id).cloned();
        if live.is_some_and(|live| lock(&live).raised.is_some()) || self.bridges.is_there(network)? {
            return Ok(true);
        }
        let taken = super::taken_blocks()?;
        Ok(!network.pools.iter().any(|pool| taken.iter().any(|other| other.overlaps(pool.subnet))))
    }

    /// Begins to answer the questions of the containers that were adopted: all names are known by now.
    fn answer_adopted(&self) {
        for (container, held) in self.containers.all() {
            let mut held = lock(&held);
            let kept = held.kept.take();
            if let Err(error) = self.answer(&mut held, &container, kept) {
                tracing::warn!(%error, container, "answer questions for names again");
            }
        }
    }

    /// Removes what an engine before this one has left: bridges of networks that are no more, links to containers that
    /// nobody has, and rules; and answers the questions of containers that were adopted.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub fn settle(self: &Arc<Self>, networks: &[Network]) -> Result<()> {
        self.home.watch(Arc::downgrade(self));
        let in_use = !lock(&self.live).is_empty();
        let watch = || {
            self.watch();
            Ok(())
        };
        let watched = if in_use { self.at_home(watch) } else { Ok(()) };
        self.answer_adopted();
        let home = self.settle_home();
        // Somebody may have been at them while there was no engine.
        let links = if in_use { self.at_home(|| self.restore_links()) } else { Ok(()) };
        let done = if self.is_separate() && self.home.opened().is_none() {
            // Nobody has needed it: there is nothing in it.
            Ok(())
        } else {
            self.at_home(|| self.settle_here(networks))
        };
        // Whatever went wrong: what happens from now on the kernel is told.
        self.firewall.end_collecting();
        all([watched, home, links, done])
    }

    /// In place of [`settle`](Self::settle) where the host's networks are none of ours: what happens from now on the kernel
    /// is told.
    pub fn settle_nothing(&self) {
        self.firewall.end_collecting();
    }

    /// Gives back what the holder has for containers that are gone.
    fn settle_home(&self) -> Result<()> {
        let home = match self.home.opened() {
            Some(home) => home,
            None if self.is_separate() => return Ok(()),
            None if self.settings.passed_on || self.home.is_there() => self.home.get()?,
            None => return Ok(()),
        };
        self.shut_leftovers(&home)
    }

    /// There is a container that runs, and nobody knows what it has: so no link is taken for a leftover.
    pub fn spare_strangers(&self) {
        self.has_strangers.store(true, Ordering::Relaxed);
    }

    /// The host's ends of all links of containers.
    fn ports(&self) -> HashSet<String> {
        let mut ports = HashSet::new();
        self.containers.each(|connection| ports.extend(connection.attachments.iter().map(|it| it.port.clone())));
        ports
    }

    fn settle_here(&self, networks: &[Network]) -> Result<()> {
        let swept = self.bridges.sweep(&networks.iter().collect::<Vec<_>>());
        let strangers = self.has_strangers.load(Ordering::Relaxed);
        let ports = if strangers { Ok(()) } else { self.bridges.sweep_ports(&self.ports()) };
        if let Some(passage) = &self.passage {
            passage.begin(self.firewall.bridges());
        }
        let unused = lock(&self.live).is_empty();
        let rules = if unused { self.firewall.remove_leftovers() } else { self.firewall.restore() };
        let flows = if strangers { Ok(()) } else { self.forget_absent(networks) };
        all([swept, ports, rules, flows])
    }

    /// Nobody's clients come to the container that has their container's address next. Behind other drivers than bridges are
    /// networks of the host, where others have their own flows.
    fn forget_absent(&self, networks: &[Network]) -> Result<()> {
        let mut present = BTreeSet::new();
        self.containers
            .each(|connection| present.extend(connection.attachments.iter().flat_map(Attachment::addresses)));
        let bridges = networks.iter().filter(|network| network.spec.driver == Driver::Bridge);
        let subnets: Vec<_> = bridges.flat_map(|network| &network.pools).map(|pool| pool.subnet).collect();
        Firewall::forget_absent(&subnets, &present)
    }
}

/// The first failure; the others are told, too.
fn all<const COUNT: usize>(done: [Result<()>; COUNT]) -> Result<()> {
    let mut failed = done.into_iter().filter_map(Result::err);
    let first = failed.next();
    failed.for_each(|error| tracing::warn!(%error, "settle networks"));
    first.map_or(Ok(()), Err)
}
