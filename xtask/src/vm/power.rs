//! Power cuts: a machine pulls, checks and removes images until it is killed, in the middle of a pull or just after one;
//! the next one finds its disk. Every image that is listed must be whole, or heal, and one whose pull was over must be listed.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Stdio};
use std::thread;
use std::time::Duration;

use dhow_testkit::{Registry, World};

use super::cpio::Archive;
use super::{common, folder, kernel, machine, read, tools};
use crate::shell::{self, Result};
use crate::test;

/// Cuts, unless the command line says how many.
const ROUNDS: usize = 10;

/// Their lowest layer is the same.
const IMAGES: [&str; 3] = ["one", "two", "three"];

/// How far a pull may be when the power goes, in milliseconds: as long as one takes in the machine.
const PULL: u64 = 1500;

/// Before everything that the machine tells us.
const WORD: &str = "power:";

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
    format(&disk)?;
    let mut sure = BTreeSet::new();
    let failed = (0..=rounds).find_map(|round| {
        let machine = Machine::start(&kernel.image, &start, &disk);
        let ended = machine.and_then(|machine| machine.live(round, &mut sure));
        ended.err().map(|error| format!("round {round}: {error}"))
    });
    // As other runners close.
    println!("test result: {}", if failed.is_none() { "ok. 1 passed; 0 failed" } else { "FAILED. 0 passed; 1 failed" });
    failed.map_or(Ok(()), Err)
}

/// An empty file system in a file.
fn format(disk: &Path) -> Result {
    let file = fs::File::create(disk).and_then(|file| file.set_len(512 << 20));
    file.map_err(|error| format!("{}: {error}", disk.display()))?;
    shell::output(shell::command("mkfs.ext4").args(["-q", "-F"]).arg(disk)).map(drop)
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
    archive.program("init", INIT.replace("@MODULES@", &modules).replace("@IMAGES@", &IMAGES.join(" ")).as_bytes());
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

const INIT: &str = "#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin HOME=/root DOCKER_HOST=unix:///run/dhow.sock
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t cgroup2 cgroup2 /sys/fs/cgroup
@MODULES@
ip link set lo up
mount -t ext4 /dev/vda /data || { echo 'power: failed: the disk cannot be mounted'; poweroff -f; }
docker-registry serve /registry.yml > /dev/null 2>&1 &
dhow daemon -H $DOCKER_HOST --data-root /data/dhow --exec-root /run/dhow > /run/log 2>&1 &
until dhow version > /dev/null 2>&1; do
    kill -0 $! 2> /dev/null || { echo 'power: failed: the engine does not start'; cat /run/log; poweroff -f; }
    sleep 0.1
done
until wget -q -O /dev/null http://127.0.0.1:5000/v2/; do sleep 0.1; done
for name in $(dhow images --format '{{.Repository}}'); do echo power: listed ${name##*/}; done
if ! dhow system check --deep > /tmp/check; then
    cat /tmp/check
    dhow system check --deep --repair > /tmp/check || { cat /tmp/check; echo 'power: failed: what is damaged does not heal'; }
    echo power: healed
fi
echo power: checked
while true; do
    for image in @IMAGES@; do
        echo power: removing $image
        dhow rmi -f 127.0.0.1:5000/$image:1 > /dev/null 2>&1
        echo power: pulling $image
        dhow pull -q 127.0.0.1:5000/$image:1 > /dev/null || echo power: failed: pull $image
        echo power: pulled $image
    done
done
";

/// A machine that runs.
struct Machine {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Machine {
    fn start(kernel: &Path, start: &Path, disk: &Path) -> Result<Self> {
        let mut qemu = machine(kernel, start, 1024);
        // What the machine has flushed is in our page cache, and outlives it there: no disk of ours need be waited for.
        qemu.arg("-drive").arg(format!("file={},format=raw,if=virtio,cache=unsafe", disk.display()));
        let spawned = qemu.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut child = spawned.map_err(|error| format!("{qemu:?}: {error}"))?;
        let stdout = child.stdout.take().ok_or("no standard output")?;
        Ok(Self { child, lines: BufReader::new(stdout).lines() })
    }

    /// Sees to what the last one has left, and lets this one work for a while. `sure`: images whose pull was over when the
    /// power went.
    fn live(mut self, round: usize, sure: &mut BTreeSet<String>) -> Result {
        let mut listed = BTreeSet::new();
        let mut healed = "";
        loop {
            match self.next()?.as_slice() {
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
            self.until("pulling", sure)?;
        }
        if round.is_multiple_of(2) {
            // Spread over the length of a pull; where exactly does not matter.
            let share = (round as u64 * 7) % 10;
            thread::sleep(Duration::from_millis(PULL * share / 10));
        } else {
            self.until("pulled", sure)?;
        }
        self.cut(sure);
        Ok(())
    }

    /// The power goes. What the machine told until then counts.
    fn cut(&mut self, sure: &mut BTreeSet<String>) {
        // Our own child: it is there until it is waited for.
        let _ = self.child.kill();
        while let Ok(told) = self.next() {
            note(&told, sure);
        }
    }

    fn until(&mut self, wanted: &str, sure: &mut BTreeSet<String>) -> Result {
        loop {
            let told = self.next()?;
            note(&told, sure);
            if told.first().is_some_and(|what| what == wanted) {
                return Ok(());
            }
        }
    }

    /// The next thing that it tells.
    fn next(&mut self) -> Result<Vec<String>> {
        for line in self.lines.by_ref() {
            let line = line.map_err(|error| format!("listen to the machine: {error}"))?;
            let Some((_, told)) = line.split_once(WORD) else {
                println!("{line}");
                continue;
            };
            if told.contains("failed") {
                return Err(told.trim().to_owned());
            }
            return Ok(told.split_whitespace().map(str::to_owned).collect());
        }
        Err("the machine has ended by itself".to_owned())
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

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
