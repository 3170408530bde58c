//! What a container has changed, as a list and as a layer; the kernel's own overlay makes the changes.

use std::fs;
use std::process::Command;

use dhow_store::{ChangeKind, Overlay, UnpackOptions};

use crate::world::{Tar, World};

/// Runs a script in the merged tree of an overlay, in a mount namespace of its own. None where that cannot be done.
fn inside(world: &World, overlay: &Overlay, script: &str) -> Option<String> {
    let lower: Vec<_> = overlay.lower.iter().map(|path| path.to_str().unwrap()).collect();
    let mut options =
        format!("lowerdir={},upperdir={},workdir={}", lower.join(":"), overlay.upper.display(), overlay.work.display());
    if overlay.userxattr {
        options.push_str(",userxattr");
    }
    let at = world.outside().join("merged");
    fs::create_dir_all(&at).unwrap();
    let script = format!("set -e; mount -t overlay overlay -o \"$0\" \"$1\" || exit 99; cd \"$1\"; {script}");
    let output = Command::new("unshare").args(["--mount", "sh", "-c", &script, &options]).arg(&at).output().unwrap();
    fs::remove_dir(&at).unwrap();
    let says = String::from_utf8_lossy(&output.stderr);
    match output.status.code() {
        Some(0) => Some(String::from_utf8(output.stdout).unwrap()),
        Some(99) => {
            eprintln!("NOT RUN: cannot mount an overlay here: {says}");
            None
        }
        _ => panic!("{script}: {says}"),
    }
}

fn changes(world: &World, id: &str, top: Option<&dhow_oci::Digest>) -> Vec<String> {
    let changes = world.store.snapshots().changes(id, top).unwrap();
    let letter = |kind| match kind {
        ChangeKind::Modified => 'C',
        ChangeKind::Added => 'A',
        ChangeKind::Deleted => 'D',
    };
    changes.iter().map(|change| format!("{} {}", letter(change.kind), change.path.display())).collect()
}

fn image() -> Vec<u8> {
    Tar::new()
        .folder("etc")
        .file("etc/passwd", "root")
        .folder("old")
        .file("old/a", "a")
        .folder("old/sub")
        .file("old/sub/b", "b")
        .folder("gone")
        .file("gone/x", "x")
        .file("file", "file")
        .file("swapped", "a file")
        .folder("turned")
        .file("turned/in", "in")
        .folder("touched")
        .symlink("link", "file")
        .file("linked", "one")
        .hardlink("linked2", "linked")
        .end()
}

const CHANGES: &str = "
    echo new > etc/new; echo more >> file; rm -r gone; rm link; ln -s etc link
    rm swapped; mkdir swapped; echo x > swapped/x; rm -r turned; echo y > turned
    rm -r old; mkdir old; echo b > old/c; mkdir old/sub
    touch touched/t; rm touched/t; cat linked >> /dev/null; : >> linked
    chmod 1777 tmp 2>/dev/null || { mkdir tmp; chmod 1777 tmp; }
    mkdir deep; mkdir deep/er; echo z > deep/er/z; ln deep/er/z deep/z
    truncate -s 1G deep/holes; printf x | dd of=deep/holes bs=1 seek=1M conv=notrunc 2>/dev/null
    cp /bin/true deep/cap; setfattr -n user.note -v hi deep/cap 2>/dev/null || true
    mkfifo deep/fifo; touch -d @1000000000 deep/er/z; chown 12:34 deep/z 2> /dev/null || true";

#[test]
fn changes_are_told_as_docker_tells_them() {
    let world = World::new();
    let top = world.apply(&image()).unwrap().chain_id;
    let overlay = world.store.snapshots().prepare("c1", Some(&top)).unwrap();
    assert_eq!(changes(&world, "c1", Some(&top)), [""; 0]);
    if inside(&world, &overlay, CHANGES).is_none() {
        return;
    }
    assert_eq!(
        changes(&world, "c1", Some(&top)),
        [
            "A /deep",
            "A /deep/cap",
            "A /deep/er",
            "A /deep/er/z",
            "A /deep/fifo",
            "A /deep/holes",
            "A /deep/z",
            "C /etc",
            "A /etc/new",
            "C /file",
            "D /gone",
            "C /link",
            "C /old",
            "D /old/a",
            "A /old/c",
            "C /old/sub",
            "D /old/sub/b",
            "C /swapped",
            "A /swapped/x",
            "A /tmp",
            "C /turned",
        ]
    );
}

