//! Whiteouts and opaque folders, as the kernel's overlay wants them, and as it reads them.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::process::Command;

use dhow_store::UnpackOptions;
use tar::EntryType;

use crate::world::{Tar, World, names};

fn opaque(path: &Path) -> Option<u8> {
    let mut value = [0u8; 8];
    ["trusted.overlay.opaque", "user.overlay.opaque"]
        .iter()
        .find_map(|name| rustix::fs::getxattr(path, *name, &mut value[..]).ok())
        .map(|_| value[0])
}

fn is_whiteout(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|stat| stat.file_type().is_char_device() && stat.rdev() == 0)
}

#[test]
fn a_whiteout_becomes_a_device_0_0() {
    let world = World::new();
    let diff = world.unpack(&Tar::new().file("etc/.wh.passwd", "").end());
    assert!(is_whiteout(&diff.join("etc/passwd")));
    assert_eq!(names(&diff.join("etc")), ["passwd"]);
}

#[test]
fn an_opaque_marker_becomes_an_attribute_and_hides_nothing_of_its_own_layer() {
    let world = World::new();
    for archive in [
        Tar::new().folder("d").file("d/.wh..wh..opq", "").file("d/a", "x"),
        Tar::new().folder("d").file("d/a", "x").file("d/.wh..wh..opq", ""),
        Tar::new().file("d/.wh..wh..opq", "").file("d/a", "x").folder("d"),
    ] {
        let diff = world.unpack(&archive.end());
        assert_eq!(opaque(&diff.join("d")), Some(b'y'));
        assert_eq!(names(&diff.join("d")), ["a"]);
    }
}

#[test]
fn a_whiteout_of_what_the_layer_has_itself_hides_only_what_is_below() {
    let world = World::new();
    let diff =
        world.unpack(&Tar::new().file("f", "x").file(".wh.f", "").folder("d").file("d/a", "").file(".wh.d", "").end());
    assert_eq!(fs::read_to_string(diff.join("f")).unwrap(), "x");
    assert_eq!(opaque(&diff.join("d")), Some(b'y'), "a folder that was removed and made anew shows nothing old");
    let diff =
        world.unpack(&Tar::new().file(".wh.f", "").file("f", "x").file(".wh.d", "").folder("d").file("d/b", "").end());
    assert_eq!(fs::read_to_string(diff.join("f")).unwrap(), "x");
    assert_eq!(opaque(&diff.join("d")), Some(b'y'));
}

#[test]
fn notes_of_aufs_are_ignored() {
    let world = World::new();
    let archive =
        Tar::new().folder(".wh..wh.plnk").file(".wh..wh.plnk/162.163", "x").file(".wh..wh.aufs", "").file("a", "");
    assert_eq!(names(&world.unpack(&archive.end())), ["a"]);
}

#[test]
fn folders_that_are_not_described_are_like_those_they_cover() {
    let world = World::new();
    let sticky = |header: &mut tar::Header| header.set_mode(0o1777);
    let base = Tar::new()
        .header(EntryType::Directory, "./", |header| header.set_mode(0o700))
        .pax(&[("SCHILY.xattr.user.note", b"kept")])
        .header(EntryType::Directory, "tmp", sticky)
        .file("tmp/old", "");
    let layers = world.store.layers();
    let options = UnpackOptions::default();
    let unpacked = [
        layers.unpack(&base.end()[..], &options).unwrap(),
        layers.unpack(&Tar::new().file("tmp/sub/new", "").end()[..], &options).unwrap(),
        layers.unpack(&Tar::new().file("tmp/third", "").end()[..], &options).unwrap(),
    ];
    let recorded = layers.record(&world.lease, None, unpacked.into()).unwrap();
    for layer in &recorded {
        let stat = fs::metadata(layers.diff(layer).join("tmp")).unwrap();
        assert_eq!((stat.mode() & 0o7777, stat.mtime()), (0o1777, 1_000_000_000), "layer {}", layer.number);
        let mut value = [0u8; 8];
        assert_eq!(rustix::fs::getxattr(layers.diff(layer).join("tmp"), "user.note", &mut value[..]).unwrap(), 4);
        assert_eq!(layer.mode, 0o700, "the root too");
    }
    assert_eq!(fs::metadata(layers.diff(&recorded[1]).join("tmp/sub")).unwrap().mode() & 0o7777, 0o755);
}

/// The kernel agrees: mounts the layers in a mount namespace of its own and looks.
#[test]
fn the_kernel_sees_what_the_layers_mean() {
    let world = World::new();
    let layers = world.store.layers();
    let base = Tar::new().file("d/old", "").file("e/old", "").file("gone", "").file("kept", "").end();
    let top = Tar::new().file("d/.wh..wh..opq", "").file("d/new", "").file(".wh.gone", "").file("e/.wh.old", "").end();
    let options = UnpackOptions::default();
    let unpacked = vec![layers.unpack(&base[..], &options).unwrap(), layers.unpack(&top[..], &options).unwrap()];
    let recorded = layers.record(&world.lease, None, unpacked).unwrap();
    let overlay = world.store.snapshots().prepare("c1", Some(&recorded[1].chain_id)).unwrap();
    // Without the mount points that all containers have.
    let lower: Vec<_> = overlay.lower[..2].iter().map(|path| path.to_str().unwrap()).collect();
    let mut options =
        format!("lowerdir={},upperdir={},workdir={}", lower.join(":"), overlay.upper.display(), overlay.work.display());
    if overlay.userxattr {
        options.push_str(",userxattr");
    }
    let at = world.outside().join("merged");
    fs::create_dir(&at).unwrap();
    let script = "mount -t overlay overlay -o \"$0\" \"$1\" && cd \"$1\" && find . | sort && touch written";
    let output = Command::new("unshare").args(["--mount", "sh", "-c", script, &options]).arg(&at).output().unwrap();
    if !output.status.success() {
        eprintln!("NOT RUN: cannot mount an overlay here: {}", String::from_utf8_lossy(&output.stderr));
        return;
    }
    let seen = String::from_utf8(output.stdout).unwrap();
    assert_eq!(seen.lines().collect::<Vec<_>>(), [".", "./d", "./d/new", "./e", "./kept"]);
    assert_eq!(names(&overlay.upper), ["written"]);
    assert_eq!(world.store.snapshots().usage("c1").unwrap().entries, 1);
}
