//! A way through the rules of firewalld, which refuses what goes from one network to another that it knows nothing of: our bridges
//! are in its zone for what is trusted, as long as they are there. It has no other word for "not my business", and dockerd has
//! its bridges in a zone that accepts everything, too; so containers reach what listens on the host.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};

use dhow_errdefs::{Class, Error, Result, ResultExt};

use super::program;
use crate::firewall::nft;
use crate::link::Links;

/// Where its rules are, of both families, and the chain for what is passed on.
pub(super) const TABLE: &str = "firewalld";
const FORWARD: &str = "filter_FORWARD";

/// `firewalld.zones(5)`: everything is accepted. Every firewalld has it.
const ZONE: &str = "trusted";

/// Which bridges we have put there.
#[derive(Debug, Default)]
pub(super) struct Firewalld(BTreeSet<String>);

impl Firewalld {
    /// Puts bridges into the zone that are in none, and takes out those that are gone, also of an engine before this one. What
    /// a person has put into a zone stays there.
    pub(super) fn repair(&mut self, bridges: &BTreeSet<String>, gone: &BTreeSet<String>) -> Result<()> {
        match nft::has_chain(nft::INET, TABLE, FORWARD) {
            Ok(true) => {}
            Ok(false) => {
                self.0.clear();
                return Ok(());
            }
            // Nobody can say; the next news will.
            Err(_) => return Ok(()),
        }
        let zones = zones(&run(&["--get-active-zones".to_owned()])?);
        let trusted = zones.get(ZONE).cloned().unwrap_or_default();
        let is_ours =
            |name: &String| self.0.contains(name) || (gone.contains(name) || is_made_up(name)) && !exists(name);
        let old: Vec<_> = trusted.difference(bridges).filter(|name| is_ours(name)).collect();
        change("--remove-interface", &old)?;
        self.0.retain(|bridge| bridges.contains(bridge));
        let zoned: BTreeSet<String> = zones.into_values().flatten().collect();
        let new: Vec<_> = bridges.difference(&zoned).collect();
        change("--add-interface", &new)?;
        self.0.extend(new.into_iter().cloned());
        Ok(())
    }
}

/// Whether a bridge of ours has such a name if nobody chooses one.
fn is_made_up(name: &str) -> bool {
    let of = |stem: &str, fits: fn(char) -> bool| name.strip_prefix(stem).filter(|rest| rest.chars().all(fits));
    of("br-", |letter| letter.is_ascii_hexdigit()).is_some_and(|rest| rest.len() == 12)
        || of("dhow", |letter| letter.is_ascii_digit()).is_some_and(|rest| !rest.is_empty())
}

/// Whether there is a link of that name; whoever cannot tell takes it for one.
fn exists(name: &str) -> bool {
    let found = Links::open().and_then(|links| links.named(name));
    found.map_or_else(|error| error.class() != Class::NotFound, |_| true)
}

fn change(how: &str, bridges: &[&String]) -> Result<()> {
    if bridges.is_empty() {
        return Ok(());
    }
    let mut args = vec![format!("--zone={ZONE}")];
    args.extend(bridges.iter().map(|bridge| format!("{how}={bridge}")));
    run(&args).map(drop)
}

fn run(args: &[String]) -> Result<String> {
    let name = "firewall-cmd";
    let program = program(name).ok_or_else(|| Error::not_found(format!("{name} is not installed")))?;
    let output = Command::new(program).args(args).stdin(Stdio::null()).output().context(|| format!("run {name}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Error::internal(format!("{name} {}: {}", args.join(" "), said.trim().lines().next().unwrap_or_default())))
}

/// The links in each zone, as `firewall-cmd --get-active-zones` tells: a line with its name, and what it has indented.
fn zones(told: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut zones = BTreeMap::<String, BTreeSet<String>>::new();
    let mut zone = "";
    for line in told.lines() {
        if let Some(links) = line.trim().strip_prefix("interfaces:") {
            zones.entry(zone.to_owned()).or_default().extend(links.split_whitespace().map(str::to_owned));
        } else if !line.starts_with(' ') {
            // Later versions say behind it that it is the default one.
            zone = line.split_whitespace().next().unwrap_or_default();
        }
    }
    zones
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_names_are_ours() {
        let ours = ["br-edecefdf3235", "dhow0", "dhow12"];
        let others = ["br-lan", "br-edecefdf32", "dhow", "dhow0x", "docker0", "eth0"];
        assert!(ours.iter().all(|name| is_made_up(name)) && !others.iter().any(|name| is_made_up(name)));
    }

    #[test]
    fn links_of_all_zones_are_read() {
        let told = "public (default)\n  interfaces: eth0 eth1\ntrusted\n  interfaces: dhow0\n  sources: 10.0.0.0/8\n";
        let links = |links: &[&str]| links.iter().map(|&link| link.to_owned()).collect();
        let expected = [("public".to_owned(), links(&["eth0", "eth1"])), ("trusted".to_owned(), links(&["dhow0"]))];
        assert_eq!(zones(told), expected.into());
    }
}
