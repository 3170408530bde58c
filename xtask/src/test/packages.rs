//! Debian packages that the tests need, installed where that is possible.

use crate::shell::{self, Result};

/// A program or file, and the Debian package that brings it.
const NEEDED: [(&str, &str); 30] = [
    ("/usr/lib/python3/dist-packages/docker/__init__.py", "python3-docker"),
    ("busybox", "busybox-static"),
    ("cpio", "cpio"),
    ("docker-registry", "docker-registry"),
    // Its client is on some machines alone.
    ("dockerd", "docker.io"),
    ("dbus-daemon", "dbus-daemon"),
    ("firewall-cmd", "firewalld"),
    ("fish", "fish"),
    ("fusermount3", "fuse3"),
    ("ip", "iproute2"),
    ("iptables", "iptables"),
    ("lighttpd", "lighttpd"),
    ("mkfs.btrfs", "btrfs-progs"),
    ("mkfs.ext4", "e2fsprogs"),
    ("newuidmap", "uidmap"),
    ("nft", "nftables"),
    ("node", "nodejs"),
    ("npm", "npm"),
    ("openssl", "openssl"),
    ("pasta", "passt"),
    ("pg_lsclusters", "postgresql"),
    ("podman", "podman"),
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("rclone", "rclone"),
    ("runc", "runc"),
    ("skopeo", "skopeo"),
    ("slirp4netns", "slirp4netns"),
    ("strace", "strace"),
    ("zsh", "zsh"),
    ("/usr/share/zoneinfo/Asia/Tokyo", "tzdata"),
];

/// The client of Node programs, which no Debian package brings; pinned, so that a test means the same tomorrow.
const DOCKERODE: &str = "dockerode@5.0.1";

/// Installs what is missing; tells what to install by hand where that is not possible.
pub(crate) fn install() -> Result {
    install_packages()?;
    install_dockerode()
}

/// Into the target directory, where the tests look for it.
fn install_dockerode() -> Result {
    let folder = shell::root().join("target/dockerode");
    if folder.join("node_modules/dockerode/package.json").is_file() {
        return Ok(());
    }
    let mut npm = shell::command("npm");
    npm.args(["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"])
        .arg(&folder)
        .arg(DOCKERODE);
    shell::run(&mut npm).map_err(|error| format!("the tests need {DOCKERODE} in {}: {error}", folder.display()))
}

fn install_packages() -> Result {
    let missing: Vec<&str> =
        NEEDED.iter().filter(|(program, _)| !shell::installed(program)).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    println!("installing for the tests: {}", missing.join(" "));
    let by_hand = || format!("the tests need these Debian packages: {}; install them first", missing.join(" "));
    if !shell::installed("apt-get") || !is_root()? {
        return Err(by_hand());
    }
    shell::run(shell::command("apt-get").args(["update", "--quiet", "--quiet"])).map_err(|_| by_hand())?;
    let mut install = shell::command("apt-get");
    install.args(["install", "--yes", "--quiet", "--quiet", "--no-install-recommends"]).args(&missing);
    // As on a host that is being repaired, invoke-rc.d(8) starts no service then.
    install.env("RUNLEVEL", "1");
    shell::run(install.env("DEBIAN_FRONTEND", "noninteractive")).map_err(|error| format!("{error}; {}", by_hand()))
}

fn is_root() -> Result<bool> {
    Ok(shell::output(shell::command("id").arg("--user"))?.trim() == "0")
}
