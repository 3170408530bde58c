//! Images to and from a registry and archives, against Docker: about 200 MB in 5 layers, and 40 small layers. Each has
//! nothing of the image before it gets it.

use std::process::Command;
use std::time::Duration;

use dhow_testkit::{Registry, StockEngine, World, peak_memory};

use super::floor;
use super::report::Report;
use super::turns::{Contestant, medians, time};
use crate::shell::{self, Result};

const ROUNDS: usize = 3;

/// How an image is made.
struct Recipe {
    /// Its name.
    name: &'static str,
    what: &'static str,
    layers: usize,
    /// What a layer is filled with.
    fill: &'static str,
    /// What is promised of a push.
    push: &'static str,
}

/// Half noise, half text, as programs are: 40 MB for each layer.
const LARGE: Recipe = Recipe {
    name: "bench",
    what: "200 MB in 5 layers",
    layers: 5,
    fill: "dd if=/dev/urandom of=noise bs=1M count=20 2>/dev/null; seq 1 2800000 > text",
    push: "at least 5 x faster than Docker",
};

/// What many builds become.
const SMALL: Recipe = Recipe {
    name: "small",
    what: "40 small layers",
    layers: 40,
    fill: "for i in 1 2 3 4 5 6 7 8; do seq $i 1000 > file$i; done",
    // Nobody is 5 x faster than Docker here: the registry has two processors and needs a quarter of Docker's time.
    push: "at most 2 x the bare client",
};

/// Two gigabytes that cannot be made smaller.
const HUGE: Recipe = Recipe {
    name: "huge",
    what: "2 GB",
    layers: 4,
    fill: "dd if=/dev/urandom of=noise bs=1M count=500 2>/dev/null",
    push: "nothing",
};

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
    transfers_of(&LARGE, world, dockerd, report)?;
    transfers_of(&SMALL, world, dockerd, report)
}

fn transfers_of(recipe: &Recipe, world: &World, dockerd: Option<&StockEngine>, report: &mut Report) -> Result {
    let Recipe { name: image, what, .. } = *recipe;
    let registry = Registry::start();
    let pulled = registry.name(&format!("{image}:1"));
    make(world, recipe)?;
    world.dhow(&["tag", image, &pulled]).exits(0);
    world.dhow(&["push", &pulled]).exits(0);
    let archive = world.path().join(format!("{image}.tar")).display().to_string();
    world.dhow(&["save", "-o", &archive, image]).exits(0);
    let mut clients = vec![Client { name: "dhow", command: Box::new(|words| world.command(words)) }];
    if let Some(dockerd) = dockerd {
        let client = Client { name: "docker", command: Box::new(|words| dockerd.command("docker", words)) };
        client.run(&["load", "-i", &archive])?;
        clients.push(client);
    }
    pushes(recipe, &clients, &floor::Image::of(&registry.address(), image, "1")?, report)?;
    let race = |once: &dyn Fn(&Client<'_>) -> Result<Duration>| medians(&contestants(&clients, once), ROUNDS);
    let saved = world.path().join("saved.tar").display().to_string();
    let save = race(&|client| client.time(&["save", "-o", &saved, image]))?;
    report.race(&format!("save {what}"), "at least 3 x faster than Docker", &save);
    let load = race(&|client| {
        client.forget(image);
        client.forget(&pulled);
        client.time(&["load", "-i", &archive])
    })?;
    report.race(&format!("load {what}"), "at least 3 x faster than Docker", &load);
    let pull = race(&|client| {
        client.forget(image);
        client.forget(&pulled);
        client.time(&["pull", "-q", &pulled])
    })?;
    report.race(&format!("pull {what}"), "at least 3 x faster than Docker", &pull);
    clients.iter().for_each(|client| client.forget(&pulled));
    Ok(())
}

/// Every client does the same.
fn contestants<'a>(
    clients: &'a [Client<'_>],
    once: &'a dyn Fn(&Client<'_>) -> Result<Duration>,
) -> Vec<Contestant<'a>> {
    clients.iter().map(|client| Contestant { name: client.name, once: Box::new(|| once(client)) }).collect()
}

/// Each into a registry that has nothing; beside them what the registry itself takes for it.
fn pushes(recipe: &Recipe, clients: &[Client<'_>], bare: &floor::Image, report: &mut Report) -> Result {
    let once = |client: &Client<'_>| {
        let registry = Registry::start();
        let name = registry.name(&format!("{}:1", recipe.name));
        client.run(&["tag", recipe.name, &name])?;
        let taken = client.time(&["push", &name])?;
        client.run(&["rmi", &name])?;
        Ok(taken)
    };
    let mut contestants = contestants(clients, &once);
    let floor = || {
        let registry = Registry::start();
        bare.push(&registry.address())
    };
    contestants.push(Contestant { name: "bare client", once: Box::new(floor) });
    let push = medians(&contestants, ROUNDS)?;
    let what = format!("push {}", recipe.what);
    report.race(&what, recipe.push, &push);
    if let [.., (rival, theirs), (_, floor)] = push[1..] {
        report.floor(&what, (rival, theirs), floor);
    }
    Ok(())
}

/// The most memory that an engine had which has done nothing but to pull much.
pub(crate) fn memory_of_a_pull(world: &World, report: &mut Report) -> Result {
    let registry = Registry::start();
    let name = registry.name("huge:1");
    make(world, &HUGE)?;
    world.dhow(&["tag", HUGE.name, &name]).exits(0);
    world.dhow(&["push", &name]).exits(0);
    world.dhow(&["rmi", HUGE.name, &name]).exits(0);
    let fresh = World::as_installed(super::binary());
    fresh.dhow(&["pull", "-q", &name]).exits(0);
    let pid = fresh.engine_pid().ok_or("the engine does not run")?;
    report.size(
        &format!("pull of {}, most memory of the engine", HUGE.what),
        "at most 100 MB",
        peak_memory(pid) * 1024,
    );
    Ok(())
}

/// `images` of a thousand, all of which have a name.
pub(crate) fn thousand(world: &World, report: &mut Report) -> Result {
    let names: Vec<String> = (0..1000).map(|number| format!("thousand:{number}")).collect();
    let archive = world.path().join("rootfs.tar");
    std::fs::write(&archive, dhow_testkit::busybox_tar()).map_err(|error| error.to_string())?;
    for name in &names {
        // Each is another image by what it says of itself.
        world.dhow(&["import", "--message", name, &archive.display().to_string(), name]).exits(0);
    }
    let contestants = [Contestant::command("dhow images", || world.command(&["images"]))];
    report.race("images, 1,000 of them", "at most 10 ms", &medians(&contestants, 20)?);
    for names in names.chunks(100) {
        let words: Vec<&str> = ["rmi"].into_iter().chain(names.iter().map(String::as_str)).collect();
        world.dhow(&words).exits(0);
    }
    Ok(())
}

/// An image, layer by layer.
fn make(world: &World, recipe: &Recipe) -> Result {
    let mut below = "busybox".to_owned();
    for layer in 1..=recipe.layers {
        let script = format!("mkdir /{layer} && cd /{layer} && {}", recipe.fill);
        let name = format!("layer{layer}");
        shell::output(&mut world.command(&["run", "--name", &name, "--network", "none", &below, "sh", "-c", &script]))?;
        shell::output(&mut world.command(&["commit", &name, recipe.name]))?;
        shell::output(&mut world.command(&["rm", &name]))?;
        recipe.name.clone_into(&mut below);
    }
    Ok(())
}
