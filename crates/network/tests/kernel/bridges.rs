//! Bridges of the host, and those that a network has left for one.

use std::process::Command;
use std::slice::from_ref;
use std::sync::Arc;

use dhow_network::Networks;
use dhow_network::model::{Network, option_name};

use crate::{connect, link_names, network, networks};

fn ip(args: &[&str]) -> String {
    let output = Command::new("/usr/sbin/ip").args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The network 1 on a bridge that somebody has made.
fn on_own0() -> Network {
    network(1, |spec| drop(spec.options.insert(option_name::BRIDGE_NAME.to_owned(), "own0".to_owned())))
}

/// What an engine before this one leaves that has had the network on a bridge of its own.
fn before() -> String {
    let networks = networks();
    connect(&networks, "a", &[&network(1, |_| ())], &[]);
    networks.disconnect("a");
    let bridge = link_names().into_iter().find(|name| name.starts_with("br-"));
    let bridge = bridge.expect("made for the network");
    // A port that the kernel has yet to take away would be somebody's.
    while !ip(&["-o", "link", "show", "master", &bridge]).is_empty() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    bridge
}

pub(crate) fn another_bridge(_: &Arc<Networks>) {
    let given = on_own0();
    for settled in [true, false] {
        let left = before();
        ip(&["link", "add", "own0", "type", "bridge"]);
        let networks = networks();
        if settled {
            networks.settle(from_ref(&given)).unwrap();
            assert!(!link_names().contains(&left), "nobody is on it");
        }
        connect(&networks, "b", &[&given], &[]);
        assert!(ip(&["-o", "link", "show", "type", "veth"]).contains("master own0"));
        assert!(!link_names().contains(&left), "it has the address that the other one gets");
        networks.disconnect("b");
        networks.remove(&given).unwrap();
        ip(&["link", "delete", "own0"]);
    }
    let left = before();
    // One end of a pair: not every kernel has links of type `dummy`.
    ip(&["link", "add", "tap", "type", "veth", "peer", "name", "far"]);
    ip(&["link", "set", "tap", "master", &left]);
    networks().settle(from_ref(&given)).unwrap();
    assert!(link_names().contains(&left), "somebody else is on it");
    ["tap", &left].iter().for_each(|name| drop(ip(&["link", "delete", name])));
}

pub(crate) fn given_bridge(networks: &Arc<Networks>) {
    let given = on_own0();
    ip(&["link", "add", "own0", "type", "bridge"]);
    ip(&["link", "set", "own0", "alias", "dhow other 0123456789ab"]);
    let refusal = networks.addresses_of_bridge(&given, "own0").unwrap_err().to_string();
    assert_eq!(refusal, "the host's link own0 belongs to dhow other 0123456789ab");
    assert_eq!(networks.raise(&given).unwrap_err().to_string(), refusal, "said beforehand");
    ip(&["link", "set", "own0", "alias", "the house's uplink"]);
    networks.addresses_of_bridge(&given, "own0").unwrap();
    networks.raise(&given).unwrap();
    networks.remove(&given).unwrap();
    ip(&["link", "delete", "own0"]);
}
