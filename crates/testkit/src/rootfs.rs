//! The smallest root file system with a shell: Debian's static busybox.

use std::path::Path;

const BUSYBOX: [&str; 3] = ["/bin/busybox", "/usr/bin/busybox", "/sbin/busybox"];

/// Programs that tests use; each is a symbolic link to busybox.
const APPLETS: &[&str] = &[
    "awk", "cat", "chmod", "chown", "cp", "cut", "date", "dd", "df", "echo", "env", "false", "find", "grep", "head",
    "hostname", "id", "ifconfig", "ip", "kill", "ln", "ls", "md5sum", "mkdir", "mkfifo", "mknod", "mount", "mv", "nc",
    "nproc", "printf", "ps", "pwd", "readlink", "rm", "rmdir", "sed", "seq", "sh", "sleep", "sort", "stat", "stty",
    "su", "sync", "tail", "tar", "tee", "test", "timeout", "top", "touch", "tr", "true", "tty", "umount", "uname",
    "uniq", "wc", "which", "whoami", "xargs", "yes",
];

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\n\
                      nobody:x:65534:65534:nobody:/home:/bin/false\nalice:x:1000:1000:alice:/home/alice:/bin/sh\n";
const GROUP: &str = "root:x:0:\ndaemon:x:1:\nstaff:x:50:alice\nnogroup:x:65534:\nalice:x:1000:\n";

/// The root file system as a tar archive, the same bytes at each call.
///
/// # Panics
/// When Debian's package busybox-static is not installed.
#[must_use]
pub fn busybox_tar() -> Vec<u8> {
    let program = BUSYBOX
        .iter()
        .find_map(|path| std::fs::read(path).ok())
        .expect("install the package busybox-static: the tests make their images from it");
    let mut archive = tar::Builder::new(Vec::new());
    for (path, mode) in [
        ("bin", 0o755),
        ("dev", 0o755),
        ("etc", 0o755),
        ("home", 0o755),
        ("proc", 0o755),
        ("root", 0o700),
        ("sys", 0o755),
        ("tmp", 0o1777),
        ("usr", 0o755),
        ("var", 0o755),
        ("home/alice", 0o755),
    ] {
        let owner = if path == "home/alice" { 1000 } else { 0 };
        append(&mut archive, path, tar::EntryType::Directory, (mode, owner), &[]);
    }
    append(&mut archive, "bin/busybox", tar::EntryType::Regular, (0o755, 0), &program);
    append(&mut archive, "etc/passwd", tar::EntryType::Regular, (0o644, 0), PASSWD.as_bytes());
    append(&mut archive, "etc/group", tar::EntryType::Regular, (0o644, 0), GROUP.as_bytes());
    for applet in APPLETS {
        let mut header = header(tar::EntryType::Symlink, (0o777, 0), 0);
        archive.append_link(&mut header, format!("bin/{applet}"), "busybox").expect("writing to memory");
    }
    archive.into_inner().expect("writing to memory")
}

/// Unpacks the same root file system into a folder.
///
/// # Panics
/// When the folder cannot be written.
pub fn busybox_rootfs(into: &Path) {
    std::fs::create_dir_all(into).expect("the folder can be made");
    let tar = busybox_tar();
    let mut archive = tar::Archive::new(tar.as_slice());
    archive.set_preserve_permissions(true);
    archive.unpack(into).expect("the folder can be written");
}

fn header(kind: tar::EntryType, (mode, owner): (u32, u64), size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(owner);
    header.set_gid(owner);
    header.set_mtime(1_700_000_000);
    header.set_size(size);
    header
}

fn append(archive: &mut tar::Builder<Vec<u8>>, path: &str, kind: tar::EntryType, rights: (u32, u64), data: &[u8]) {
    let mut header = header(kind, rights, data.len() as u64);
    archive.append_data(&mut header, path, data).expect("writing to memory");
}
