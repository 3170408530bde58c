use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use dhow_errdefs::Class;
use proptest::prelude::*;

use super::*;
use crate::{Extent, Packer, Plain, Time, Writer};

fn entry(path: &str, kind: Kind) -> Entry {
    let mtime = Time { seconds: 1_700_000_000, nanoseconds: 0 };
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    Entry { path: path.into(), kind, mode: 0o755, uid, gid, mtime, xattrs: Vec::new() }
}

/// A file of zeros.
fn file(path: &str, size: u64) -> Entry {
    entry(path, Kind::File { size, extents: None })
}

fn tar(entries: &[Entry]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    entries.iter().for_each(|entry| writer.append(entry, None).unwrap());
    writer.finish().unwrap()
}

fn rules() -> Rules {
    Rules { owner: Owner::Caller, keeps_kinds: false, rename: None, exact: false, shown: "/to".into() }
}

fn put(root: &Path, destination: &str, tar: &[u8], rules: &Rules) -> Result<()> {
    let root = File::open(root).unwrap();
    unpack(&mut Archive::new(tar, true), root.as_fd(), destination.as_bytes(), rules)
}

/// A root with a destination, and beside it a folder that nothing may touch.
struct World(tempfile::TempDir);

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["root/to", "outside"] {
            fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        fs::write(dir.path().join("outside/file"), "precious").unwrap();
        Self(dir)
    }

    fn at(&self, path: &str) -> std::path::PathBuf {
        self.0.path().join(path)
    }

    fn put(&self, entries: &[Entry], rules: &Rules) -> Result<()> {
        put(&self.at("root"), "/to", &tar(entries), rules)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        assert_eq!(fs::read_to_string(self.at("outside/file")).unwrap(), "precious");
        assert_eq!(fs::read_dir(self.at("outside")).unwrap().count(), 1);
    }
}

#[test]
fn a_tree_comes_back_as_it_was() {
    let world = World::new();
    let from = world.at("from");
    fs::create_dir_all(from.join("a/b")).unwrap();
    fs::write(from.join("a/file"), "x".repeat(300_000)).unwrap();
    fs::hard_link(from.join("a/file"), from.join("a/other")).unwrap();
    symlink("/nowhere", from.join("a/link")).unwrap();
    fs::set_permissions(from.join("a/b"), fs::Permissions::from_mode(0o1711)).unwrap();
    fs::set_permissions(from.join("a/file"), fs::Permissions::from_mode(0o4750)).unwrap();
    let mut packer = Packer::new(Vec::new(), &Plain);
    assert!(packer.thing(File::open(&from).unwrap().as_fd(), c"a", b"a").unwrap());
    assert!(!packer.thing(File::open(&from).unwrap().as_fd(), c"missing", b"missing").unwrap());
    put(&world.at("root"), "to", &packer.finish().unwrap(), &rules()).unwrap();
    let stat = |path: &Path| {
        let stat = fs::symlink_metadata(path).unwrap();
        (stat.mode(), stat.mtime(), stat.len())
    };
    for name in ["a", "a/b", "a/file", "a/link", "a/other"] {
        assert_eq!(stat(&from.join(name)), stat(&world.at("root/to").join(name)), "{name}");
    }
    assert_eq!(fs::metadata(world.at("root/to/a/file")).unwrap().nlink(), 2);
}

#[test]
fn a_file_with_holes_has_them_again() {
    let world = World::new();
    let kind = Kind::File { size: 1 << 30, extents: Some(vec![Extent { offset: 1 << 20, length: 4096 }]) };
    world.put(&[entry("sparse", kind)], &rules()).unwrap();
    let stat = fs::metadata(world.at("root/to/sparse")).unwrap();
    assert_eq!(stat.len(), 1 << 30);
    assert!(stat.blocks() * 512 < 1 << 20);
}

#[test]
fn names_cannot_climb_and_links_lead_nowhere_else() {
    let world = World::new();
    for name in ["../x", "a/../../x", "/../x"] {
        let error = world.put(&[file(name, 1)], &rules()).unwrap_err();
        assert_eq!(error.to_string(), format!("{name:?} is outside of \"/to\""));
        assert_eq!(error.class(), Class::InvalidArgument);
    }
    world.put(&[file("/a/../b", 1)], &rules()).unwrap();
    assert!(world.at("root/to/b").exists());
    // Links that were there, and links out of the same archive.
    let outside = world.at("outside").display().to_string();
    let up = "../../outside";
    for target in [outside.as_str(), up] {
        let entries = [entry("l", Kind::Symlink(target.into())), file("l/file", 3), file("l/new/x", 1)];
        drop(world.put(&entries, &rules()));
        drop(world.put(&[file("l/file", 3), entry("l", Kind::Directory)], &rules()));
    }
    let link = entry("hard", Kind::Hardlink(format!("{up}/file").into()));
    assert_eq!(world.put(&[link], &rules()).unwrap_err().class(), Class::InvalidArgument);
}

