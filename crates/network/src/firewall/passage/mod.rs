//! A way through the rules of others.
//!
//! What one table of the kernel lets pass another one may still drop: a host whose iptables forward nothing (ufw, dockerd and
//! Kubernetes set that policy), or whose firewalld knows nothing of our bridges, would cut containers off. There it is told to
//! let pass what comes from our bridges and goes to them; who may really come is decided by our own table, whose word to drop
//! is the last one. Both are told by programs of theirs, by a thread of its own, because whoever holds a lock of theirs must
//! hold up no container; and only where they are in use.

mod firewalld;
mod iptables;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::nft;
use crate::netlink::{Attributes, string};
use crate::networks::lock;
use firewalld::Firewalld;
use iptables::{TABLES, Table};

/// How often is looked whether our rules are still there, where the kernel tells nobody (the older kind of iptables).
const BEAT: Duration = Duration::from_millis(500);

/// Where the programs are.
const FOLDERS: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/bin", "/usr/local/sbin"];

/// The way through, kept open as long as this lives and there are bridges.
#[derive(Debug)]
pub(crate) struct Passage {
    chain: String,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    wish: Mutex<Wish>,
    news: Condvar,
}

#[derive(Debug, Default)]
struct Wish {
    bridges: BTreeSet<String>,
    /// Somebody is to look.
    due: bool,
    begun: bool,
    over: bool,
}

impl Passage {
    /// For the engine of that name. Nothing is done yet.
    pub(crate) fn new(engine: &str) -> Self {
        Self { chain: format!("DHOW-{engine}"), shared: Arc::default() }
    }

    /// Lets these bridges through from now on; happens soon.
    pub(crate) fn open_for(&self, bridges: BTreeSet<String>) {
        let mut wish = lock(&self.shared.wish);
        if wish.bridges == bridges {
            return;
        }
        (wish.bridges, wish.due) = (bridges, true);
        if !wish.begun {
            let (chain, shared) = (self.chain.clone(), Arc::clone(&self.shared));
            let work = thread::Builder::new().name("passage".to_owned()).stack_size(256 << 10);
            wish.begun = work.spawn(move || keep_open(&chain, &shared)).is_ok();
        }
        self.shared.news.notify_all();
    }

    /// Whether news about nftables are that somebody has been at the tables of iptables or firewalld; then they are looked at.
    pub(crate) fn look_after(&self, kind: u16, payload: &[u8]) {
        let table = Attributes(payload.get(4..).unwrap_or_default()).get(1).map(string);
        let of_others = match payload.first() {
            Some(&(nft::IPV4 | nft::IPV6)) => table.as_deref() == Some("filter"),
            Some(&nft::INET) => table.as_deref() == Some(firewalld::TABLE),
            _ => false,
        };
        if kind == 0 || kind >> 8 == nft::SUBSYSTEM && of_others {
            lock(&self.shared.wish).due = true;
            self.shared.news.notify_all();
        }
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        lock(&self.shared.wish).over = true;
        self.shared.news.notify_all();
    }
}

/// Works until the end.
fn keep_open(chain: &str, shared: &Shared) {
    let mut told = String::new();
    let mut firewalld = Firewalld::default();
    while let Some(bridges) = next(shared) {
        let done = TABLES.iter().filter(|table| table.is_used()).try_for_each(|table| table.repair(chain, &bridges));
        let done = done.and(firewalld.repair(&bridges));
        let text = done.err().map(|error| error.to_string()).unwrap_or_default();
        if !text.is_empty() && text != told {
            tracing::warn!(error = text, "the host's firewall may keep what is for containers");
        }
        if !text.is_empty() {
            thread::sleep(BEAT);
            lock(&shared.wish).due = true;
        }
        told = text;
    }
}

/// Waits until there is something to be looked at; `None` at the end.
fn next(shared: &Shared) -> Option<BTreeSet<String>> {
    let mut wish = lock(&shared.wish);
    loop {
        if wish.over {
            return None;
        }
        if wish.due {
            wish.due = false;
            return Some(wish.bridges.clone());
        }
        let polls = !wish.bridges.is_empty() && TABLES.iter().any(Table::is_watched);
        if polls {
            let (again, waited) = shared.news.wait_timeout(wish, BEAT).unwrap_or_else(PoisonError::into_inner);
            wish = again;
            wish.due |= waited.timed_out();
        } else {
            wish = shared.news.wait(wish).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// A program of that or another name, the first one that is installed.
fn program(names: &[impl AsRef<str>]) -> Option<Command> {
    let mut paths =
        names.iter().flat_map(|name| FOLDERS.iter().map(move |folder| Path::new(folder).join(name.as_ref())));
    paths.find(|path| path.exists()).map(Command::new)
}
