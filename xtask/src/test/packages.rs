//! Debian packages that the tests need, installed where that is possible.

use crate::shell::{self, Result};

/// A program, and the Debian package that brings it.
const NEEDED: [(&str, &str); 17] = [
    ("busybox", "busybox-static"),
    ("cpio", "cpio"),
    ("docker", "docker.io"),
    ("docker-registry", "docker-registry"),
    ("fish", "fish"),
    ("fusermount3", "fuse3"),
    ("ip", "iproute2"),
    ("mkfs.ext4", "e2fsprogs"),
    ("newuidmap", "uidmap"),
    ("openssl", "openssl"),
    ("pg_lsclusters", "postgresql"),
    ("podman", "podman"),
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("rclone", "rclone"),
    ("runc", "runc"),
    ("skopeo", "skopeo"),
    ("zsh", "zsh"),
];

/// Installs what is missing; tells what to install by hand where that is not possible.
pub(crate) fn install() -> Result {
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
    shell::run(install.env("DEBIAN_FRONTEND", "noninteractive")).map_err(|error| format!("{error}; {}", by_hand()))
}

fn is_root() -> Result<bool> {
    Ok(shell::output(shell::command("id").arg("--user"))?.trim() == "0")
}
