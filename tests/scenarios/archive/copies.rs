//! `cp`, both ways.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use dhow_testkit::{eventually, finish_with_input};

use super::{CLIENTS, members, running, with};
use crate::busybox;

/// What arrives on this machine, as a list of names and contents.
fn tree(path: &Path) -> Vec<String> {
    fn below(path: &Path, name: &str, found: &mut Vec<String>) {
        let stat = fs::symlink_metadata(path).expect("there");
        if stat.is_symlink() {
            found.push(format!("{name} -> {}", fs::read_link(path).expect("a link").display()));
        } else if stat.is_dir() {
            found.push(format!("{name}/"));
            let mut names: Vec<_> = fs::read_dir(path).expect("read").map(|it| it.expect("read").file_name()).collect();
            names.sort();
            for entry in names {
                below(&path.join(&entry), &format!("{name}/{}", entry.to_string_lossy()), found);
            }
        } else {
            found.push(format!("{name}={}", fs::read_to_string(path).expect("text")));
        }
    }
    let mut found = Vec::new();
    below(path, "", &mut found);
    found.split_off(1)
}

const FILES: &str = "mkdir -p /s/d/sub; printf a > /s/file; printf b > /s/d/b; printf c > /s/d/sub/c; ln -s d /s/link;
    ln -s /s/file /s/flink; chmod 4711 /s/file; ln /s/d/b /s/d/hard";

#[test]
fn cp_out_follows_dockers_rules() {
    let world = busybox();
    world.dhow(&["run", "--name", "box", "busybox", "sh", "-c", FILES]).exits(0);
    let all = ["/b=b", "/hard=b", "/sub/", "/sub/c=c"];
    let under = |name: &str| [vec![format!("/{name}/")], all.map(|line| format!("/{name}{line}")).to_vec()].concat();
    for client in CLIENTS {
        let to = world.path().join(client);
        fs::create_dir_all(to.join("in")).expect("made");
        fs::write(to.join("old"), "old").expect("written");
        let mut seen: Vec<String> = vec!["/in/".into(), "/old=old".into()];
        let mut copy = |flags: &[&str], from: &str, name: &str, more: &[String]| {
            let source = format!("box:{from}");
            let target = format!("{}/{name}", to.display());
            with(&world, client, &[&["cp"], flags, &[source.as_str(), target.as_str()]].concat()).exits(0);
            seen.extend_from_slice(more);
            seen.sort();
            let mut found = tree(&to);
            found.sort();
            assert_eq!(found, seen, "{client} cp {from} {name}");
        };
        copy(&[], "/s/file", "new", &["/new=a".into()]);
        copy(&[], "/s/file", "", &["/file=a".into()]);
        copy(&[], "s/file", "in/", &["/in/file=a".into()]);
        copy(&[], "/s/d", "whole", &under("whole"));
        copy(&[], "/s/d", "slash/", &under("slash"));
        copy(&[], "/s/d/.", "dot", &under("dot"));
        copy(&[], "/s/d", "in", &under("in/d"));
        copy(&[], "/s/link", "link", &["/link -> d".into()]);
        copy(&["-L"], "/s/link", "followed", &under("followed"));
        copy(&["-L"], "/s/flink", "in", &["/in/flink=a".into()]);
        copy(&[], "/s/link/", "through", &under("through"));
        assert_eq!(fs::metadata(to.join("new")).expect("there").permissions().mode() & 0o7777, 0o4711);
        let out = with(&world, client, &["cp", "box:/s/d/.", "-"]);
        assert_eq!(members(out.exits(0).stdout_bytes()).keys().next().map(String::as_str), Some("./"));
    }
}

