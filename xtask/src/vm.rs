//! Tests under a stock Debian kernel with nothing but cgroup v2, in a virtual machine by software emulation.
//!
//! Users mostly have cgroup v2, machines like this one a hybrid. The kernel comes from Debian's package, the initial RAM
//! disk is written here: busybox, the kernel modules that are needed, our binary and the test programs, all static.

pub(crate) mod boot;
mod cpio;
mod kernel;
mod life;
pub(crate) mod power;
mod programs;
mod tools;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::shell::{self, Result};
use crate::test;
use cpio::Archive;
use programs::Program;

/// What runs inside. Labs, other engines and users without root need programs that only the host has.
const PROGRAMS: &[Program] = &[
    Program { of: "cgroups", args: &[] },
    Program { of: "network:kernel", args: &[] },
    Program { of: "runtime:container", args: &[] },
    Program { of: "shim:supervision", args: &[] },
    Program { of: "engine:lifecycle", args: &[] },
    Program { of: "dhow:scenarios", args: SCENARIOS },
];

/// The themes in which the kernel has a say. The others are about clients, files and peers, which are the same here; they
/// need programs that the machine does not have.
const SCENARIOS: &[&str] = &[
    "engine_life::",
    "exec::",
    "faults::networks::",
    "iptables::",
    "ipv6::",
    "lifecycle::",
    "limits::",
    "macvlan::",
    "names::",
    "networks::",
    "outside::",
    "process::",
    "removal::",
    "security::",
    "spoofing::",
    "volumes::shares::",
    // It is about addresses only, and takes minutes here.
    "--skip=a_thousand_rounds",
];

/// The last line of a run that came to its end.
const END: &str = "the virtual machine has run everything";

/// The command that does one of the tasks with virtual machines: this program, so that its output can be counted like any other runner's. By this
/// name, because cargo may have built a new file in the place of the running one.
pub(crate) fn command(task: &str) -> Command {
    let mut command = shell::command("/proc/self/exe");
    command.arg(task);
    command
}

/// Builds the test programs, boots the machine, runs them; fails unless every program ran and passed.
pub(crate) fn run(args: &[String]) -> Result {
    if !args.is_empty() {
        return Err("this task takes no arguments".to_owned());
    }
    let folder = folder()?;
    let kernel = kernel::fetch(&folder, &kernel::FOR_CONTAINERS)?;
    let disk = initial_disk(&kernel, &programs::build(PROGRAMS)?)?;
    let path = folder.join("initrd");
    fs::write(&path, disk).map_err(|error| format!("{}: {error}", path.display()))?;
    boot(&kernel.image, &path)
}

/// What every machine has: busybox, our binary, and modules. Gives the lines that load these.
fn common(archive: &mut Archive, kernel: &kernel::Kernel) -> Result<String> {
    let busybox = fs::read("/bin/busybox").or_else(|_| fs::read("/usr/bin/busybox"));
    archive.program("bin/busybox", &busybox.map_err(|error| format!("busybox (package busybox-static): {error}"))?);
    archive.program("bin/dhow", &read(&test::binary())?);
    let mut lines = String::new();
    for (number, module) in kernel.modules.iter().enumerate() {
        archive.file(&format!("modules/{number}.ko"), &read(module)?);
        lines += &format!("insmod /modules/{number}.ko\n");
    }
    Ok(lines)
}

/// Where everything of the machines lies.
fn folder() -> Result<PathBuf> {
    let folder = shell::root().join("target/vm");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(folder)
}

fn initial_disk(kernel: &kernel::Kernel, programs: &[(PathBuf, Vec<String>)]) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    for folder in ["dev", "new", "proc", "root", "run", "sys", "tmp", "usr/bin"] {
        archive.folder(folder);
    }
    let mut lines = common(&mut archive, kernel)?;
    archive.file("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n");
    archive.file("etc/group", b"root:x:0:\n");
    // nft(8) prints names of protocols, where it finds them.
    archive.file("etc/protocols", b"tcp 6 TCP\nudp 17 UDP\nsctp 132 SCTP\n");
    for tool in tools::files()? {
        archive.program(tool.display().to_string().trim_start_matches('/'), &read(&tool)?);
    }
    archive.program("init", FIRST.as_bytes());
    for (number, (program, args)) in programs.iter().enumerate() {
        archive.program(&format!("tests/{number}"), &read(program)?);
        let words: Vec<String> = args.iter().map(|word| format!("'{word}'")).collect();
        lines += &format!("echo; echo '== {}'; /tests/{number} {} || failed=1\n", program.display(), words.join(" "));
    }
    archive.program("second", SECOND.replace("@STEPS@", &lines).replace("@END@", END).as_bytes());
    Ok(archive.finish())
}

/// The initial RAM disk cannot be the old root of pivot_root(2), so everything moves to a tmpfs first.
const FIRST: &str = "#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t tmpfs -o size=80% tmpfs /new
cp -a bin dev etc lib lib64 modules proc root run second sys tests tmp usr /new
mkdir /new/new
exec switch_root /new /second
";

const SECOND: &str = "#!/bin/sh
export PATH=/bin:/usr/local/bin:/usr/bin:/usr/sbin HOME=/root TMPDIR=/tmp DHOW_BINARY=/bin/dhow
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
ln -sf /proc/self/fd /dev/fd
mount -t cgroup2 cgroup2 /sys/fs/cgroup
ip link set lo up
failed=0
@STEPS@
[ $failed = 0 ] && echo '@END@'
poweroff -f
";

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// A machine with that kernel, initial disk and memory, which it prints what it says.
fn machine(kernel: &Path, disk: &Path, megabytes: u32) -> Command {
    let mut qemu = shell::command(format!("qemu-system-{}", std::env::consts::ARCH));
    qemu.args(["-nographic", "-no-reboot", "-smp", "2", "-accel", "tcg,thread=multi", "-net", "none"]);
    qemu.arg("-m").arg(megabytes.to_string()).arg("-kernel").arg(kernel).arg("-initrd").arg(disk);
    qemu.args(["-append", "console=ttyS0 quiet panic=-1 cgroup_no_v1=all oops=panic"]);
    qemu
}

fn boot(kernel: &Path, disk: &Path) -> Result {
    let printed = programs::stream(&mut machine(kernel, disk, 3072))?;
    if printed.lines().any(|line| line.trim_end() == END) {
        return Ok(());
    }
    Err("the virtual machine ended before everything had run and passed".to_owned())
}
