//! What is in an archive is in the layer afterwards, attribute by attribute.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use dhow_store::UnpackOptions;
use tar::EntryType;

use crate::world::{Tar, World, names};

/// The path of a thing, its kind and mode, its owner, its time, its size and its contents or target.
type Line = (String, u32, (u32, u32), (i64, i64), u64, Vec<u8>);

/// Everything below a folder, so that two trees can be compared.
fn listing(root: &Path) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let stat = fs::symlink_metadata(&path).unwrap();
            let contents = if stat.is_symlink() {
                fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
            } else if stat.is_file() {
                fs::read(&path).unwrap()
            } else {
                stat.rdev().to_string().into_bytes()
            };
            let size = if stat.is_file() { stat.size() } else { 0 };
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            lines.push((
                name,
                stat.mode(),
                (stat.uid(), stat.gid()),
                (stat.mtime(), stat.mtime_nsec()),
                size,
                contents,
            ));
            if stat.is_dir() {
                folders.push(path);
            }
        }
    }
    lines.sort();
    lines
}

/// Whether this process may make devices and give files to anybody.
fn may_make_everything() -> bool {
    let dir = tempfile::tempdir().unwrap();
    let may = std::os::unix::fs::chown(dir.path(), Some(12345), Some(70_000)).is_ok()
        && Command::new("mknod").arg(dir.path().join("x")).args(["c", "1", "3"]).output().unwrap().status.success();
    if !may {
        eprintln!("NOT RUN: needs root to make devices and owners");
    }
    may
}

/// A tree with one of everything.
fn everything(root: &Path) {
    fs::create_dir_all(root.join("usr/bin")).unwrap();
    fs::create_dir(root.join("tmp")).unwrap();
    fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777)).unwrap();
    fs::write(root.join("usr/bin/su"), "program").unwrap();
    std::os::unix::fs::chown(root.join("usr/bin/su"), Some(12345), Some(70_000)).unwrap();
    fs::set_permissions(root.join("usr/bin/su"), fs::Permissions::from_mode(0o6755)).unwrap();
    fs::hard_link(root.join("usr/bin/su"), root.join("usr/bin/sudo")).unwrap();
    std::os::unix::fs::symlink("usr/bin", root.join("bin")).unwrap();
    std::os::unix::fs::symlink("/nowhere/../x", root.join("dangling")).unwrap();
    fs::write(root.join("n".repeat(200)), "long").unwrap();
    fs::write(root.join("empty"), "").unwrap();
    let sparse = fs::File::create(root.join("sparse")).unwrap();
    sparse.write_all_at(b"end", 8 << 20).unwrap();
    sparse.write_all_at(b"start", 0).unwrap();
    for (name, kind) in [("null", "c"), ("loop", "b")] {
        assert!(Command::new("mknod").arg(root.join(name)).args([kind, "1", "3"]).status().unwrap().success());
    }
    assert!(Command::new("mkfifo").arg(root.join("fifo")).status().unwrap().success());
    let capability = [1u8, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let set = |name: &str, value: &[u8]| {
        rustix::fs::setxattr(root.join("empty"), name, value, rustix::fs::XattrFlags::empty()).unwrap();
    };
    set("security.capability", &capability);
    set("user.note", b"with\nnewline\0and nul");
}

fn pack(root: &Path, arguments: &[&str]) -> Vec<u8> {
    let mut tar = Command::new("tar");
    tar.arg("-C").arg(root).args(arguments).arg(".");
    let output = tar.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[test]
fn what_gnu_tar_packs_comes_out_the_same() {
    if !may_make_everything() {
        return;
    }
    let source = tempfile::tempdir().unwrap();
    everything(source.path());
    let posix = ["-c", "--format=posix", "--xattrs", "--xattrs-include=*", "-S"];
    for compression in ["", "--gzip", "--zstd"] {
        let world = World::new();
        let mut arguments = posix.to_vec();
        arguments.extend((!compression.is_empty()).then_some(compression));
        let diff = world.unpack(&pack(source.path(), &arguments));
        assert_eq!(listing(&diff), listing(source.path()), "{compression}");
        let inode = |name: &str| fs::metadata(diff.join(name)).unwrap().ino();
        assert_eq!(inode("usr/bin/su"), inode("usr/bin/sudo"));
        assert!(fs::metadata(diff.join("sparse")).unwrap().blocks() < 100, "holes stay holes");
        let mut value = [0u8; 64];
        for (name, length) in [("security.capability", 20), ("user.note", 20)] {
            assert_eq!(rustix::fs::getxattr(diff.join("empty"), name, &mut value[..]).unwrap(), length, "{name}");
        }
        assert!(fs::metadata(diff.join("null")).unwrap().file_type().is_char_device());
    }
}

#[test]
fn old_gnu_archives_come_out_the_same_but_for_fractions_of_seconds() {
    if !may_make_everything() {
        return;
    }
    let source = tempfile::tempdir().unwrap();
    everything(source.path());
    let world = World::new();
    let diff = world.unpack(&pack(source.path(), &["-c", "--format=gnu", "-S"]));
    let whole = |root: &Path| -> Vec<Line> {
        listing(root).into_iter().map(|line| (line.0, line.1, line.2, (line.3.0, 0), line.4, line.5)).collect()
    };
    assert_eq!(whole(&diff), whole(source.path()));
}

#[test]
fn the_digest_is_that_of_the_uncompressed_archive() {
    let archive = Tar::new().file("a", "b").end();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&archive).unwrap();
    let gzip = gzip.finish().unwrap();
    let zstd = zstd::encode_all(&archive[..], 1).unwrap();
    let expected = dhow_oci::Digest::of(&archive);
    for bytes in [&archive, &gzip, &zstd, &[&gzip[..], &[]].concat()] {
        assert_eq!(World::new().apply(bytes).unwrap().diff_id, expected);
    }
}

