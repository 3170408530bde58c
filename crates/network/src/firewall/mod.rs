//! The host's firewall, as far as it is about our networks: two tables of our own. In anybody else's is nothing but a
//! [`passage`] through it, where one is needed.
//!
//! What the tables are to hold is kept here in full. A change is one transaction that adds or removes elements, whose cost
//! does not depend on how many there are. Where the kernel's state is not what a change expects (somebody flushed the
//! rules, or an engine before us left some), the tables are made anew as a whole, in one transaction, too.

mod base;
mod elements;
mod names;
mod nft;
mod passage;
mod state;
mod tracking;

use std::collections::BTreeSet;
use std::mem::take;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use dhow_errdefs::{Error, Result, ResultExt};

use crate::model::Subnet;
use crate::netlink::{Attributes, Family, Socket, string};
use nft::Transaction;
use state::State;

pub(crate) use names::send_port_53;
pub(crate) use passage::Passage;
pub(crate) use state::{Changes, Member, Redirect, Zone};

/// The group of news about nftables, as a bit.
pub(crate) const NEWS: u32 = 1 << 6;

/// How what is for a published port comes to the container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// The kernel sends it there.
    Direct,
    /// A socket of ours takes it, and the host's input policy decides before.
    PassedOn,
    /// One outside, the other in the namespace of the networks.
    Both,
    /// A socket of ours takes it, and there are no tables: somebody does not want them.
    WithoutRules,
}

/// Our tables and what is in them.
#[derive(Debug)]
pub(crate) struct Firewall {
    table: String,
    delivery: Delivery,
    state: Mutex<State>,
}

impl Firewall {
    /// Tables of that name. Nothing is done to the kernel yet.
    pub(crate) fn new(table: String, delivery: Delivery) -> Self {
        Self { table, delivery, state: Mutex::default() }
    }

    /// The bridges of all networks that are guarded.
    pub(crate) fn bridges(&self) -> BTreeSet<String> {
        self.lock().zones.keys().cloned().collect()
    }

    /// Guards a network from now on.
    pub(crate) fn add_zone(&self, zone: Zone) -> Result<()> {
        let mut state = self.lock();
        if state.in_kernel && state.zones.get(&zone.bridge) == Some(&zone) {
            return Ok(());
        }
        let replaced = state.zones.insert(zone.bridge.clone(), zone.clone());
        // What a network is made of decides about several chains, but changes rarely: then all is made anew.
        let done = if replaced.is_some() {
            self.rebuild(&mut state)
        } else {
            self.change(&mut state, |transaction, guards| {
                base::add_zone(transaction, &zone);
                if guards {
                    transaction.turn_to(nft::BRIDGE);
                    base::add_gateways(transaction, &zone);
                }
            })
        };
        done.inspect_err(|_| drop(state.zones.remove(&zone.bridge)))
    }

    /// Forgets a network. The last one takes the tables along.
    pub(crate) fn remove_zone(&self, bridge: &str) -> Result<()> {
        let mut state = self.lock();
        let Some(zone) = state.zones.remove(bridge) else { return Ok(()) };
        if state.zones.is_empty() {
            return self.rebuild(&mut state);
        }
        self.change(&mut state, |transaction, guards| {
            base::remove_zone(transaction, &zone);
            if guards {
                transaction.turn_to(nft::BRIDGE);
                base::remove_gateways(transaction, &zone);
            }
        })
    }

    /// Lets links of containers have their addresses, sends ports of the host to them, and takes such things back.
    pub(crate) fn apply(&self, changes: &Changes) -> Result<()> {
        if *changes == Changes::default() {
            return Ok(());
        }
        let mut state = self.lock();
        state.apply(changes);
        let gone: Vec<_> = changes.gone.iter().map(|member| (member, state.shared(member))).collect();
        let done = self.change(&mut state, |transaction, guards| {
            elements::remove_redirects(transaction, &changes.closed);
            elements::add_redirects(transaction, &changes.opened);
            if guards {
                transaction.turn_to(nft::BRIDGE);
                gone.iter().for_each(|(member, shared)| elements::remove_member(transaction, member, shared));
                changes.come.iter().for_each(|member| elements::add_member(transaction, member));
            }
        });
        done.inspect_err(|_| state.apply(&changes.clone().reversed()))
    }

