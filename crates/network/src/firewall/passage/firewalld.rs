//! A way through the rules of firewalld: our bridges are in its zone for what is trusted, until it or we end. It has no rules
//! for what comes from one of its zones and goes to none, but to refuse it.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;

use dhow_errdefs::{Error, Result, ResultExt};

use super::program;
use crate::firewall::nft;

/// Where its rules are, of both families, and the chain for what is passed on.
pub(super) const TABLE: &str = "firewalld";
const FORWARD: &str = "filter_FORWARD";

/// `firewalld.zones(5)`: everything is accepted. Every firewalld has it.
const ZONE: &str = "trusted";

/// Which bridges we have put there.
#[derive(Debug, Default)]
pub(super) struct Firewalld(BTreeSet<String>);

impl Firewalld {
    /// Puts bridges into the zone that are in none, and takes out those that are gone. What a person has put into a zone
    /// stays there.
    pub(super) fn repair(&mut self, bridges: &BTreeSet<String>) -> Result<()> {
        if !nft::has_chain(nft::INET, TABLE, FORWARD) {
            self.0.clear();
            return Ok(());
        }
        let zones = zones(&run(&["--get-active-zones".to_owned()])?);
        let trusted = zones.get(ZONE).cloned().unwrap_or_default();
        let gone: Vec<_> = self.0.difference(bridges).filter(|bridge| trusted.contains(*bridge)).collect();
        change("--remove-interface", &gone)?;
        let zoned: BTreeSet<String> = zones.into_values().flatten().collect();
        let new: Vec<_> = bridges.difference(&zoned).collect();
        change("--add-interface", &new)?;
        // Also what an engine before this one has put there.
        self.0 = bridges.iter().filter(|bridge| trusted.contains(*bridge) || new.contains(bridge)).cloned().collect();
        Ok(())
    }
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
    let mut command = program(&[name]).ok_or_else(|| Error::not_found(format!("{name} is not installed")))?;
    let output = command.args(args).stdin(Stdio::null()).output().context(|| format!("run {name}"))?;
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
    fn links_of_all_zones_are_read() {
        let told = "public (default)\n  interfaces: eth0 eth1\ntrusted\n  interfaces: dhow0\n  sources: 10.0.0.0/8\n";
        let links = |links: &[&str]| links.iter().map(|&link| link.to_owned()).collect();
        let expected = [("public".to_owned(), links(&["eth0", "eth1"])), ("trusted".to_owned(), links(&["dhow0"]))];
        assert_eq!(zones(told), expected.into());
    }
}
