//! Archives that try to get out of the layer. Each must fail, or land inside, and never touch anything else.

use std::fs;
use std::os::unix::fs::MetadataExt;

use dhow_errdefs::Class;
use dhow_store::UnpackOptions;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tar::EntryType;

use crate::world::{Tar, World, names};

#[test]
fn dot_dot_in_a_name_is_refused() {
    let world = World::new();
    for name in ["../secret", "a/../../secret", "..", "a/..", "/../secret"] {
        let error = world.refuse(&Tar::new().file("good", "x").file(name, "evil").end());
        assert_eq!(error.class(), Class::InvalidArgument, "{error}");
    }
}

#[test]
fn dot_dot_in_a_long_name_is_refused() {
    let world = World::new();
    let long = format!("{}/../../secret", "a".repeat(120));
    world.refuse(
        &Tar::new().entry(EntryType::GNULongName, "././@LongLink", "", long.as_bytes()).file("x", "evil").end(),
    );
    world.refuse(&Tar::new().pax(&[("path", long.as_bytes())]).file("x", "evil").end());
}

#[test]
fn an_absolute_name_lands_inside() {
    let world = World::new();
    let diff = world.unpack(&Tar::new().file("/etc/passwd", "inside").end());
    assert_eq!(fs::read_to_string(diff.join("etc/passwd")).unwrap(), "inside");
}

#[test]
fn a_file_under_an_absolute_link_lands_inside() {
    let world = World::new();
    let outside = world.outside().to_str().unwrap().to_owned();
    let error = world.refuse(&Tar::new().symlink("link", &outside).file("link/secret", "evil").end());
    assert!(error.to_string().contains("link"), "{error}");
    let diff = world.unpack(&Tar::new().folder("etc").symlink("link", "/etc").file("link/passwd", "inside").end());
    assert_eq!(fs::read_to_string(diff.join("etc/passwd")).unwrap(), "inside");
    world.assert_outside_untouched();
}

#[test]
fn a_file_under_a_climbing_link_lands_inside() {
    let world = World::new();
    let archive = Tar::new().folder("a").symlink("a/link", "../../../../..").file("a/link/secret", "inside");
    let diff = world.unpack(&archive.end());
    assert_eq!(fs::read_to_string(diff.join("secret")).unwrap(), "inside");
    world.assert_outside_untouched();
}

#[test]
fn a_link_to_a_link_does_not_help() {
    let world = World::new();
    let archive = Tar::new().folder("d").symlink("one", "..").symlink("d/two", "../one/..").file("d/two/secret", "in");
    let diff = world.unpack(&archive.end());
    assert_eq!(fs::read_to_string(diff.join("secret")).unwrap(), "in");
    world.assert_outside_untouched();
}

#[test]
fn links_in_a_circle_are_an_error() {
    let world = World::new();
    world.refuse(&Tar::new().symlink("a", "b").symlink("b", "a").file("a/x", "evil").end());
}

#[test]
fn a_file_replaces_a_link_and_is_not_written_through_it() {
    let world = World::new();
    let secret = world.outside().join("secret");
    let diff = world.unpack(&Tar::new().symlink("x", secret.to_str().unwrap()).file("x", "inside").end());
    assert_eq!(fs::read_to_string(diff.join("x")).unwrap(), "inside");
    assert!(!fs::symlink_metadata(diff.join("x")).unwrap().is_symlink());
    world.assert_outside_untouched();
}

#[test]
fn a_folder_replaces_a_link_and_is_not_changed_through_it() {
    let world = World::new();
    let before = fs::metadata(world.outside()).unwrap().mode();
    let outside = world.outside().to_str().unwrap().to_owned();
    let archive = Tar::new()
        .symlink("x", &outside)
        .header(EntryType::Directory, "x", |header| header.set_mode(0o1777))
        .file("x/secret", "inside");
    let diff = world.unpack(&archive.end());
    assert_eq!(fs::read_to_string(diff.join("x/secret")).unwrap(), "inside");
    assert_eq!(fs::metadata(world.outside()).unwrap().mode(), before);
    world.assert_outside_untouched();
}

/// The folder is described, replaced by a link, and its deferred attributes must not be set through the link
/// (RUSTSEC-2026-0067 of the `tar` crate).
#[test]
fn attributes_of_a_folder_are_not_set_through_a_link_that_replaced_it() {
    let world = World::new();
    let before = fs::metadata(world.outside()).unwrap();
    let outside = world.outside().to_str().unwrap().to_owned();
    let archive = Tar::new()
        .header(EntryType::Directory, "x", |header| header.set_mode(0o777))
        .header(EntryType::Directory, "x/y", |header| header.set_mode(0o777))
        .symlink("x", &outside);
    let diff = world.unpack(&archive.end());
    assert!(fs::symlink_metadata(diff.join("x")).unwrap().is_symlink());
    let after = fs::metadata(world.outside()).unwrap();
    assert_eq!((before.mode(), before.mtime()), (after.mode(), after.mtime()));
}

#[test]
fn a_hard_link_out_of_the_tree_is_refused() {
    let world = World::new();
    let secret = world.outside().join("secret");
    for target in ["../../../secret", "/../secret", secret.to_str().unwrap(), "nothing", ""] {
        let error = world.refuse(&Tar::new().hardlink("x", target).end());
        assert_eq!(error.class(), Class::InvalidArgument, "{target}: {error}");
    }
}