#[test]
fn cp_in_follows_dockers_rules_into_stopped_and_running_containers() {
    let world = busybox();
    let host = world.path().join("host");
    fs::create_dir_all(host.join("d/sub")).expect("made");
    for (name, text) in [("file", "a"), ("d/b", "b"), ("d/sub/c", "c")] {
        fs::write(host.join(name), text).expect("written");
    }
    symlink("d", host.join("link")).expect("made");
    std::os::unix::fs::chown(host.join("file"), Some(1000), Some(50)).expect("owned");
    for (client, name) in [("dhow", "one"), ("docker", "two")] {
        world.dhow(&["run", "-d", "--name", name, "busybox", "sleep", "1000"]).exits(0);
        for stopped in [false, true] {
            if stopped {
                world.dhow(&["stop", "-t", "0", name]).exits(0);
            }
            let top = if stopped { "/stopped" } else { "/running" };
            let copy = |flags: &[&str], from: &str, to: &str| {
                let (from, to) = (format!("{}/{from}", host.display()), format!("{name}:{top}{to}"));
                with(&world, client, &[&["cp"], flags, &[from.as_str(), to.as_str()]].concat()).exits(0);
            };
            copy(&[], "d", "");
            copy(&[], "d", "");
            copy(&[], "file", "/");
            copy(&[], "file", "/renamed");
            copy(&[], "file", "/b");
            copy(&[], "d/.", "/dot");
            copy(&[], "link", "/l");
            copy(&["-L"], "link", "/followed");
            copy(&[], "link/", "/through");
        }
        world.dhow(&["start", name]).exits(0);
        let list = |top: &str| {
            let script = format!("cd {top}; find . | sort; stat -c '%u:%g %a' file; cat renamed b; readlink l");
            world.dhow(&["exec", name, "sh", "-c", &script]).ok()
        };
        let found = list("/running");
        assert_eq!(found, list("/stopped"), "{client}");
        let expected = "./b ./d ./d/b ./d/sub ./d/sub/c ./dot ./dot/b ./dot/sub ./dot/sub/c ./file ./followed ./followed/b \
            ./followed/sub ./followed/sub/c ./l ./renamed ./sub ./sub/c ./through ./through/b ./through/sub \
            ./through/sub/c 1000:50 644 aad";
        let expected = [".", expected].join(" ");
        assert_eq!(found.split_whitespace().collect::<Vec<_>>().join(" "), expected, "{client}");
    }
}

/// The same words and the same output from both clients.
#[test]
fn what_cannot_be_copied_is_refused_in_dockers_words() {
    let world = busybox();
    let host = world.path().join("host");
    fs::create_dir_all(host.join("dir")).expect("made");
    fs::write(host.join("file"), "x").expect("written");
    running(&world, &[]);
    let here = |name: &str| format!("{}/{name}", host.display());
    let (file, dir, slash, none) = (here("file"), here("dir"), here("file/"), here("none"));
    for (args, words) in [
        (["box:/nope", "."], "Error response from daemon: Could not find the file /nope in container box"),
        ([&none, "box:/"], "no such file or directory"),
        ([&file, "box:/nope/x"], "Error response from daemon: Could not find the file /nope"),
        ([&file, "box:/nope/"], "no such directory"),
        ([&dir, "box:/etc/passwd"], "cannot copy directory"),
        (["box:/etc", &file], "cannot copy directory"),
        (["box:/etc/passwd", "/nope/x"], "invalid output path: directory \"/nope\" does not exist"),
        (["box:/etc/passwd", "/dev/null"], "must be a directory or a regular file: got a device"),
        ([&slash, "box:/"], "not a directory"),
        ([&file, "other:/"], "no such directory"),
        (["box:/x", "other:/y"], "copying between containers is not supported"),
        ([&file, &dir], "must specify at least one container source"),
        (["", "box:/"], "source can not be empty"),
        (["-", "box:/etc/passwd"], "destination \"box:/etc/passwd\" must be a directory"),
        ([&file, "box:/dev/null"], "must be a directory or a regular file: got a device"),
        (["box:/etc/passwd/", &dir], "lstat /etc/passwd/: not a directory"),
    ] {
        for client in CLIENTS {
            with(&world, client, &["cp", args[0], args[1]]).exits(1).says(words);
        }
    }
    // Neither side replaces folders by files, nor files by folders.
    world.dhow(&["exec", "box", "sh", "-c", "mkdir -p /t/file; mkdir /t/x; touch /t/x/dir"]).exits(0);
    for client in CLIENTS {
        let refused = with(&world, client, &["cp", &file, "box:/t"]);
        refused.exits(1).says("cannot overwrite directory \"/t/file\" with non-directory \"/t\"");
        let refused = with(&world, client, &["cp", &dir, "box:/t/x"]);
        refused.exits(1).says("cannot overwrite non-directory \"/t/x/dir\" with directory \"/t/x\"");
    }
    let usage = world.dhow(&["cp", "x"]);
    usage.exits(1).says("'dhow cp' requires 2 arguments").says("\tdhow cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH");
}

