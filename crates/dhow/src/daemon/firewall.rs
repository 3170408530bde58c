//! What the settings say about the host's firewall and its routing, in our own word (`firewall`) and in those of dockerd.

use std::fs;

use dhow_engine::FirewallPolicy;
use dhow_errdefs::{Error, Result};

use super::file::File;
use super::invalid;

/// Who decides about what goes through the host to containers and from them.
pub(super) fn policy(file: &File) -> Result<FirewallPolicy> {
    let named = file.firewall.as_deref().map(named).transpose()?;
    let policy = match (file.iptables, named) {
        (Some(false), Some(FirewallPolicy::Own | FirewallPolicy::RespectHost)) => {
            let hint = "firewall = \"none\" and iptables = false are the same; leave one of the two out";
            return Err(invalid("iptables = false contradicts what firewall says").with_hint(hint));
        }
        (Some(false), _) => FirewallPolicy::None,
        (_, named) => named.unwrap_or_default(),
    };
    check(file, policy)?;
    Ok(policy)
}

fn named(word: &str) -> Result<FirewallPolicy> {
    match word {
        "own" => Ok(FirewallPolicy::Own),
        "respect-host" => Ok(FirewallPolicy::RespectHost),
        "none" => Ok(FirewallPolicy::None),
        other => Err(invalid(format!("invalid firewall: {other}")).with_hint(
            "own: published ports are open; respect-host: the host's input policy decides about them; none: no rules",
        )),
    }
}

/// Refuses what the host would be told to do, and is not.
fn check(file: &File, policy: FirewallPolicy) -> Result<()> {
    if file.ip6tables == Some(false) && policy != FirewallPolicy::None {
        return Err(unsupported("ip6tables = false without iptables = false").with_hint(
            "leave it out, as nothing is done for networks without IPv6; or set iptables = false: no rules at all",
        ));
    }
    if file.userland_proxy == Some(false) && policy == FirewallPolicy::None {
        return Err(unsupported("userland-proxy = false with iptables = false").with_hint(
            "leave userland-proxy out: without rules only a process can pass on what comes to published ports",
        ));
    }
    match file.firewall_backend.as_deref() {
        None | Some("" | "nftables") => Ok(()),
        Some(other) => Err(unsupported(&format!("firewall-backend = {other}")).with_hint(
            "leave it out: rules are made with nftables, and iptables of others let pass what is for containers",
        )),
    }
}

pub(super) fn unsupported(what: &str) -> Error {
    Error::not_implemented(format!("{what} is not supported by dhow"))
}

/// What does not work then, for the person who has decided so.
pub(super) fn warnings(policy: FirewallPolicy, file: &File) -> Vec<String> {
    let mut warnings = Vec::new();
    if policy == FirewallPolicy::None {
        warnings.push(
            "no firewall rules are made: containers reach the outside only if the host translates their addresses; \
             networks are not kept apart from each other nor internal ones from the host; published ports are passed on \
             by a process, and containers see its address instead of the client's"
                .to_owned(),
        );
    }
    if file.ip_forward == Some(false) && !forwards() {
        warnings.push(
            "the host passes no packets on (net.ipv4.ip_forward = 0): containers do not reach the outside".to_owned(),
        );
    }
    warnings
}

fn forwards() -> bool {
    fs::read_to_string("/proc/sys/net/ipv4/ip_forward").is_ok_and(|value| value.trim() == "1")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &str) -> Result<FirewallPolicy> {
        policy(&serde_json::from_str(json).expect("a file"))
    }

    #[test]
    fn dockerds_words_are_obeyed_or_refused() {
        for (text, expected) in [
            ("{}", FirewallPolicy::Own),
            (r#"{"iptables": true, "ip6tables": true, "userland-proxy": false}"#, FirewallPolicy::Own),
            (r#"{"iptables": true, "firewall": "respect-host"}"#, FirewallPolicy::RespectHost),
            (r#"{"iptables": false}"#, FirewallPolicy::None),
            (r#"{"iptables": false, "ip6tables": false, "firewall": "none"}"#, FirewallPolicy::None),
            (r#"{"firewall-backend": "nftables"}"#, FirewallPolicy::Own),
        ] {
            assert_eq!(of(text).expect(text), expected, "{text}");
        }
        for text in [
            r#"{"iptables": false, "firewall": "own"}"#,
            r#"{"ip6tables": false}"#,
            r#"{"iptables": false, "userland-proxy": false}"#,
            r#"{"firewall-backend": "iptables"}"#,
            r#"{"firewall": "loose"}"#,
        ] {
            assert!(of(text).expect_err(text).hint().is_some(), "{text}");
        }
    }

    #[test]
    fn what_does_not_work_is_said() {
        assert_eq!(warnings(FirewallPolicy::Own, &File::default()), [""; 0]);
        assert!(warnings(FirewallPolicy::None, &File::default())[0].contains("no firewall rules"));
    }
}