/// Everything about a tree that a layer can say.
const LIST: &str = "find . ! -path './dev*' ! -path './proc*' ! -path './sys*' \
    -printf '%p %y %m %U:%G %s %l %n ' \\( -type d -printf '\\n' -o -printf '%T@\\n' \\) | sort; \
    cat deep/er/z file turned old/c; cksum < deep/holes; du -k deep/holes; getfattr -d deep/cap 2>/dev/null || true";

#[test]
fn a_layer_written_of_a_container_makes_the_same_tree_again() {
    let world = World::new();
    let snapshots = world.store.snapshots();
    let base = world.apply(&image()).unwrap().chain_id;
    let overlay = snapshots.prepare("c1", Some(&base)).unwrap();
    let Some(was) = inside(&world, &overlay, &format!("{CHANGES}; {LIST}")) else { return };
    let layer = snapshots.write_layer("c1", Some(&base), Vec::new()).unwrap();
    assert_eq!(layer, snapshots.write_layer("c1", Some(&base), Vec::new()).unwrap(), "always the same bytes");
    assert!(layer.len() < 1 << 20, "holes take no room: {}", layer.len());
    let top = world.store.layers().apply(&world.lease, Some(&base), &layer[..], &UnpackOptions::default()).unwrap();
    let overlay = snapshots.prepare("c2", Some(&top.chain_id)).unwrap();
    let whole = |text: &str| {
        let line = |line: &str| match line.rsplit_once('.') {
            // Times are whole seconds in a layer.
            Some((line, fraction)) if fraction.len() == 10 => format!("{line}\n"),
            _ => format!("{line}\n"),
        };
        text.lines().map(line).collect::<String>()
    };
    let is = inside(&world, &overlay, LIST).unwrap();
    assert_eq!(whole(&was), whole(&is));
    assert_eq!(changes(&world, "c2", Some(&top.chain_id)), [""; 0]);
    assert_eq!(top.mode, 0o755);
}

#[test]
fn a_root_that_changed_is_in_the_layer_and_an_unchanged_container_makes_an_empty_one() {
    let world = World::new();
    let snapshots = world.store.snapshots();
    snapshots.prepare("c1", None).unwrap();
    assert_eq!(snapshots.write_layer("c1", None, Vec::new()).unwrap(), [0; 1024]);
    let overlay = snapshots.prepare("c2", None).unwrap();
    fs::set_permissions(&overlay.upper, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let layer = snapshots.write_layer("c2", None, Vec::new()).unwrap();
    assert_eq!(world.apply(&layer).unwrap().mode, 0o700);
}

/// The layers below may hide things of each other; what is hidden is not there to be changed.
#[test]
fn what_a_lower_layer_hides_is_new() {
    let world = World::new();
    let layers = world.store.layers();
    let bottom = Tar::new().file("d/old", "").file("gone", "").file("e/x", "").end();
    let top = Tar::new().file("d/.wh..wh..opq", "").file(".wh.gone", "").file("e", "not a folder").end();
    let options = UnpackOptions::default();
    let unpacked = vec![layers.unpack(&bottom[..], &options).unwrap(), layers.unpack(&top[..], &options).unwrap()];
    let top = layers.record(&world.lease, None, unpacked).unwrap()[1].chain_id;
    let upper = world.store.snapshots().prepare("c", Some(&top)).unwrap().upper;
    for folder in ["d", "e"] {
        fs::create_dir(upper.join(folder)).unwrap();
    }
    for file in ["d/old", "gone", "e/x"] {
        fs::write(upper.join(file), "").unwrap();
    }
    assert_eq!(changes(&world, "c", Some(&top)), ["C /d", "A /d/old", "C /e", "A /e/x", "A /gone"]);
}

#[test]
fn a_name_that_would_be_a_whiteout_is_refused() {
    let world = World::new();
    let upper = world.store.snapshots().prepare("c", None).unwrap().upper;
    fs::write(upper.join(".wh.x"), "").unwrap();
    let error = world.store.snapshots().write_layer("c", None, Vec::new()).unwrap_err();
    assert!(error.to_string().contains(".wh.x"), "{error}");
}

#[test]
fn overlays_own_attributes_stay_out() {
    let world = World::new();
    let upper = world.store.snapshots().prepare("c", None).unwrap().upper;
    fs::create_dir(upper.join("d")).unwrap();
    let name = "trusted.overlay.redirect";
    if rustix::fs::setxattr(upper.join("d"), name, b"/etc", rustix::fs::XattrFlags::empty()).is_err() {
        eprintln!("NOT RUN: trusted attributes cannot be set here");
        return;
    }
    let layer = world.store.snapshots().write_layer("c", None, Vec::new()).unwrap();
    assert!(!layer.windows(name.len()).any(|bytes| bytes == name.as_bytes()));
}