#[test]
fn cp_goes_through_the_mounts_of_a_container() {
    let world = busybox();
    let bound = world.path().join("bound");
    fs::create_dir(&bound).expect("made");
    let file = world.path().join("file");
    fs::write(&file, "x").expect("written");
    let (file, bind) = (file.display().to_string(), format!("{}:/bind", bound.display()));
    running(&world, &["-v", "vol:/vol", "-v", &bind, "--tmpfs", "/tmpfs", "-v", "vol:/ro:ro"]);
    for folder in ["/vol", "/bind", "/tmpfs", "/dev/shm"] {
        world.dhow(&["cp", &file, &format!("box:{folder}/new")]).exits(0);
        assert_eq!(world.dhow(&["exec", "box", "cat", &format!("{folder}/new")]).ok(), "x", "{folder}");
        let out = world.dhow(&["cp", &format!("box:{folder}/new"), "-"]);
        assert_eq!(members(out.exits(0).stdout_bytes())["new"], "x", "{folder}");
    }
    assert!(bound.join("new").exists());
    world.dhow(&["cp", &file, "box:/ro/x"]).exits(1).says("mounted volume is marked read-only");
    // A file that is mounted keeps its place and gets the contents.
    world.dhow(&["cp", &file, "box:/etc/hosts"]).exits(0);
    assert_eq!(world.dhow(&["exec", "box", "cat", "/etc/hosts"]).ok(), "x");
    world.dhow(&["stop", "-t", "0", "box"]).exits(0);
    for folder in ["/vol", "/bind"] {
        world.dhow(&["cp", &file, &format!("box:{folder}/later")]).exits(0);
        assert_eq!(world.dhow(&["cp", &format!("box:{folder}/later"), "-"]).code(), 0);
    }
    assert!(bound.join("later").exists());
    world.dhow(&["cp", &file, "box:/ro/x"]).exits(1).says("mounted volume is marked read-only");
    // A container that never ran, whose image has no place for the volume.
    for client in CLIENTS {
        world.dhow(&["create", "--name", client, "-v", "filled:/not/there", "busybox", "true"]).exits(0);
        with(&world, client, &["cp", &file, &format!("{client}:/not/there/")]).exits(0);
    }
    assert_eq!(world.dhow(&["run", "--rm", "-v", "filled:/f", "busybox", "cat", "/f/file"]).ok(), "x");
    assert!(!fs::read_to_string("/proc/self/mountinfo").expect("read").contains(&world.path().display().to_string()));
}

#[test]
fn a_read_only_container_is_not_written_to() {
    let world = busybox();
    let file = world.path().join("file");
    fs::write(&file, "x").expect("written");
    let file = file.display().to_string();
    running(&world, &["--read-only", "-v", "vol:/vol", "--tmpfs", "/tmpfs"]);
    for _ in 0..2 {
        for client in CLIENTS {
            let refused = with(&world, client, &["cp", &file, "box:/etc/x"]);
            refused.exits(1).says("Error response from daemon: container rootfs is marked read-only");
            with(&world, client, &["cp", &file, "box:/vol/x"]).exits(0);
        }
        world.dhow(&["stop", "-t", "0", "box"]).exits(0);
    }
}

