//! A way through the rules of iptables: a chain of our own in the filter table. Only `iptables-restore` knows how both kinds
//! of iptables write their rules.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use dhow_errdefs::{Error, Result, ResultExt};

use super::program;
use crate::firewall::nft;

/// How long a batch waits for the lock of iptables, in seconds, before the next attempt.
const LOCK: &str = "5";

/// One of the four filter tables there can be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table {
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

pub(super) const TABLES: [Table; 4] = [
    Table { programs: ["iptables-legacy", "iptables"], kind: Kind::Legacy("ip_tables_names") },
    Table { programs: ["ip6tables-legacy", "ip6tables"], kind: Kind::Legacy("ip6_tables_names") },
    Table { programs: ["iptables-nft", "iptables"], kind: Kind::Nftables(nft::IPV4) },
    Table { programs: ["ip6tables-nft", "ip6tables"], kind: Kind::Nftables(nft::IPV6) },
];

impl Table {
    /// The older kind has a filter table in this namespace.
    pub(super) fn is_watched(&self) -> bool {
        let Kind::Legacy(list) = self.kind else { return false };
        let names = fs::read_to_string(format!("/proc/thread-self/net/{list}")).unwrap_or_default();
        names.lines().any(|name| name == "filter")
    }

    pub(super) fn is_used(&self) -> bool {
        match self.kind {
            Kind::Legacy(_) => self.is_watched(),
            // Without asking iptables, because they would make it.
            Kind::Nftables(family) => nft::has_chain(family, "filter", "FORWARD").unwrap_or(false),
        }
    }

    /// Makes our chain what it is to be, if it is not.
    pub(super) fn repair(&self, chain: &str, bridges: &BTreeSet<String>) -> Result<()> {
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
        let [sure, other] = self.programs.map(|program| format!("{program}{ending}"));
        let other = || program(&other).filter(|path| self.is_written_by(path));
        let program = program(&sure).or_else(other).map(Command::new);
        program.ok_or_else(|| Error::not_found(format!("{sure} is not installed")))
    }

    /// Whether a program is of this kind: later ones of the newer kind say so.
    fn is_written_by(&self, program: &Path) -> bool {
        let told = Command::new(program).arg("-V").stderr(Stdio::null()).output();
        let newer = told.is_ok_and(|told| String::from_utf8_lossy(&told.stdout).contains("(nf_tables)"));
        newer == matches!(self.kind, Kind::Nftables(_))
    }
}

/// What our chain says, as `iptables -S` writes it.
fn rules(chain: &str, bridges: &BTreeSet<String>) -> Vec<String> {
    let both =
        |bridge: &String| [format!("-A {chain} -i {bridge} -j ACCEPT"), format!("-A {chain} -o {bridge} -j ACCEPT")];
    bridges.iter().flat_map(both).collect()
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
