//! Folders of file servers: a real NFS server, the kernel's own, where the kernel has one (`cargo xtask vm`).
//!
//! Its helper programs only write into files of the kernel's, which this does itself (Linux, net/sunrpc/cache.c and
//! fs/nfsd/export.c say what the lines mean).

use std::fs;
use std::path::Path;
use std::process::Command;

use dhow_testkit::{eventually, finish};

use super::refused;
use crate::busybox;

/// Not before the end of this kernel's time.
const NEVER: &str = "2147483647";
/// Any port of the client's, no checks of the tree above, found by the number 0 (Linux, include/uapi/linux/nfsd/export.h).
const FLAGS: u32 = 0x2 | 0x400 | 0x2000;

struct Server;

impl Server {
    /// Serves a folder to this machine; nothing if the kernel has no server.
    fn of(folder: &Path) -> Option<Self> {
        let known = fs::read_to_string("/proc/filesystems").expect("the kernel lists them");
        if !known.lines().any(|line| line.ends_with("\tnfsd")) {
            eprintln!("SKIPPED: this kernel has no NFS server");
            return None;
        }
        finish(Command::new("mount").args(["-t", "nfsd", "nfsd", "/proc/fs/nfsd"])).exits(0);
        let tell = |file: &str, line: &str| fs::write(file, format!("{line}\n")).expect("the kernel understands it");
        let folder = folder.display();
        tell("/proc/thread-self/net/rpc/auth.unix.ip/channel", &format!("nfsd 127.0.0.1 {NEVER} here"));
        tell("/proc/thread-self/net/rpc/nfsd.export/channel", &format!("here {folder} {NEVER} {FLAGS} 65534 65534 0"));
        tell("/proc/thread-self/net/rpc/nfsd.fh/channel", &format!("here 1 \\x00000000 {NEVER} {folder}"));
        // The older versions want a port mapper.
        tell("/proc/fs/nfsd/versions", "-2 -3 +4");
        // For so many seconds only clients of before may open files; others are told to try again, and do.
        tell("/proc/fs/nfsd/nfsv4gracetime", "10");
        tell("/proc/fs/nfsd/threads", "2");
        Some(Self)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        fs::write("/proc/fs/nfsd/threads", "0\n").expect("the kernel understands it");
        finish(Command::new("umount").arg("/proc/fs/nfsd"));
    }
}

#[test]
fn a_folder_of_an_nfs_server_is_a_volume() {
    let world = busybox();
    let folder = world.path().join("export");
    fs::create_dir(&folder).expect("made");
    let Some(server) = Server::of(&folder) else { return };
    let options = |name: &str, o: &str, device: &str| {
        let (o, device) = (format!("o={o}"), format!("device={device}"));
        world.dhow(&["volume", "create", "-o", "type=nfs", "-o", &o, "-o", &device, name]).exits(0);
    };
    options("by-address", "addr=127.0.0.1,vers=4.2,soft", ":/");
    options("by-name", "addr=localhost,vers=4.1", ":/");
    options("by-device", "vers=4.2", "localhost:/");
    options("wrong", "addr=127.0.0.1,vers=4.2,nonsense=1", ":/");
    let run = |volume: &str, script: &str| {
        world.dhow(&["run", "--rm", "-v", &format!("{volume}:/v"), "busybox", "sh", "-c", script])
    };
    assert_eq!(run("by-address", "echo shared > /v/file; stat -f -c %T /v").ok(), "nfs");
    assert_eq!(fs::read_to_string(folder.join("file")).expect("it is on the server"), "shared\n");
    for name in ["by-name", "by-device"] {
        assert_eq!(run(name, "cat /v/file").ok(), "shared");
    }
    refused(&run("wrong", "true")).says("option o: nonsense=1");
    let mounted = || fs::read_to_string("/proc/self/mounts").expect("the kernel lists them").contains(" nfs4 ");
    eventually("the last user has gone", || !mounted());
    world.dhow(&["volume", "rm", "by-address", "by-name", "by-device", "wrong"]).exits(0);
    drop(server);
}

#[test]
fn passwords_are_in_no_error() {
    let world = busybox();
    let options = ["-o", "type=cifs", "-o", "device=//127.0.0.1/share", "-o", "o=username=me,password=secret,port=1"];
    world.dhow(&[&["volume", "create"], &options[..], &["share"]].concat()).exits(0);
    let started = world.dhow(&["run", "--rm", "-v", "share:/v:nocopy", "busybox", "true"]);
    refused(&started).says("type: cifs, data: username=me,password=********,port=1");
    assert!(!started.stderr().contains("secret") && !world.engine_log().contains("secret"), "{started:?}");
}