#[test]
fn a_hard_link_through_a_link_stays_inside() {
    let world = World::new();
    let outside = world.outside().to_str().unwrap().to_owned();
    world.refuse(&Tar::new().symlink("out", &outside).hardlink("x", "out/secret").file("x", "evil").end());
}

#[test]
fn a_hard_link_to_a_link_is_the_link_and_a_file_over_it_goes_nowhere() {
    let world = World::new();
    let secret = world.outside().join("secret");
    let archive = Tar::new().symlink("a", secret.to_str().unwrap()).hardlink("b", "a").file("b", "inside");
    let diff = world.unpack(&archive.end());
    assert_eq!(fs::read_to_string(diff.join("b")).unwrap(), "inside");
    world.assert_outside_untouched();
}

#[test]
fn a_hard_link_to_a_folder_is_refused() {
    let world = World::new();
    world.refuse(&Tar::new().folder("d").hardlink("x", "d").end());
}

#[test]
fn whiteouts_cannot_reach_out() {
    let world = World::new();
    let outside = world.outside().to_str().unwrap().to_owned();
    for name in [".wh...", ".wh..", ".wh.", "a/.wh..."] {
        world.refuse(&Tar::new().file(name, "").end());
    }
    world.refuse(&Tar::new().symlink("out", &outside).file("out/.wh.secret", "").end());
    world.refuse(&Tar::new().symlink("out", &outside).file("out/.wh..wh..opq", "").end());
}

#[test]
fn a_name_below_a_file_is_an_error() {
    let world = World::new();
    let error = world.refuse(&Tar::new().file("x", "").file("x/y", "").end());
    assert!(error.to_string().contains('x'));
}

#[test]
fn the_root_must_be_a_folder() {
    let world = World::new();
    for kind in [EntryType::Regular, EntryType::Symlink, EntryType::Link, EntryType::Fifo] {
        world.refuse(&Tar::new().entry(kind, ".", "/", b"").end());
    }
}

#[test]
fn names_with_a_nul_are_refused() {
    let world = World::new();
    world.refuse(&Tar::new().pax(&[("path", b"a\0b")]).file("x", "").end());
    world.refuse(&Tar::new().pax(&[("linkpath", b"a\0b")]).symlink("x", "y").end());
    world.refuse(&Tar::new().pax(&[("SCHILY.xattr.user.a\0b", b"v")]).file("x", "").end());
}

/// `redirect` and `metacopy` would let a layer show files of other layers, `opaque` and `whiteout` hide them.
#[test]
fn attributes_of_overlay_in_an_archive_are_dropped() {
    let world = World::new();
    let diff = world.unpack(
        &Tar::new()
            .pax(&[
                ("SCHILY.xattr.trusted.overlay.redirect", b"/1/diff/etc"),
                ("SCHILY.xattr.trusted.overlay.opaque", b"y"),
                ("SCHILY.xattr.user.overlay.redirect", b"/1/diff/etc"),
            ])
            .folder("d")
            .pax(&[("SCHILY.xattr.trusted.overlay.metacopy", b"")])
            .file("f", "")
            .end(),
    );
    for name in ["d", "f"] {
        let mut list = [0u8; 1024];
        let length = rustix::fs::llistxattr(diff.join(name), &mut list[..]).unwrap();
        assert!(!String::from_utf8_lossy(&list[..length]).contains("overlay"));
    }
}

#[test]
fn a_link_into_proc_leads_nowhere() {
    let world = World::new();
    world.refuse(&Tar::new().symlink("root", "/proc/self/root").file("root/tmp/x", "evil").end());
    world.refuse(&Tar::new().symlink("cwd", "/proc/self/cwd").file("cwd/x", "evil").end());
}

fn component() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "l", "m", "..", ".", "", ".wh.a", ".wh..wh..opq"]).prop_map(Into::into)
}

fn path() -> impl Strategy<Value = String> {
    (any::<bool>(), prop::collection::vec(component(), 1..5))
        .prop_map(|(absolute, parts)| format!("{}{}", if absolute { "/" } else { "" }, parts.join("/")))
}

/// Any sequence of entries lands inside or is refused: nothing beside the data root ever changes.
#[test]
fn nothing_escapes() {
    let world = World::new();
    let entries = prop::collection::vec((0u8..5, path(), path()), 1..12);
    let run = |entries: Vec<(u8, String, String)>| {
        let mut archive = Tar::new();
        for (kind, path, target) in entries {
            // Some of the targets lead to the folder that holds the secret.
            let target = target.replace("/m", world.outside().to_str().unwrap());
            let target = &target[..target.len().min(99)];
            archive = match kind {
                0 => archive.folder(&path),
                1 => archive.file(&path, "evil"),
                2 => archive.symlink(&path, target),
                3 => archive.hardlink(&path, target),
                _ => archive.file(&format!("{path}/secret"), "evil"),
            };
        }
        drop(world.store.layers().unpack(&archive.end()[..], &UnpackOptions::default()));
        world.assert_outside_untouched();
        prop_assert_eq!(names(&world.store.root().join("layers")), ["base"]);
        Ok(())
    };
    TestRunner::new(ProptestConfig { cases: 256, failure_persistence: None, ..Default::default() })
        .run(&entries, run)
        .unwrap();
}
