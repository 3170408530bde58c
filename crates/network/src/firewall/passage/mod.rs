//! A way through the rules of others.
//!
//! What one table of the kernel lets pass another one may still drop: a host whose iptables forward nothing (ufw, dockerd and
//! Kubernetes set that policy), or whose firewalld knows nothing of our bridges, would cut containers off. There it is told to
//! let pass what comes from our bridges and goes to them; who may really come is decided by our own table, whose word to drop
//! is the last one. Both are told by programs of theirs, by a thread of its own, because whoever holds a lock of theirs must
//! hold up no container; and only where they are in use. What an engine before this one has told them is taken back, too.

mod firewalld;
mod iptables;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
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

/// How long is waited at most before what failed is tried again.
const LONGEST: Duration = Duration::from_secs(30);

/// Where the programs are.
const FOLDERS: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/bin", "/usr/local/sbin"];

/// The way through, kept open as long as this lives and there are bridges.
#[derive(Debug)]
pub(crate) struct Passage {
    chain: String,
    zones: bool,
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
    /// Bridges that are no more, also those of an engine before this one.
    gone: BTreeSet<String>,
    /// Somebody is to look.
    due: bool,
    begun: bool,
    over: bool,
}

impl Passage {
    /// For the engine of that name; bridges may be put into zones of firewalld. Nothing is done yet.
    pub(crate) fn new(engine: &str, zones: bool) -> Self {
        Self { chain: format!("DHOW-{engine}"), zones, shared: Arc::default() }
    }

    /// Lets these bridges through and no others, whatever is there; happens soon.
    pub(crate) fn begin(&self, bridges: BTreeSet<String>) {
        self.wish(|wish| wish.bridges = bridges);
    }

    /// Lets these bridges through from now on; happens soon.
    pub(crate) fn open_for(&self, bridges: BTreeSet<String>) {
        if lock(&self.shared.wish).bridges != bridges {
            self.wish(|wish| wish.bridges = bridges);
        }
    }

    /// A bridge is no more, be it of this engine or of one before.
    pub(crate) fn shut_for(&self, bridge: String) {
        self.wish(|wish| wish.gone.extend([bridge]));
    }

    fn wish(&self, change: impl FnOnce(&mut Wish)) {
        let mut wish = lock(&self.shared.wish);
        change(&mut wish);
        wish.due = true;
        if !wish.begun {
            let (chain, zones, shared) = (self.chain.clone(), self.zones, Arc::clone(&self.shared));
            let work = thread::Builder::new().name("passage".to_owned()).stack_size(256 << 10);
            let begun = work.spawn(move || keep_open(&chain, zones, &shared));
            wish.begun = begun
                .inspect_err(|error| tracing::warn!(%error, "the host's firewall may keep what is for containers"))
                .is_ok();
        }
        self.shared.news.notify_all();
    }

    /// Looks at the tables of iptables and firewalld again where news about nftables are that somebody has been at them.
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
fn keep_open(chain: &str, zones: bool, shared: &Shared) {
    let (mut told, mut pause) = (String::new(), None);
    let (mut firewalld, mut gone) = (Firewalld::default(), BTreeSet::new());
    while let Some((bridges, more)) = next(shared, pause) {
        gone.extend(more);
        gone.retain(|bridge| !bridges.contains(bridge));
        let mut done = Ok(());
        for table in TABLES.iter().filter(|table| table.is_used()) {
            done = done.and(table.repair(chain, &bridges));
        }
        if zones {
            done = done.and(firewalld.repair(&bridges, &gone));
        }
        match done {
            Ok(()) => {
                gone.clear();
                told.clear();
                pause = None;
            }
            Err(error) => {
                let text = error.to_string();
                if text != told {
                    tracing::warn!(error = text, "the host's firewall may keep what is for containers");
                }
                told = text;
                pause = Some(pause.map_or(BEAT, |pause: Duration| LONGEST.min(pause * 2)));
            }
        }
    }
}

/// Waits until there is something to be looked at, or for so long where something failed; `None` at the end.
fn next(shared: &Shared, pause: Option<Duration>) -> Option<(BTreeSet<String>, BTreeSet<String>)> {
    let mut wish = lock(&shared.wish);
    loop {
        if wish.over {
            return None;
        }
        if wish.due {
            wish.due = false;
            return Some((wish.bridges.clone(), std::mem::take(&mut wish.gone)));
        }
        let polls = !wish.bridges.is_empty() && TABLES.iter().any(Table::is_watched);
        match pause.or(polls.then_some(BEAT)) {
            Some(pause) => {
                let waited = shared.news.wait_timeout(wish, pause).unwrap_or_else(PoisonError::into_inner);
                wish = waited.0;
                wish.due |= waited.1.timed_out();
            }
            None => wish = shared.news.wait(wish).unwrap_or_else(PoisonError::into_inner),
        }
    }
}

/// Where a program is.
fn program(name: &str) -> Option<PathBuf> {
    FOLDERS.iter().map(|folder| Path::new(folder).join(name)).find(|path| path.exists())
}
