//! Images to and from a registry and archives, against Docker: about 200 MB in 5 layers.

use std::process::Command;
use std::time::Duration;

use dhow_testkit::{Registry, StockEngine, World};

use super::report::Report;
use super::turns::{Contestant, medians, time};
use crate::shell::{self, Result};

const ROUNDS: usize = 3;
const LAYERS: usize = 5;

/// Half noise, half text, as programs are: 40 MB.
const FILL: &str = "dd if=/dev/urandom of=noise bs=1M count=20 2>/dev/null; seq 1 2800000 > text";

/// Makes a command of the words behind the client's name.
type Make<'a> = Box<dyn Fn(&[&str]) -> Command + 'a>;

/// A client and its engine.
struct Client<'a> {
    name: &'static str,
    command: Make<'a>,
}

impl Client<'_> {
    fn run(&self, words: &[&str]) -> Result {
        shell::output(&mut (self.command)(words)).map(drop)
    }

    fn time(&self, words: &[&str]) -> Result<Duration> {
        time(&mut (self.command)(words))
    }

    /// Takes an image away that may not be there.
    fn forget(&self, image: &str) {
        drop((self.command)(&["rmi", "-f", image]).output());
    }
}

/// Pull, push, save and load.
pub(crate) fn transfers(world: &World, dockerd: Option<&StockEngine>, report: &mut Report) -> Result {
    let registry = Registry::start();
    let pulled = registry.name("bench:1");
    make(world)?;
    world.dhow(&["tag", "bench", &pulled]).exits(0);
    world.dhow(&["push", &pulled]).exits(0);
    let archive = world.path().join("bench.tar").display().to_string();
    world.dhow(&["save", "-o", &archive, "bench"]).exits(0);
    let mut clients = vec![Client { name: "dhow", command: Box::new(|words| world.command(words)) }];
    if let Some(dockerd) = dockerd {
        let client = Client { name: "docker", command: Box::new(|words| dockerd.command("docker", words)) };
        client.run(&["load", "-i", &archive])?;
        clients.push(client);
    }
    let race = |once: &dyn Fn(&Client<'_>) -> Result<Duration>| {
        let contestants: Vec<Contestant<'_>> =
            clients.iter().map(|client| Contestant { name: client.name, once: Box::new(|| once(client)) }).collect();
        medians(&contestants, ROUNDS)
    };
    let push = race(&|client| {
        // Each into a registry that has nothing.
        let registry = Registry::start();
        let name = registry.name("bench:1");
        client.run(&["tag", "bench", &name])?;
        let taken = client.time(&["push", &name])?;
        client.run(&["rmi", &name])?;
        Ok(taken)
    })?;
    report.race("push 200 MB in 5 layers", "at least 5 x faster than Docker", &push);
    let saved = world.path().join("saved.tar").display().to_string();
    let save = race(&|client| client.time(&["save", "-o", &saved, "bench"]))?;
    report.race("save 200 MB in 5 layers", "at least 3 x faster than Docker", &save);
    let load = race(&|client| {
        client.forget("bench");
        client.forget(&pulled);
        client.time(&["load", "-i", &archive])
    })?;
    report.race("load 200 MB in 5 layers", "at least 3 x faster than Docker", &load);
    let pull = race(&|client| {
        client.forget("bench");
        client.forget(&pulled);
        client.time(&["pull", "-q", &pulled])
    })?;
    report.race("pull 200 MB in 5 layers", "at least 3 x faster than Docker", &pull);
    clients.iter().for_each(|client| client.forget(&pulled));
    Ok(())
}

/// The image `bench`, layer by layer.
fn make(world: &World) -> Result {
    let mut below = "busybox".to_owned();
    for layer in 1..=LAYERS {
        let script = format!("mkdir /{layer} && cd /{layer} && {FILL}");
        let name = format!("layer{layer}");
        shell::output(&mut world.command(&["run", "--name", &name, "--network", "none", &below, "sh", "-c", &script]))?;
        shell::output(&mut world.command(&["commit", &name, "bench"]))?;
        shell::output(&mut world.command(&["rm", &name]))?;
        "bench".clone_into(&mut below);
    }
    Ok(())
}
