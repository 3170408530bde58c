//! Networks and containers come, go and meet by chance, while the engine is killed.

use std::io;

use dhow_testkit::{Door, World};
use fastrand::Rng;

use super::containers::{create, post, remove};
use super::crash::kill_at_work;
use super::networks::{agrees, body};
use super::{chance, rounds};
use crate::busybox;

/// Names for which a client has containers, and networks that all clients share.
const CONTAINERS: usize = 2;
const NETWORKS: usize = 3;

fn ask(door: &mut Door, method: &str, path: &str, body: &str) -> io::Result<()> {
    door.ask(method, path, body).map(drop)
}

fn make_network(door: &mut Door, number: usize) -> io::Result<()> {
    let body = format!(r#"{{"Name":"net{number}","IPAM":{{"Config":[{{"Subnet":"10.61.{number}.0/24"}}]}}}}"#);
    ask(door, "POST", "/networks/create", &body)
}

/// One thing that a client may do with one of its containers, or with a network.
fn step(door: &mut Door, client: usize, chance: &mut Rng) -> io::Result<()> {
    let (container, network) = (chance.usize(..CONTAINERS), chance.usize(..NETWORKS));
    let name = format!("c{client}n{container}");
    match chance.u32(..16) {
        0..4 => {
            let at_first = chance.choice(["bridge".to_owned(), format!("net{network}")]).unwrap_or_default();
            drop(create(door, &name, &body(&at_first, 9000 + 10 * client + container))?);
            post(door, &name, "start").map(drop)
        }
        4..7 => ask(door, "POST", &format!("/networks/net{network}/connect"), &format!(r#"{{"Container":"{name}"}}"#)),
        7..9 => {
            let body = format!(r#"{{"Container":"{name}","Force":{}}}"#, chance.bool());
            ask(door, "POST", &format!("/networks/net{network}/disconnect"), &body)
        }
        9..11 => make_network(door, network),
        11 => ask(door, "DELETE", &format!("/networks/net{network}"), ""),
        12 => post(door, &name, "start").map(drop),
        13 => post(door, &name, "stop?t=0").map(drop),
        14 => post(door, &name, "restart?t=0").map(drop),
        _ => remove(door, &name).map(drop),
    }
}

/// Everything can be looked at, and the kernel has what the engine tells and no more.
fn check(world: &World) {
    let names = world.dhow(&["network", "ls", "--quiet", "--filter", "type=custom"]).ok();
    for network in names.lines() {
        world.dhow(&["network", "inspect", network]).exits(0);
    }
    agrees(world);
}

#[test]
fn an_engine_killed_among_networks_that_come_and_go_leaves_everything_in_order() {
    let mut world = busybox();
    let mut chance = chance();
    for _ in 0..rounds(6) {
        kill_at_work(&mut world, &mut chance, (step, 5));
        check(&world);
    }
    let events = world.dhow(&["events", "--since", "1", "--until", "0s", "--filter", "type=network"]).ok();
    assert!(events.contains(" network create ") && events.contains(" network connect "), "{events}");
    let ids = world.dhow(&["ps", "--all", "--quiet"]).ok();
    for id in ids.lines() {
        world.dhow(&["rm", "--force", id]).exits(0);
    }
    world.dhow(&["network", "prune", "--force"]).exits(0);
    assert_eq!(world.dhow(&["network", "ls", "--quiet", "--filter", "type=custom"]).ok(), "");
    check(&world);
    world.is_in_order();
}
