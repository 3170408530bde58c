//! Changes of a container that runs: into a network, out of one, ports.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use dhow_errdefs::{Class, Error, Result};

use super::connect::names;
use super::live::Held;
use super::{Networks, lock};
use crate::connection::{Attachment, Connection, Request};
use crate::link::Links;
use crate::model::{Network, PortBinding, Published};
use crate::ports::Reservation;
use crate::sandbox::{Sandbox, without_ipv6};

impl Networks {
    /// Gives a container that runs, in that network namespace, a place in one further network, which is all that is asked for.
    ///
    /// # Errors
    /// As [`connect`](Self::connect). No place stays of it.
    pub fn join(self: &Arc<Self>, namespace: OwnedFd, request: &Request<'_>) -> Result<Connection> {
        self.watch();
        let Request { container, places, names: called, servers, .. } = request;
        let place = places.first().ok_or_else(|| Error::internal("no network to join"))?;
        if self.connection(container).is_none() {
            // It was started without any network.
            let sandbox = Sandbox::of_namespace(namespace)?;
            sandbox.inside(without_ipv6)?;
            let sandbox = Some(sandbox);
            let name = called.first().cloned().unwrap_or_default();
            self.containers.insert(container, Held { sandbox, name, ..Held::default() });
        }
        self.change(container, |held| {
            if held.connection.attachments.iter().any(|attachment| attachment.endpoint.network == place.network.id) {
                return Err(Error::conflict(format!("it is in network {} already", place.network.name())));
            }
            held.connection.servers.clone_from(servers);
            let before = held.connection.clone();
            let mut attachment = self.attach(held, place)?;
            attachment.names = names(place, called);
            let joined = self.place_attached(held, attachment, place).and_then(|()| {
                self.set_routes(held)?;
                self.take_lost(held);
                self.redirect(&before, &held.connection, &held.reservations)?;
                held.connection.attachments.last().into_iter().for_each(|attachment| self.announce(attachment));
                self.answer(held, container, None)?;
                self.wait_for_links(held)
            });
            joined.inspect_err(|_| self.take_out(held, container, &place.network))
        })
    }

    /// Takes a container that runs out of a network.
    ///
    /// # Errors
    /// `NotFound` if it is not in there.
    pub fn leave(&self, container: &str, network: &Network) -> Result<Connection> {
        self.change(container, |held| {
            if !held.connection.attachments.iter().any(|attachment| attachment.endpoint.network == network.id) {
                return Err(Error::not_found(format!("no place in network {}", network.name())));
            }
            self.take_out(held, container, network);
            self.set_routes(held)
        })
    }

    /// Publishes further ports of a container that runs.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub fn publish_more(&self, container: &str, bindings: &[PortBinding]) -> Result<Connection> {
        self.change(container, |held| {
            let before = held.connection.clone();
            let reservations = self.reserve(held, bindings)?;
            held.connection.add_published(&reservations);
            match self.redirect(&before, &held.connection, &reservations) {
                Ok(()) => held.reservations.extend(reservations),
                Err(error) => {
                    // The rules may have changed before whoever passes ports on refused.
                    if let Err(error) = self.redirect(&held.connection, &before, &[]) {
                        tracing::debug!(%error, container, "take back ports that could not be published");
                    }
                    held.connection = before;
                    return Err(error);
                }
            }
            Ok(())
        })
    }

    /// Takes published ports of a container that runs back.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub fn publish_less(&self, container: &str, gone: &[Published]) -> Result<Connection> {
        self.change(container, |held| {
            let before = held.connection.clone();
            held.connection.published.retain(|published| !gone.contains(published));
            held.connection.limited.retain(|limited| !gone.contains(&limited.published));
            let closed = self.redirect(&before, &held.connection, &[]);
            held.reservations.retain(|reservation| !gone.contains(&reservation.published));
            closed
        })
    }

    /// A container that runs is called something else from now on.
    ///
    /// # Errors
    /// `Conflict` if it has no network of its own.
    pub fn rename(&self, container: &str, old: &str, new: &str) -> Result<Connection> {
        self.change(container, |held| {
            new.clone_into(&mut held.name);
            for attachment in &mut held.connection.attachments {
                attachment.names.iter_mut().filter(|name| *name == old).for_each(|name| new.clone_into(name));
                let network = &attachment.endpoint.network;
                self.directory.remove(network, container, &attachment.addresses());
                if let Some(named) = attachment.named(container) {
                    self.directory.add(network, &attachment.network_name, &named);
                }
            }
            Ok(())
        })
    }

    /// Works on what a container has. One container is worked on by one at a time.
    fn change(&self, container: &str, work: impl FnOnce(&mut Held) -> Result<()> + Send) -> Result<Connection> {
        let held = self.containers.get(container);
        let held = held.ok_or_else(|| Error::conflict(format!("container {container} has no network of its own")))?;
        let mut held = lock(&held);
        let held = &mut *held;
        let done = self.at_home(|| work(held));
        self.containers.tell(container, &held.connection);
        done.map(|()| held.connection.clone())
    }

    /// Goes on through errors: the place is gone in any case.
    fn take_out(&self, held: &mut Held, container: &str, network: &Network) {
        let before = held.connection.clone();
        let (gone, rest) = { std::mem::take(&mut held.connection.attachments) }
            .into_iter()
            .partition::<Vec<Attachment>, _>(|attachment| attachment.endpoint.network == network.id);
        held.connection.attachments = rest;
        // Its link is not taken for one that somebody else removes.
        self.containers.tell(container, &held.connection);
        if let Err(error) = self.redirect(&before, &held.connection, &held.reservations) {
            tracing::warn!(%error, container, "lead published ports another way");
        }
        for attachment in &gone {
            self.directory.remove(&network.id, container, &attachment.addresses());
            if let Err(error) = remove_link(held, attachment)
                && error.class() != Class::NotFound
            {
                tracing::warn!(%error, container, "remove a link");
            }
            lock(&self.live(network)).give_back(attachment);
        }
        if let Some(resolver) = &held.resolver {
            resolver.ask(held.connection.whom_to_ask());
        }
    }

    /// Members and published ports as they are now instead of as they were.
    fn redirect(&self, before: &Connection, after: &Connection, reservations: &[Reservation]) -> Result<()> {
        let redirects = |connection: &Connection| connection.redirects().into_iter().collect::<BTreeSet<_>>();
        let (old, new) = (redirects(before), redirects(after));
        let is_in = |connection: &Connection, port: &str| {
            connection.attachments.iter().any(|attachment| attachment.port == port)
        };
        let members = |of: &Connection, other: &Connection| {
            let only = of.attachments.iter().filter(|attachment| !is_in(other, &attachment.port));
            only.filter_map(Attachment::member).collect()
        };
        let changes = crate::firewall::Changes {
            gone: members(before, after),
            come: members(after, before),
            closed: old.difference(&new).cloned().collect(),
            opened: new.difference(&old).cloned().collect(),
        };
        self.apply(changes, reservations)
    }
}

fn remove_link(held: &Held, attachment: &Attachment) -> Result<()> {
    if attachment.port.is_empty() {
        let Some(sandbox) = &held.sandbox else { return Ok(()) };
        let index = sandbox.links().named(&attachment.endpoint.interface)?.index;
        return sandbox.links().remove(index);
    }
    let links = Links::open()?;
    links.remove(links.named(&attachment.port)?.index)
}