#[test]
fn owners_are_kept_or_become_the_containers_user() {
    let world = busybox();
    let file = world.path().join("file");
    fs::write(&file, "x").expect("written");
    std::os::unix::fs::chown(&file, Some(7), Some(8)).expect("owned");
    let file = file.display().to_string();
    running(&world, &["--user", "alice"]);
    for client in CLIENTS {
        with(&world, client, &["cp", &file, "box:/tmp/kept"]).exits(0);
        with(&world, client, &["cp", "-a", &file, "box:/tmp/given"]).exits(0);
        let owners = world.dhow(&["exec", "box", "stat", "-c", "%u:%g", "/tmp/kept", "/tmp/given"]).ok();
        assert_eq!(owners, "7:8\n1000:1000", "{client}");
        let back = world.path().join(format!("back-{client}"));
        with(&world, client, &["cp", "box:/tmp/given", &back.display().to_string()]).exits(0);
        assert_eq!(fs::metadata(back).expect("there").uid(), rustix::process::geteuid().as_raw());
    }
}

/// CVE-2018-15664: a folder becomes a link while something is copied into it.
#[test]
fn a_link_that_is_swapped_in_never_leads_to_the_host() {
    let world = busybox();
    let outside = world.path().join("outside");
    fs::create_dir(&outside).expect("made");
    fs::write(outside.join("file"), "precious").expect("written");
    let script = format!(
        "ln -s {} /link; mkdir /d; echo ready; while :; do mv /d /e; mv /link /d; mv /d /link; mv /e /d; done",
        outside.display()
    );
    world.dhow(&["run", "-d", "--name", "box", "busybox", "sh", "-c", &script]).exits(0);
    eventually("it is ready", || world.dhow(&["logs", "box"]).ok() == "ready");
    let source = world.path().join("file");
    fs::write(&source, "evil").expect("written");
    let source = source.display().to_string();
    for _ in 0..25 {
        world.dhow(&["cp", &source, "box:/d/file"]);
        world.dhow(&["cp", &source, "box:/d"]);
        let out = world.dhow(&["cp", "box:/d/file", "-"]);
        assert!(!String::from_utf8_lossy(out.stdout_bytes()).contains("precious"));
    }
    assert_eq!(fs::read_to_string(outside.join("file")).expect("there"), "precious");
    assert_eq!(fs::read_dir(&outside).expect("there").count(), 1);
}

/// CVE-2019-14271: nothing of the container's is loaded or run while its files are read.
#[test]
fn a_container_full_of_links_to_the_host_is_read_as_it_is() {
    let world = busybox();
    let secret = world.path().join("secret");
    fs::write(&secret, "secret").expect("written");
    let script = format!(
        "ln -s {0} /s; rm -r /etc; ln -s {1} /etc; mkdir -p /lib/x86_64-linux-gnu; echo x > /lib/libnss_files.so.2",
        secret.display(),
        world.path().display()
    );
    world.dhow(&["run", "--name", "box", "busybox", "sh", "-c", &script]);
    for (flags, path) in [(&["-L"][..], "/s"), (&[], "/etc/secret"), (&["-L"], "/etc/secret")] {
        let source = format!("box:{path}");
        let out = world.dhow(&[&["cp"], flags, &[source.as_str(), "-"]].concat());
        assert!(!String::from_utf8_lossy(out.stdout_bytes()).contains("secret\0"), "{path}");
    }
    world.dhow(&["export", "box"]).exits(0);
}

#[test]
fn a_pipe_carries_archives_both_ways() {
    let world = busybox();
    running(&world, &[]);
    world.dhow(&["run", "--name", "from", "busybox", "sh", "-c", FILES]).exits(0);
    for client in CLIENTS {
        let tar = with(&world, client, &["cp", "from:/s", "-"]).stdout_bytes().to_vec();
        let target = format!("box:/{client}");
        world.dhow(&["exec", "box", "mkdir", &format!("/{client}")]).exits(0);
        let mut command = match client {
            "docker" => world.stock_command(&["cp", "-", &target]),
            _ => world.command(&["cp", "-", &target]),
        };
        finish_with_input(&mut command, tar).exits(0);
        let seen =
            world.dhow(&["exec", "box", "sh", "-c", &format!("cd /{client}/s; cat file d/sub/c; readlink link")]);
        assert_eq!(seen.ok(), "acd");
        let bad = finish_with_input(&mut world.command(&["cp", "-", &target]), vec![b'x'; 5000]);
        bad.exits(1).says("Error response from daemon: the archive has a");
    }
}
