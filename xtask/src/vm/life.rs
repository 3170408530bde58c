//! A machine with a disk that outlives it, and what it tells.

use std::fs;
use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};

use super::machine;
use crate::shell::{self, Result};

/// Before everything that the machine tells us.
const WORD: &str = "told:";

/// How every such machine begins: with its disk at /data, and an engine that keeps everything there. `@MODULES@` are the
/// lines that load these, `@FIRST@` is what is done before there is an engine, `@THEN@` after.
const INIT: &str = "#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin HOME=/root DOCKER_HOST=unix:///run/dhow.sock
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t cgroup2 cgroup2 /sys/fs/cgroup
@MODULES@
ip link set lo up
mount -t ext4 /dev/vda /data || { echo 'told: failed: the disk cannot be mounted'; poweroff -f; }
@FIRST@
dhow daemon -H $DOCKER_HOST --data-root /data/dhow --exec-root /run/dhow > /run/log 2>&1 &
until dhow version > /dev/null 2>&1; do
    kill -0 $! 2> /dev/null || { cat /run/log; echo 'told: failed: the engine does not start'; poweroff -f; }
    sleep 0.1
done
@THEN@
";

/// The first program of such a machine.
pub(super) fn init(modules: &str, first: &str, then: &str) -> String {
    INIT.replace("@MODULES@", modules).replace("@FIRST@", first).replace("@THEN@", then)
}

/// An empty file system in a file.
pub(super) fn format(disk: &Path) -> Result {
    let file = fs::File::create(disk).and_then(|file| file.set_len(512 << 20));
    file.map_err(|error| format!("{}: {error}", disk.display()))?;
    shell::output(shell::command("mkfs.ext4").args(["-q", "-F"]).arg(disk)).map(drop)
}

/// Tells how that went as other runners close.
pub(super) fn closed(outcome: Result) -> Result {
    println!("test result: {}", if outcome.is_ok() { "ok. 1 passed; 0 failed" } else { "FAILED. 0 passed; 1 failed" });
    outcome
}

/// A machine that runs.
pub(super) struct Machine {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Machine {
    /// Starts one with that kernel, initial disk and disk.
    pub(super) fn start(kernel: &Path, start: &Path, disk: &Path) -> Result<Self> {
        let mut qemu = machine(kernel, start, 1024);
        // What the machine has flushed is in our page cache, and outlives it there: no disk of ours need be waited for.
        qemu.arg("-drive").arg(format!("file={},format=raw,if=virtio,cache=unsafe", disk.display()));
        let spawned = qemu.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut child = spawned.map_err(|error| format!("{qemu:?}: {error}"))?;
        let stdout = child.stdout.take().ok_or("no standard output")?;
        Ok(Self { child, lines: BufReader::new(stdout).lines() })
    }

    /// The power goes. What the machine told until then is yet to be heard.
    pub(super) fn cut(&mut self) {
        // Our own child: it is there until it is waited for.
        let _ = self.child.kill();
    }

    /// The next thing that it tells.
    pub(super) fn next(&mut self) -> Result<Vec<String>> {
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

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