    /// Lets flows go where their ports lead now, after these changes.
    pub(crate) fn forget_flows(changes: &Changes) {
        if let Err(error) = tracking::forget(changes) {
            tracing::warn!(%error, "forget where a port has led before");
        }
    }

    /// Forgets flows through ports to whom nobody of `present` is, in these blocks.
    pub(crate) fn forget_absent(subnets: &[Subnet], present: &BTreeSet<IpAddr>) -> Result<()> {
        tracking::forget_absent(subnets, present).context(|| "forget what went to containers that have ended")
    }

    /// What it hears from now on it only keeps, until it is told that this is all: an engine that begins learns of its
    /// containers one by one, and until it knows the last one, what the engine before it has left is better than its own.
    pub(crate) fn collect(&self) {
        self.lock().collecting = true;
    }

    /// That was all; the next change is made to the kernel, with everything that was kept.
    pub(crate) fn end_collecting(&self) {
        self.lock().collecting = false;
    }

    /// Makes the kernel's tables what they are to be, whatever they are now.
    pub(crate) fn restore(&self) -> Result<()> {
        self.end_collecting();
        if self.delivery == Delivery::WithoutRules {
            return self.remove_leftovers();
        }
        let whole = self.rebuild(&mut self.lock());
        if whole.is_err() {
            self.restore_one_by_one();
        }
        whole
    }

    /// What the kernel refuses of one container must not cost all others their ports.
    fn restore_one_by_one(&self) {
        let (zones, members, redirects) = {
            let mut state = self.lock();
            (take(&mut state.zones), take(&mut state.members), take(&mut state.redirects))
        };
        for zone in zones.into_values() {
            let bridge = zone.bridge.clone();
            if let Err(error) = self.add_zone(zone) {
                tracing::warn!(%error, bridge, "the rules of a network are missing");
            }
        }
        if self.lock().zones.is_empty() {
            return;
        }
        for member in members.into_values() {
            let link = member.link.clone();
            if let Err(error) = self.apply(&Changes { come: vec![member], ..Changes::default() }) {
                tracing::warn!(%error, link, "the rules of a container's link are missing");
            }
        }
        for redirect in redirects {
            let port = redirect.published;
            if let Err(error) = self.apply(&Changes { opened: vec![redirect], ..Changes::default() }) {
                tracing::warn!(%error, ?port, "a published port leads nowhere");
            }
        }
    }

    /// Whether news about nftables are that somebody else has been at our tables.
    pub(crate) fn is_touched(&self, kind: u16, sender: u32, payload: &[u8]) -> bool {
        if kind == 0 {
            return true;
        }
        // In every message about something in a table the first attribute is the table's name.
        let table = Attributes(payload.get(4..).unwrap_or_default()).get(1).map(string);
        kind >> 8 == nft::SUBSYSTEM
            && table.as_deref() == Some(&self.table)
            && self.lock().socket.as_ref().and_then(Socket::number) != Some(sender)
    }

    /// Removes tables that an engine before this one has left, if they are there at all: a host whose containers use no
    /// network of ours needs neither rights nor nftables.
    pub(crate) fn remove_leftovers(&self) -> Result<()> {
        let Ok(socket) = Socket::open(Family::Netfilter) else { return Ok(()) };
        for family in [nft::INET, nft::BRIDGE] {
            let mut transaction = Transaction::new(family, &self.table);
            transaction.remove_table();
            // Mostly there is none.
            drop(transaction.commit(&socket));
        }
        Ok(())
    }

