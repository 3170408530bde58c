//! Mount options do what they say.

use std::fs;

use crate::world::{World, possible};

fn with_data(script: &str) -> World {
    let world = World::shell(script);
    fs::create_dir(world.path().join("data")).unwrap();
    fs::write(world.path().join("data/file"), "content\n").unwrap();
    world
}

#[test]
fn binds_are_writable_or_not() {
    if !possible() {
        return;
    }
    let mut world =
        with_data("cat /ro/file; echo more >> /rw/file; (echo x >> /ro/file) 2>&1 | grep -c Read-only; cat /one");
    let source = world.path().join("data");
    world.mount("/rw", "bind", &source, &["rbind"]);
    world.mount("/ro", "bind", &source, &["rbind", "ro"]);
    world.mount("/one", "bind", source.join("file"), &["bind"]);
    assert_eq!(world.output(), "content\n1\ncontent\nmore");
    assert_eq!(fs::read_to_string(source.join("file")).unwrap(), "content\nmore\n");
}

#[test]
fn recursive_read_only_reaches_what_is_mounted_below() {
    if !possible() {
        return;
    }
    // The tree with a mount below is made by a first mount, and bound from there: the test's own namespace is untouched.
    let mut world = with_data("touch /plain/sub/x && echo writable; touch /all/sub/x 2>&1 | grep -c Read-only");
    for (target, word) in [("/plain", "ro"), ("/all", "rro")] {
        let source = world.path().join("data");
        world.mount(target, "bind", &source, &["rbind"]);
        world.mount(&format!("{target}/sub"), "tmpfs", "tmpfs", &[]);
        world.spec.mounts.push(crate::world::mount(target, "", "", &["remount", word]));
    }
    assert_eq!(world.output(), "writable\n1");
}

#[test]
fn attributes_are_seen_in_the_container() {
    if !possible() {
        return;
    }
    let mut world = with_data(
        "grep -E ' /(a|b|c) ' /proc/self/mountinfo | tr ' ' '\\n' | grep -E 'relatime|noatime|strictatime|nosuid'",
    );
    let source = world.path().join("data");
    world.mount("/a", "bind", &source, &["bind", "nosuid", "nodev", "noexec", "noatime"]);
    world.mount("/b", "tmpfs", "tmpfs", &["nosymfollow", "relatime"]);
    let output = world.output();
    assert!(output.contains("rw,nosuid,nodev,noexec,noatime"), "{output}");
    assert!(output.contains("relatime,nosymfollow") || output.contains("nosymfollow"), "{output}");
}

#[test]
fn tmpfs_takes_options_mode_and_the_images_files() {
    if !possible() {
        return;
    }
    let mut world = World::shell(
        "stat -c %a /t /image /copy; cat /copy/d/f; readlink /copy/l; stat -c '%a %u' /copy/d/f; ls /image | wc -l; \
         grep ' /t ' /proc/self/mountinfo | grep -c size=64k",
    );
    let rootfs = world.rootfs();
    for name in ["image", "copy/d"] {
        fs::create_dir_all(rootfs.join(name)).unwrap();
    }
    use std::os::unix::fs::{PermissionsExt, chown, symlink};
    fs::set_permissions(rootfs.join("image"), fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(rootfs.join("image/hidden"), "").unwrap();
    fs::write(rootfs.join("copy/d/f"), "copied\n").unwrap();
    chown(rootfs.join("copy/d/f"), Some(7), Some(7)).unwrap();
    fs::set_permissions(rootfs.join("copy/d/f"), fs::Permissions::from_mode(0o4711)).unwrap();
    symlink("d/f", rootfs.join("copy/l")).unwrap();
    world.mount("/t", "tmpfs", "tmpfs", &["size=64k", "mode=1770"]);
    world.mount("/image", "tmpfs", "tmpfs", &["nosuid"]);
    world.mount("/copy", "tmpfs", "tmpfs", &["tmpcopyup", "ro"]);
    assert_eq!(world.output(), "1770\n700\n755\ncopied\nd/f\n4711 7\n0\n1");
}

#[test]
fn propagation_follows_the_words() {
    if !possible() {
        return;
    }
    let script = "for m in /shared /slave /private; do grep \" $m \" /proc/self/mountinfo | \
                  grep -o -E 'shared:|master:|unbindable' || echo private; done";
    let mut world = with_data(script);
    for word in ["shared", "private"] {
        world.mount(&format!("/{word}"), "tmpfs", "tmpfs", &[word]);
    }
    let source = world.path().join("data");
    world.mount("/slave", "bind", &source, &["bind", "rprivate"]);
    assert_eq!(world.output(), "shared:\nprivate\nprivate");
    let mut world = World::shell("grep ' / / ' /proc/self/mountinfo | grep -c shared:");
    world.linux().rootfs_propagation = Some("shared".into());
    world.mount("/x", "tmpfs", "tmpfs", &[]);
    world.run().unwrap();
}

#[test]
fn mount_points_are_made_where_the_image_has_none() {
    if !possible() {
        return;
    }
    let mut world = with_data("cat /deep/er/file; ls -d /other/place");
    let source = world.path().join("data");
    world.mount("/deep/er/file", "bind", source.join("file"), &["bind"]);
    world.mount("/other/place", "tmpfs", "tmpfs", &[]);
    assert_eq!(world.output(), "content\n/other/place");
}

#[test]
fn cgroup_mounts_show_the_trees() {
    if !possible() {
        return;
    }
    let mut world = World::shell(
        "grep -c ' cgroup' /proc/self/mountinfo; touch /sys/fs/cgroup/x 2>&1 | grep -c -E 'Read-only|denied'",
    );
    world.mount("/sys/fs/cgroup", "cgroup", "cgroup", &["ro", "nosuid", "noexec", "nodev", "relatime"]);
    for own in [true, false] {
        if !own {
            world.namespace("cgroup", None);
        }
        let output = world.output();
        let mut lines = output.lines();
        assert!(lines.next().unwrap().parse::<u32>().unwrap() > 0, "{output}");
        assert_eq!(lines.next(), Some("1"), "{output}");
    }
}

#[test]
fn a_parameter_too_long_for_the_new_api_works() {
    if !possible() {
        return;
    }
    let mut world = World::shell("cat /merged/f; (echo x > /merged/f) 2>&1 | grep -c Read-only");
    let layer = world.path().join("x".repeat(200)).join("y".repeat(100));
    fs::create_dir_all(&layer).unwrap();
    fs::write(layer.join("f"), "deep\n").unwrap();
    let second = world.path().join("second");
    fs::create_dir(&second).unwrap();
    let lower = format!("lowerdir={}:{}", layer.display(), second.display());
    world.mount("/merged", "overlay", "overlay", &["ro", &lower]);
    assert_eq!(world.output(), "deep\n1");
}
