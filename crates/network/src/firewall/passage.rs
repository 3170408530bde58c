//! A way through the rules of iptables.
//!
//! What one table of the kernel lets pass another one may still drop: a host whose iptables forward nothing (ufw, dockerd and
//! Kubernetes set that policy) would cut containers off. There a chain of our own in the filter table lets pass what comes from
//! our bridges and goes to them; who may really come is decided by our own table, whose word to drop is the last one. Only
//! `iptables-restore` knows how both kinds of iptables write their rules, so it is run: in one batch, by a thread of its own,
//! because whoever holds its lock must hold up no container; and only where iptables are in use.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use dhow_errdefs::{Error, Result, ResultExt};

use super::nft;
use crate::netlink::{Attributes, Batch, Family, Socket, string};
use crate::networks::lock;

/// How often is looked whether our rules are still there, where the kernel tells nobody (the older kind of iptables).
const BEAT: Duration = Duration::from_millis(500);

/// How long a batch waits for the lock of iptables, in seconds, before the next attempt.
const LOCK: &str = "5";

/// Where the programs are.
const FOLDERS: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/bin", "/usr/local/sbin"];

/// One of the four filter tables there can be.
#[derive(Debug, Clone, Copy)]
struct Table {
    /// What the programs are called, the sure ones first.
    programs: [&'static str; 2],
    kind: Kind,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    /// The older one, and where the kernel lists its tables.
    Legacy(&'static str),
    /// The one within nftables, and its family.
    Nftables(u8),
}

const TABLES: [Table; 4] = [
    Table { programs: ["iptables-legacy", "iptables"], kind: Kind::Legacy("ip_tables_names") },
    Table { programs: ["ip6tables-legacy", "ip6tables"], kind: Kind::Legacy("ip6_tables_names") },
    Table { programs: ["iptables-nft", "iptables"], kind: Kind::Nftables(nft::IPV4) },
    Table { programs: ["ip6tables-nft", "ip6tables"], kind: Kind::Nftables(nft::IPV6) },
];

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

    /// Whether news about nftables are that somebody has been at the filter table of iptables; then it is looked at.
    pub(crate) fn look_after(&self, kind: u16, payload: &[u8]) {
        let table = Attributes(payload.get(4..).unwrap_or_default()).get(1).map(string);
        let family = payload.first().is_some_and(|family| [nft::IPV4, nft::IPV6].contains(family));
        if kind == 0 || kind >> 8 == nft::SUBSYSTEM && family && table.as_deref() == Some("filter") {
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
    while let Some(bridges) = next(shared) {
        let done = TABLES.iter().filter(|table| table.is_used()).try_for_each(|table| table.repair(chain, &bridges));
        let text = done.err().map(|error| error.to_string()).unwrap_or_default();
        if !text.is_empty() && text != told {
            tracing::warn!(error = text, "the host's iptables may keep what is for containers");
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

impl Table {
    /// The older kind has a filter table in this namespace.
    fn is_watched(&self) -> bool {
        let Kind::Legacy(list) = self.kind else { return false };
        let names = fs::read_to_string(format!("/proc/thread-self/net/{list}")).unwrap_or_default();
        names.lines().any(|name| name == "filter")
    }

    fn is_used(&self) -> bool {
        match self.kind {
            Kind::Legacy(_) => self.is_watched(),
            Kind::Nftables(family) => has_forward(family),
        }
    }

    /// Makes our chain what it is to be, if it is not.
    fn repair(&self, chain: &str, bridges: &BTreeSet<String>) -> Result<()> {
        let jump = format!("-A FORWARD -j {chain}");
        let jumps = self.rules("FORWARD")?.contains(&jump);
        let wanted = rules(chain, bridges);
        if bridges.is_empty() {
            let gone = format!("*filter\n-D FORWARD -j {chain}\n-F {chain}\n-X {chain}\nCOMMIT\n");
            return if jumps { self.batch(&gone) } else { Ok(()) };
        }
        if jumps && self.rules(chain).is_ok_and(|present| present == wanted) {
            return Ok(());
        }
        let first = if jumps { String::new() } else { format!("-I FORWARD -j {chain}\n") };
        // Naming a chain empties it.
        self.batch(&format!("*filter\n:{chain} - [0:0]\n{}\n{first}COMMIT\n", wanted.join("\n")))
    }

    /// The rules of a chain, as they are written.
    fn rules(&self, chain: &str) -> Result<Vec<String>> {
        let output = self.command("")?.args(["-w", LOCK, "-S", chain]).stderr(Stdio::null()).output();
        let output = output.context(|| format!("run {}", self.programs[0]))?;
        if !output.status.success() {
            return Err(Error::internal(format!("{} -S {chain} failed", self.programs[0])));
        }
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(text.lines().filter(|line| line.starts_with("-A ")).map(|line| line.trim_end().to_owned()).collect())
    }

    fn batch(&self, text: &str) -> Result<()> {
        let what = || format!("run {}-restore", self.programs[0]);
        let mut command = self.command("-restore")?;
        command.args(["--noflush", "-w", LOCK]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().context(what)?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(text.as_bytes()).context(what)?;
        }
        let output = child.wait_with_output().context(what)?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(Error::internal(format!("{}: {}", what(), said.trim().lines().next().unwrap_or_default())))
    }

    fn command(&self, ending: &str) -> Result<Command> {
        let places = self
            .programs
            .iter()
            .flat_map(|program| FOLDERS.iter().map(move |folder| PathBuf::from(format!("{folder}/{program}{ending}"))));
        let program = places.into_iter().find(|path| path.exists());
        program
            .map(Command::new)
            .ok_or_else(|| Error::not_found(format!("{}{ending} is not installed", self.programs[0])))
    }
}

/// What our chain says, as `iptables -S` writes it.
fn rules(chain: &str, bridges: &BTreeSet<String>) -> Vec<String> {
    let both =
        |bridge: &String| [format!("-A {chain} -i {bridge} -j ACCEPT"), format!("-A {chain} -o {bridge} -j ACCEPT")];
    bridges.iter().flat_map(both).collect()
}

/// Whether iptables within nftables have a chain for what is passed on: without asking them, because they would make it.
fn has_forward(family: u8) -> bool {
    const GET_CHAIN: u16 = nft::SUBSYSTEM << 8 | 4;
    let mut batch = Batch::default();
    let mut message = batch.message("look for a chain", GET_CHAIN, 0, &[family, 0, 0, 0]);
    message.put_str(1, "filter").put_str(3, "FORWARD");
    drop(message);
    Socket::open(Family::Netfilter).is_ok_and(|socket| socket.get(&batch, |_| Some(())).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_lets_all_bridges_through() {
        let bridges = ["br-a".to_owned(), "dhow0".to_owned()].into();
        let lines = rules("DHOW-x", &bridges);
        assert_eq!(lines[..2], ["-A DHOW-x -i br-a -j ACCEPT", "-A DHOW-x -o br-a -j ACCEPT"]);
        assert_eq!(lines.len(), 4);
    }
}