    /// Carries out a change, or everything where the tables are not what the change expects.
    fn change(&self, state: &mut State, step: impl FnOnce(&mut Transaction<'_>, bool)) -> Result<()> {
        if !state.in_kernel {
            return self.rebuild(state);
        }
        let mut transaction = Transaction::new(nft::INET, &self.table);
        step(&mut transaction, state.guards);
        transaction.commit(state.socket()?).or_else(|_| self.rebuild(state))
    }

    fn rebuild(&self, state: &mut State) -> Result<()> {
        if state.collecting || self.delivery == Delivery::WithoutRules {
            return Ok(());
        }
        let wanted = !state.zones.is_empty();
        let mut transaction = Transaction::new(nft::INET, &self.table);
        base::clear(&mut transaction);
        if wanted {
            base::fill(&mut transaction, state, self.delivery != Delivery::PassedOn);
            if self.delivery != Delivery::Direct {
                base::bring_back(&mut transaction);
            }
        }
        transaction.commit(state.socket()?).map_err(|error| self.explained(error))?;
        state.in_kernel = wanted;
        // A kernel without nftables for bridges does without.
        let mut transaction = Transaction::new(nft::BRIDGE, &self.table);
        base::clear(&mut transaction);
        if wanted {
            base::fill_bridge_table(&mut transaction, state);
        }
        let guarded = transaction.commit(state.socket()?);
        if wanted && let Err(error) = &guarded {
            tracing::warn!(%error, "containers may take each other's addresses (the kernel needs nftables for bridges)");
        }
        state.guards = guarded.is_ok() && wanted;
        Ok(())
    }

    fn explained(&self, error: Error) -> Error {
        error
            .context(format!("set up the firewall table {}", self.table))
            .with_hint("the kernel needs nftables with address translation (nf_tables, nft_chain_nat, nft_fib_inet)")
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use rustix::thread::ThreadNameSpaceType;

    use super::*;
    use crate::model::{Port, Protocol, Published};

    fn redirect(host_port: u16, target: &str) -> Redirect {
        let port = Port { number: 80, protocol: Protocol::Tcp };
        let published = Published { port, host_address: "0.0.0.0".parse().expect("an address"), host_port };
        Redirect { published, target: target.parse().expect("an address"), from: Vec::new() }
    }

    fn opened(redirect: Redirect) -> Changes {
        Changes { opened: vec![redirect], ..Changes::default() }
    }

    /// Two containers have the same port, as only a damaged record says: one of them does without, and nobody else.
    #[test]
    fn what_the_kernel_refuses_of_one_container_costs_no_other_its_port() {
        dhow_sys::namespace::unshare(ThreadNameSpaceType::NETWORK).expect("the tests run as root");
        let firewall = Firewall::new("dhow-test".to_owned(), Delivery::Direct);
        firewall.collect();
        let zone = Zone {
            bridge: "br0".to_owned(),
            subnets: vec!["10.1.0.0/24".parse().expect("a subnet")],
            gateways: vec!["10.1.0.1".parse().expect("an address")],
            internal: false,
            masquerade: true,
            outward: Vec::new(),
            icc: true,
        };
        firewall.add_zone(zone).expect("it is only kept");
        for (port, target) in [(8080, "10.1.0.2"), (8080, "10.1.0.3"), (8081, "10.1.0.4")] {
            firewall.apply(&opened(redirect(port, target))).expect("it is only kept");
        }
        firewall.restore().expect_err("one of them is too many");
        firewall.apply(&opened(redirect(8082, "10.1.0.5"))).expect("what comes later is made");
        let table =
            Command::new("nft").args(["list", "table", "inet", "dhow-test"]).output().expect("nft is installed");
        let table = String::from_utf8_lossy(&table.stdout).into_owned();
        for (target, there) in [("10.1.0.2", true), ("10.1.0.3", false), ("10.1.0.4", true), ("10.1.0.5", true)] {
            assert_eq!(table.contains(target), there, "{target}: {table}");
        }
    }
}