/// An absolute link means a place in the tree (as it does for those who live in it).
#[test]
fn links_are_followed_inside_the_root() {
    let world = World::new();
    fs::create_dir(world.at("root/other")).unwrap();
    symlink("/other", world.at("root/to/l")).unwrap();
    world.put(&[file("l/x", 1)], &rules()).unwrap();
    assert!(world.at("root/other/x").exists());
}

#[test]
fn kinds_are_kept_apart_where_that_is_asked_for() {
    let world = World::new();
    world.put(&[entry("d", Kind::Directory), file("d/x", 1), file("f", 1)], &rules()).unwrap();
    let strict = Rules { keeps_kinds: true, ..rules() };
    let said = |entries: &[Entry]| world.put(entries, &strict).unwrap_err().to_string();
    assert_eq!(said(&[file("d", 1)]), "cannot overwrite directory \"/to/d\" with non-directory \"/to\"");
    assert_eq!(said(&[entry("f", Kind::Directory)]), "cannot overwrite non-directory \"/to/f\" with directory \"/to\"");
    world.put(&[entry("d", Kind::Directory), file("f", 7)], &strict).unwrap();
    assert!(world.at("root/to/d/x").exists(), "folders are merged");
    world.put(&[file("d", 1), entry("f", Kind::Directory)], &rules()).unwrap();
    assert!(world.at("root/to/d").is_file() && world.at("root/to/f").is_dir());
}

#[test]
fn names_are_changed_by_whole_components() {
    let world = World::new();
    let renamed = Rules { rename: Some((b"a".to_vec(), b"z".to_vec())), ..rules() };
    let entries =
        [entry("a", Kind::Directory), file("a/f", 1), file("ab", 1), entry("a/h", Kind::Hardlink(b"a/f".to_vec()))];
    world.put(&entries, &renamed).unwrap();
    assert!(world.at("root/to/z/h").exists() && world.at("root/to/ab").exists() && !world.at("root/to/a").exists());
}

#[test]
fn an_archive_that_ends_early_leaves_no_half_a_file() {
    let world = World::new();
    fs::write(world.at("root/to/f"), "old").unwrap();
    let whole = tar(&[file("f", 100_000)]);
    put(&world.at("root"), "/to", &whole[..50_000], &rules()).unwrap_err();
    assert_eq!(fs::read_to_string(world.at("root/to/f")).unwrap(), "old");
    assert_eq!(fs::read_dir(world.at("root/to")).unwrap().count(), 1);
}

#[test]
fn what_is_deep_is_packed_and_replaced() {
    let world = World::new();
    let deep = "d/".repeat(400);
    world.put(&[file(&format!("{deep}x"), 1)], &rules()).unwrap();
    let mut packer = Packer::new(Vec::new(), &Plain);
    packer.below(File::open(world.at("root/to")).unwrap().into()).unwrap();
    assert!(packer.finish().unwrap().len() > 401 * 512);
    world.put(&[file("d", 1)], &rules()).unwrap();
    assert!(world.at("root/to/d").is_file());
}

proptest! {
    #[test]
    fn no_name_ever_climbs(path in prop::collection::vec(prop::sample::select(b"a./\0".to_vec()), 0..30)) {
        if let Some(Some(name)) = clean(&path) {
            for component in name.split(|byte| *byte == b'/') {
                prop_assert!(!matches!(component, b"" | b"." | b".."));
            }
        }
    }
}

#[test]
fn what_is_to_be_exact_comes_back_with_its_own_folder_fractions_and_overlays_marks() {
    let world = World::new();
    let from = world.at("from");
    fs::create_dir_all(from.join("d")).unwrap();
    fs::set_permissions(&from, fs::Permissions::from_mode(0o1700)).unwrap();
    let marked = rustix::fs::setxattr(from.join("d"), "user.overlay.opaque", b"y", rustix::fs::XattrFlags::empty());
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_nanos(1_600_000_000_123_456_789);
    for name in ["d", "."] {
        File::open(from.join(name)).unwrap().set_modified(time).unwrap();
    }
    let mut packer = Packer::new(Vec::new(), &crate::Exact);
    packer.folder(File::open(&from).unwrap().into(), b".").unwrap();
    let tar = packer.finish().unwrap();
    put(&world.at("root"), "to", &tar, &Rules { exact: true, ..rules() }).unwrap();
    for name in [".", "d"] {
        let [before, after] = ["from", "root/to"].map(|folder| fs::metadata(world.at(folder).join(name)).unwrap());
        assert_eq!((after.mode(), after.modified().unwrap()), (before.mode(), time), "{name}");
    }
    let mut value = [0; 2];
    let found = rustix::fs::getxattr(world.at("root/to/d"), "user.overlay.opaque", &mut value[..]);
    assert_eq!(found.is_ok(), marked.is_ok());
    // To everybody else the folder is the caller's own, and the marks are of another machine.
    let other = World::new();
    put(&other.at("root"), "to", &tar, &rules()).unwrap();
    assert_eq!(fs::metadata(other.at("root/to")).unwrap().mode() & 0o7777, 0o755);
    assert!(rustix::fs::getxattr(other.at("root/to/d"), "user.overlay.opaque", &mut value[..]).is_err());
}
