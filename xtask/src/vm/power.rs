//! Power cuts: a machine pulls, checks and removes images until it is killed, in the middle of a pull or just after one;
//! the next one finds its disk. Every image that is listed must be whole, or heal, and one whose pull was over must be listed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use dhow_testkit::{Registry, World};

use super::cpio::Archive;
use super::life::{self, Machine};
use super::{common, folder, kernel, read, tools};
use crate::shell::Result;
use crate::test;

/// Cuts, unless the command line says how many.
const ROUNDS: usize = 10;

/// Their lowest layer is the same.
const IMAGES: [&str; 3] = ["one", "two", "three"];

/// How far a pull may be when the power goes, in milliseconds: as long as one takes in the machine.
const PULL: u64 = 1500;

/// Kills machines, so many as the first argument says.
pub(crate) fn run(args: &[String]) -> Result {
    let rounds = match args {
        [] => ROUNDS,
        [count] => count.parse().map_err(|error| format!("{count}: {error}"))?,
        _ => return Err("this task takes the number of rounds at most".to_owned()),
    };
    let folder = folder()?;
    let kernel = kernel::fetch(&folder, &kernel::FOR_A_DISK)?;
    let start = folder.join("power-initrd");
    fs::write(&start, initial_disk(&kernel)?).map_err(|error| format!("{}: {error}", start.display()))?;
    let disk = folder.join("power-disk");
    life::format(&disk)?;
    let mut sure = BTreeSet::new();
    let failed = (0..=rounds).find_map(|round| {
        let machine = Machine::start(&kernel.image, &start, &disk);
        let ended = machine.and_then(|machine| live(machine, round, &mut sure));
        ended.err().map(|error| format!("round {round}: {error}"))
    });
    life::closed(failed.map_or(Ok(()), Err))
}

/// A registry with images, our binary, busybox, and what starts all of it.
fn initial_disk(kernel: &kernel::Kernel) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    for folder in ["data", "dev", "proc", "root", "run", "sys", "tmp"] {
        archive.folder(folder);
    }
    let modules = common(&mut archive, kernel)?;
    let registry = PathBuf::from("/usr/bin/docker-registry");
    archive.program("bin/docker-registry", &read(&registry)?);
    for library in tools::libraries(&registry)? {
        archive.program(library.display().to_string().trim_start_matches('/'), &read(&library)?);
    }
    archive.file("registry.yml", REGISTRY.as_bytes());
    images(&mut archive)?;
    let then = THEN.replace("@IMAGES@", &IMAGES.join(" "));
    archive.program("init", life::init(&modules, FIRST, &then).as_bytes());
    Ok(archive.finish())
}

/// Puts what a registry has that was given the images into the archive.
fn images(archive: &mut Archive) -> Result {
    let (world, registry) = (World::with_busybox(test::binary()), Registry::start());
    for image in IMAGES {
        let script =
            "for i in 1 2 3 4 5; do dd if=/dev/urandom of=/noise$i bs=1M count=1 2>/dev/null; done; seq 100000 > /text";
        world.dhow(&["run", "--name", image, "--network", "none", "busybox", "sh", "-c", script]).exits(0);
        let name = registry.name(&format!("{image}:1"));
        world.dhow(&["commit", image, &name]).exits(0);
        world.dhow(&["push", &name]).exits(0);
    }
    add(archive, &registry.data(), "registry")
}

fn add(archive: &mut Archive, folder: &Path, name: &str) -> Result {
    archive.folder(name);
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for entry in entries.flatten() {
        let (path, name) = (entry.path(), format!("{name}/{}", entry.file_name().display()));
        if path.is_dir() {
            add(archive, &path, &name)?;
        } else {
            archive.file(&name, &read(&path)?);
        }
    }
    Ok(())
}

const REGISTRY: &str = "version: 0.1
log:
  level: error
storage:
  filesystem:
    rootdirectory: /registry
http:
  addr: 127.0.0.1:5000
";

const FIRST: &str = "docker-registry serve /registry.yml > /dev/null 2>&1 &";

const THEN: &str = "until wget -q -O /dev/null http://127.0.0.1:5000/v2/; do sleep 0.1; done
for name in $(dhow images --format '{{.Repository}}'); do echo told: listed ${name##*/}; done
if ! dhow system check --deep > /tmp/check; then
    cat /tmp/check
    dhow system check --deep --repair > /tmp/check || { cat /tmp/check; echo 'told: failed: what is damaged does not heal'; }
    echo told: healed
fi
echo told: checked
while true; do
    for image in @IMAGES@; do
        echo told: removing $image
        dhow rmi -f 127.0.0.1:5000/$image:1 > /dev/null 2>&1
        echo told: pulling $image
        dhow pull -q 127.0.0.1:5000/$image:1 > /dev/null || echo told: failed: pull $image
        echo told: pulled $image
    done
done
";

/// Sees to what the last one has left, and lets this one work for a while. `sure`: images whose pull was over when the
/// power went.
fn live(mut machine: Machine, round: usize, sure: &mut BTreeSet<String>) -> Result {
    let mut listed = BTreeSet::new();
    let mut healed = "";
    loop {
        match machine.next()?.as_slice() {
            [what, image] if what == "listed" => drop(listed.insert(image.clone())),
            [what] if what == "healed" => healed = ", healed",
            [what] if what == "checked" => break,
            _ => {}
        }
    }
    println!("round {round}: found {listed:?}{healed}; sure of {sure:?}");
    if let Some(lost) = sure.difference(&listed).next() {
        return Err(format!("image {lost} was pulled, and is not there any more"));
    }
    // Later in each life than in the one before, so that there is more to be lost.
    let pulls = 1 + round % IMAGES.len();
    for _ in 0..pulls {
        until(&mut machine, "pulling", sure)?;
    }
    if round.is_multiple_of(2) {
        // Spread over the length of a pull; where exactly does not matter.
        let share = (round as u64 * 7) % 10;
        thread::sleep(Duration::from_millis(PULL * share / 10));
    } else {
        until(&mut machine, "pulled", sure)?;
    }
    machine.cut();
    // What it told until then counts.
    while let Ok(told) = machine.next() {
        note(&told, sure);
    }
    Ok(())
}

fn until(machine: &mut Machine, wanted: &str, sure: &mut BTreeSet<String>) -> Result {
    loop {
        let told = machine.next()?;
        note(&told, sure);
        if told.first().is_some_and(|what| what == wanted) {
            return Ok(());
        }
    }
}

/// What that says of the images that must be there when the power has gone.
fn note(told: &[String], sure: &mut BTreeSet<String>) {
    // The last line may have been cut, too.
    let [what, image] = told else { return };
    match what.as_str() {
        "pulled" if IMAGES.contains(&image.as_str()) => drop(sure.insert(image.clone())),
        "removing" => drop(sure.remove(image)),
        _ => {}
    }
}