#[test]
fn the_last_of_several_entries_with_a_name_wins() {
    let world = World::new();
    let diff = world.unpack(&Tar::new().file("a", "first").file("a", "second").end());
    assert_eq!(fs::read_to_string(diff.join("a")).unwrap(), "second");
}

#[test]
fn a_file_over_a_folder_takes_its_contents_away() {
    let world = World::new();
    let archive = Tar::new().folder("a").file("a/b/c", "x").file("a", "file").file("a-b", "other");
    let diff = world.unpack(&archive.end());
    assert_eq!(fs::read_to_string(diff.join("a")).unwrap(), "file");
    assert_eq!(names(&diff), ["a", "a-b"]);
}

#[test]
fn a_folder_over_a_file_and_a_folder_over_a_folder() {
    let world = World::new();
    let archive =
        Tar::new()
            .file("a", "file")
            .folder("a")
            .file("a/b", "x")
            .header(EntryType::Directory, "a", |header| header.set_mode(0o700));
    let diff = world.unpack(&archive.end());
    assert_eq!(fs::read_to_string(diff.join("a/b")).unwrap(), "x", "a folder over a folder keeps what is in it");
    assert_eq!(fs::metadata(diff.join("a")).unwrap().mode() & 0o7777, 0o700);
}

#[test]
fn folders_without_permissions_are_filled_first() {
    let world = World::new();
    let archive = Tar::new().header(EntryType::Directory, "a", |header| header.set_mode(0)).file("a/b", "x").end();
    let layer = world.apply(&archive).unwrap();
    let stat = fs::metadata(world.store.layers().diff(&layer).join("a")).unwrap();
    assert_eq!((stat.mode() & 0o7777, stat.mtime()), (0, 1_000_000_000));
}

#[test]
fn times_before_1970_and_after_2038() {
    let world = World::new();
    let archive = Tar::new()
        .pax(&[("mtime", b"-1.25")])
        .file("old", "")
        .pax(&[("mtime", b"5000000000.123456789")])
        .file("new", "");
    let diff = world.unpack(&archive.end());
    let time = |name: &str| fs::metadata(diff.join(name)).map(|stat| (stat.mtime(), stat.mtime_nsec())).unwrap();
    assert_eq!(time("old"), (-2, 750_000_000));
    assert_eq!(time("new"), (5_000_000_000, 123_456_789));
}

#[test]
fn a_hard_link_to_itself_changes_nothing() {
    let world = World::new();
    let diff = world.unpack(&Tar::new().file("a", "x").hardlink("a", "./a").end());
    assert_eq!(fs::read_to_string(diff.join("a")).unwrap(), "x");
}

#[test]
fn global_records_and_volume_labels_are_passed_over() {
    let world = World::new();
    let archive = Tar::new()
        .entry(EntryType::XGlobalHeader, "g", "", b"13 path=/evil\n")
        .entry(EntryType::new(b'V'), "label", "", b"")
        .file("a", "x");
    assert_eq!(names(&world.unpack(&archive.end())), ["a"]);
}

#[test]
fn what_this_user_may_not_do_is_left_out_and_noted() {
    let world = World::new();
    let archive = Tar::new()
        .header(EntryType::Char, "null", |header| {
            header.set_device_major(1).unwrap();
            header.set_device_minor(3).unwrap();
        })
        .header(EntryType::Regular, "su", |header| {
            header.set_uid(4242);
            header.set_mode(0o4755);
        })
        .end();
    let unpacked = world.store.layers().unpack(&archive[..], &UnpackOptions::default()).unwrap();
    let notes = unpacked.notes().to_vec();
    let layer = world.store.layers().record(&world.lease, None, vec![unpacked]).unwrap().remove(0);
    let stat = fs::metadata(world.store.layers().diff(&layer).join("su")).unwrap();
    if may_make_everything() {
        assert_eq!((stat.uid(), stat.mode() & 0o7777), (4242, 0o4755));
        assert_eq!(notes, [""; 0]);
    } else {
        let me = rustix::process::geteuid().as_raw();
        assert_eq!((stat.uid(), stat.mode() & 0o7777), (me, 0o755), "its rights were not meant for this user");
        assert!(notes[0].starts_with("1 entries belong to the user itself"), "{notes:?}");
        assert!(notes[1].starts_with("1 devices were left out"), "{notes:?}");
    }
    assert_eq!(world.store.layers().verify(&layer).unwrap(), []);
}
