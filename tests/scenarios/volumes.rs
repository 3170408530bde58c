//! Volumes: made, listed, used, shared, removed; with both command lines.

mod backup;
mod copies;
pub(crate) mod database;
mod drivers;
mod faults;
mod firsts;
mod plugins;
mod shares;

use std::fs;
use std::path::Path;
use std::process::Command;

use dhow_testkit::{Outcome, World, eventually, finish, finish_with_input};

use crate::busybox;

/// Runs the same words with both command lines, which must print the same.
#[track_caller]
fn same(world: &World, args: &[&str]) -> Outcome {
    let [ours, stock] = [world.dhow(args), world.docker(args)];
    assert_eq!((ours.code(), ours.stdout()), (stock.code(), stock.stdout()), "{args:?}");
    ours
}

#[track_caller]
fn refused(outcome: &Outcome) -> &Outcome {
    assert_ne!(outcome.code(), 0, "{outcome:?}");
    outcome
}

/// A file system of its own on a folder, as long as the test runs.
struct Tmpfs<'a>(&'a Path);

impl<'a> Tmpfs<'a> {
    fn at(folder: &'a Path) -> Self {
        finish(Command::new("mount").args(["-t", "tmpfs", "tmpfs"]).arg(folder)).exits(0);
        Self(folder)
    }
}

impl Drop for Tmpfs<'_> {
    fn drop(&mut self) {
        finish(Command::new("umount").arg(self.0));
    }
}

#[test]
fn a_volume_is_made_shown_listed_and_removed() {
    let world = busybox();
    let data = |name: &str| world.data_root().join("volumes").join(name).join("_data").display().to_string();
    assert_eq!(world.dhow(&["volume", "create", "--label", "tier=back", "one"]).ok(), "one");
    assert_eq!(world.docker(&["volume", "create", "-d", "local", "two"]).ok(), "two");
    assert_eq!(world.dhow(&["volume", "create", "one"]).ok(), "one");
    let anonymous = world.docker(&["volume", "create"]).ok();
    assert_eq!(anonymous.len(), 64);
    let template = "{{.Name}} {{.Driver}} {{.Scope}} {{.Mountpoint}} {{json .Labels}} {{json .Options}}";
    let shown = same(&world, &["volume", "inspect", "-f", template, "one", "two", &anonymous]).ok();
    let lines = [
        format!("one local local {} {{\"tier\":\"back\"}} null", data("one")),
        format!("two local local {} null null", data("two")),
        format!("{anonymous} local local {} {{\"com.docker.volume.anonymous\":\"\"}} null", data(&anonymous)),
    ];
    assert_eq!(shown, lines.join("\n"));
    same(&world, &["volume", "inspect", "one"]);
    same(&world, &["volume", "ls"]);
    same(&world, &["volume", "ls", "--format", "json", "--filter", "name=one"]);
    same(&world, &["volume", "ls", "--format", "table {{.Name}}\t{{.Label \"tier\"}}\t{{.Mountpoint}}"]);
    same(&world, &["volume", "ls", "--cluster"]);
    world.dhow(&["create", "--name", "user", "-v", "two:/data", "busybox"]).exits(0);
    for (filter, names) in [
        ("dangling=false", "two"),
        ("label=tier=back", "one"),
        ("name=^t", "two"),
        ("driver=nobody", ""),
        ("label=com.docker.volume.anonymous", &anonymous),
    ] {
        assert_eq!(same(&world, &["volume", "ls", "-q", "--filter", filter]).ok(), names, "{filter}");
    }
    let id = world.inspect("user", "{{.Id}}");
    for outcome in [world.dhow(&["volume", "rm", "two", "-f"]), world.docker(&["volume", "rm", "two"])] {
        outcome.exits(1).says(&format!("remove two: volume is in use - [{id}]"));
    }
    assert_eq!(same(&world, &["volume", "rm", "-f", "nothing"]).ok(), "nothing");
    world.dhow(&["volume", "rm", "one", &anonymous]).exits(0);
    world.dhow(&["rm", "-v", "user"]).exits(0);
    assert_eq!(world.docker(&["volume", "rm", "two"]).ok(), "two");
    assert_eq!(world.dhow(&["volume", "ls", "-q"]).ok(), "");
}

#[test]
fn mistakes_are_told_in_dockers_words() {
    let world = busybox();
    world.dhow(&["volume", "create", "data"]).exits(0);
    let characters = "includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If \
                      you intended to pass a host directory, use absolute path";
    for (args, words) in [
        (&["volume", "create", "a/b"][..], format!("create a/b: \"a/b\" {characters}")),
        (&["volume", "create", "a"], "create a: volume name is too short".into()),
        (
            &["volume", "create", "-d", "none", "xx"],
            "create xx: error looking up volume plugin none: plugin \"none\" not found".into(),
        ),
        (&["volume", "inspect", "nothing"], "get nothing: no such volume".into()),
        (&["volume", "rm", "nothing"], "get nothing: no such volume".into()),
        (&["volume", "ls", "--filter", "color=red"], "invalid filter 'color'".into()),
        (&["volume", "ls", "--filter", "dangling=maybe"], "invalid filter 'dangling=[maybe]'".into()),
        (&["volume", "prune", "-f", "--filter", "until=1h"], "invalid filter 'until'".into()),
        (&["volume", "update", "data"], "can only update cluster volumes".into()),
        (&["volume", "create", "--scope", "multi", "xx"], "This node is not a swarm manager.".into()),
        (
            &["volume", "create", "--name", "one", "two"],
            "conflicting options: cannot specify a volume-name through both --name".into(),
        ),
    ] {
        for outcome in [world.dhow(args), world.docker(args)] {
            outcome.exits(1).says(&words);
        }
    }
    for (args, words) in [
        (&["-v", "a/b:/x"][..], format!("create a/b: \"a/b\" {characters}")),
        (&["--mount", "type=volume,src=a/b,dst=/x"], "create a/b: \"a/b\" includes".into()),
        (
            &["--volume-driver", "none", "-v", "xx:/x"],
            "error looking up volume plugin none: plugin \"none\" not found".into(),
        ),
        (&["--mount", "type=volume,src=xx,dst=/x,volume-driver=none"], "plugin \"none\" not found".into()),
        (&["--mount", "type=volume,dst=/x,readonly"], "must not set ReadOnly mode when using anonymous volumes".into()),
        (
            &["--mount", "type=volume,dst=/x,volume-subpath=y"],
            "must not set Subpath when using anonymous volumes".into(),
        ),
        (
            &["--mount", "type=volume,src=xx,dst=/x,volume-subpath=../y"],
            "subpath must be a relative path within the volume".into(),
        ),
        (&["-v", "data:/x:nope"], "invalid mode: nope".into()),
        (&["-v", "data:/x", "--mount", "type=tmpfs,dst=/x"], "Duplicate mount point: /x".into()),
        (&["--volumes-from", "nobody:rx"], "invalid mode: rx".into()),
    ] {
        for client in [World::dhow, World::docker] {
            let line = [&["create"], args, &["busybox"]].concat();
            refused(&client(&world, &line)).says(&words);
        }
    }
    // The stock client would take it for the image that is missing, and look for that.
    refused(&world.dhow(&["create", "--volumes-from", "nobody", "busybox"])).says("No such container: nobody");
    assert_eq!(world.dhow(&["volume", "ls", "-q"]).ok(), "data");
    assert_eq!(world.dhow(&["ps", "-aq"]).ok(), "");
}

#[test]
fn a_prune_takes_anonymous_volumes_unless_all_are_meant_and_never_one_in_use() {
    let mut world = busybox();
    world.dhow(&["run", "-d", "--name", "user", "-v", "/used", "busybox", "sleep", "1000"]).exits(0);
    let used = world.inspect("user", "{{(index .Mounts 0).Name}}");
    for name in ["named", "kept"] {
        world.dhow(&["volume", "create", "--label", &format!("is={name}"), name]).exits(0);
    }
    world
        .dhow(&["run", "--name", "writer", "-v", "/x", "busybox", "sh", "-c", "head -c 3000 /dev/zero > /x/f"])
        .exits(0);
    let dangling = world.inspect("writer", "{{(index .Mounts 0).Name}}");
    world.dhow(&["rm", "writer"]).exits(0);
    // An engine that has forgotten who uses what would delete under a running container (moby#38883).
    world.crash_engine();
    world.start_engine();
    let refused = finish_with_input(&mut world.command(&["volume", "prune"]), b"n\n".to_vec());
    let stock = finish_with_input(&mut world.stock_command(&["volume", "prune"]), b"n\n".to_vec());
    assert_eq!((refused.code(), refused.stdout()), (stock.code(), stock.stdout()));
    let pruned = world.docker(&["volume", "prune", "-f"]).stdout();
    assert_eq!(pruned, format!("Deleted Volumes:\n{dangling}\n\nTotal reclaimed space: 3kB\n"));
    let pruned = world.dhow(&["volume", "prune", "-f", "-a", "--filter", "label!=is=kept"]).stdout();
    assert_eq!(pruned, "Deleted Volumes:\nnamed\n\nTotal reclaimed space: 0B\n");
    assert_eq!(world.dhow(&["volume", "ls", "-q", "--filter", "name=kept"]).ok(), "kept");
    world.dhow(&["exec", "user", "touch", "/used/still-there"]).exits(0);
    assert!(world.data_root().join("volumes").join(used).join("_data/still-there").exists());
}

#[test]
fn containers_share_volumes_and_the_last_one_takes_an_anonymous_one() {
    let world = busybox();
    world
        .dhow(&[
            "create",
            "--name",
            "owner",
            "-v",
            "/data",
            "-v",
            "named:/named:ro",
            "--volume-driver",
            "local",
            "busybox",
        ])
        .exits(0);
    let name = world.inspect("owner", "{{range .Mounts}}{{if eq .Destination \"/data\"}}{{.Name}}{{end}}{{end}}");
    world.dhow(&["run", "--volumes-from", "owner", "busybox", "sh", "-c", "echo x > /data/x"]).exits(0);
    world
        .docker(&["run", "--rm", "--volumes-from", "owner:ro", "busybox", "touch", "/data/y"])
        .exits(1)
        .says("Read-only");
    world.dhow(&["run", "--rm", "--volumes-from", "owner", "busybox", "touch", "/named/y"]).exits(1).says("Read-only");
    world.dhow(&["create", "--name", "heir", "--volumes-from", "owner", "busybox", "cat", "/data/x"]).exits(0);
    // It is not the owner's any more as long as others use it.
    world.dhow(&["rm", "-v", "owner"]).exits(0);
    assert_eq!(world.dhow(&["start", "-a", "heir"]).ok(), "x");
    assert_eq!(
        world.dhow(&["ps", "-a", "--filter", &format!("volume={name}"), "--format", "{{.Names}}"]).ok().lines().count(),
        2
    );
    let mounts = world.dhow(&["ps", "-a", "--no-trunc", "--filter", "name=heir", "--format", "{{.Mounts}}"]).ok();
    assert!(mounts.contains(&name) && mounts.contains("named"), "{mounts}");
    let created = world.dhow(&["create", "--mount", "type=volume,dst=/a,volume-label=is=it", "busybox"]).ok();
    let labelled = world.inspect(&created, "{{(index .Mounts 0).Name}}");
    let labels = world.docker(&["volume", "inspect", "-f", "{{json .Labels}}", &labelled]).ok();
    assert_eq!(labels, "{\"com.docker.volume.anonymous\":\"\",\"is\":\"it\"}");
    world.dhow(&["rm", "-v", &created]).exits(0);
    world.dhow(&["volume", "inspect", &labelled]).exits(1);
}

#[test]
fn parts_of_volumes_and_what_the_image_has_there() {
    let world = busybox();
    let run = |args: &[&str]| world.dhow(&[&["run", "--rm"], args].concat());
    run(&["-v", "bin:/bin", "busybox", "true"]).exits(0);
    assert!(world.data_root().join("volumes/bin/_data/busybox").exists());
    run(&["--mount", "src=empty,dst=/etc,volume-nocopy", "busybox", "ls", "-A", "/etc"]).exits(0);
    assert!(!world.data_root().join("volumes/empty/_data/passwd").exists());
    run(&[
        "-v",
        "parts:/p",
        "busybox",
        "sh",
        "-c",
        "mkdir -p /p/a/b /p/a/c; echo deep > /p/a/b/file; ln -s /etc /p/out",
    ])
    .exits(0);
    let mount = "src=parts,dst=/x,volume-subpath=a/./c/../b";
    assert_eq!(run(&["--mount", mount, "busybox", "cat", "/x/file"]).ok(), "deep");
    let stock = world.docker(&["run", "--rm", "--mount", mount, "busybox", "cat", "/x/file"]);
    assert_eq!(stock.ok(), "deep");
    for missing in ["nothing", "out/hostname"] {
        refused(&run(&["--mount", &format!("src=parts,dst=/x,volume-subpath={missing}"), "busybox", "true"]));
    }
}

#[test]
fn binds_are_read_only_all_the_way_down_unless_somebody_says_otherwise() {
    let world = busybox();
    let (outer, below) = (world.path().join("outer"), world.path().join("outer/below"));
    fs::create_dir_all(&below).expect("made");
    let _below = Tmpfs::at(&below);
    let source = format!("type=bind,src={},dst=/x,readonly", outer.display());
    let touch = |world: &World, client: fn(&World, &[&str]) -> Outcome, more: &str, file: &str| {
        let mount = format!("{source}{more}");
        client(world, &["run", "--rm", "--mount", &mount, "busybox", "touch", file]).code()
    };
    for client in [World::dhow, World::docker] {
        assert_eq!(touch(&world, client, "", "/x/file"), 1);
        assert_eq!(touch(&world, client, "", "/x/below/file"), 1);
        assert_eq!(touch(&world, client, ",bind-recursive=readonly,bind-propagation=rprivate", "/x/below/file"), 1);
        assert_eq!(touch(&world, client, ",bind-recursive=writable", "/x/below/file"), 0);
        assert!(below.join("file").exists());
        fs::remove_file(below.join("file")).expect("it is there");
        // Not bound along, it is the folder below the mount that is seen.
        assert_eq!(touch(&world, client, ",bind-recursive=disabled", "/x/below/file"), 1);
    }
    for (options, words) in [
        ("bind-recursive=nonsense", "invalid value for bind-recursive"),
        ("bind-recursive=readonly", "requires 'readonly' to be specified in conjunction"),
        ("bind-recursive=readonly,readonly", "requires 'bind-propagation=rprivate' to be specified in conjunction"),
    ] {
        let mount = format!("type=bind,src={},dst=/x,{options}", outer.display());
        for client in [World::dhow, World::docker] {
            refused(&client(&world, &["create", "--mount", &mount, "busybox"])).says(words);
        }
    }
}

#[test]
fn what_is_mounted_below_a_bind_comes_and_goes_as_its_propagation_says() {
    let world = busybox();
    let outer = world.path().join("outer");
    fs::create_dir(&outer).expect("made");
    let _outer = Tmpfs::at(&outer);
    let [inner, by_host] = ["inner", "by-host"].map(|name| outer.join(name));
    for folder in [&inner, &by_host] {
        fs::create_dir(folder).expect("made");
    }
    let make = |kind: &str| finish(Command::new("mount").arg(kind).arg(&outer)).exits(0).code();
    let mounted = |path: &Path| {
        let table = fs::read_to_string("/proc/self/mountinfo").expect("read");
        table.contains(&format!(" {} ", path.display()))
    };
    let bind = |propagation: &str| format!("{}:/x:{propagation}", outer.display());
    make("--make-private");
    for (propagation, wanted) in [("rshared", "a shared mount"), ("slave", "a shared or slave mount")] {
        for client in [World::dhow, World::docker] {
            client(&world, &["run", "--rm", "-v", &bind(propagation), "busybox", "true"])
                .exits(125)
                .says(&format!("path {0} is mounted on {0} but it is not {wanted}", outer.display()));
        }
    }
    // Whoever looks at everything may say so even where nothing is shared.
    world.dhow(&["run", "--rm", "-v", "/:/host:ro,rslave", "busybox", "true"]).exits(0);
    make("--make-rshared");
    for (propagation, out, into) in [("rshared", true, true), ("rslave", false, true), ("rprivate", false, false)] {
        let bind = bind(propagation);
        world.dhow(&["run", "-d", "--name", "box", "--privileged", "-v", &bind, "busybox", "sleep", "1000"]).exits(0);
        world.dhow(&["exec", "box", "mount", "-t", "tmpfs", "tmpfs", "/x/inner"]).exits(0);
        assert_eq!(mounted(&inner), out, "{propagation}");
        let below = Tmpfs::at(&by_host);
        let seen = world.dhow(&["exec", "box", "grep", "-c", " /x/by-host ", "/proc/mounts"]).stdout();
        assert_eq!(seen, if into { "1\n" } else { "0\n" }, "{propagation}");
        drop(below);
        world.dhow(&["exec", "box", "umount", "/x/inner"]).exits(0);
        world.dhow(&["rm", "-f", "box"]).exits(0);
        assert!(!mounted(&inner) && !mounted(&by_host));
    }
}

/// What is copied into a container belongs to its root, and on the disk to the caller, whether it runs or not.
fn copied_files_belong_to_the_caller(world: &World, folder: &Path, mount: &str) {
    let file = world.path().join("file").display().to_string();
    fs::write(&file, "text").expect("written");
    world.dhow(&["create", "--name", "box", "--mount", mount, "busybox", "sleep", "1000"]).exits(0);
    for name in ["before", "while"] {
        world.dhow(&["cp", &file, &format!("box:/w/{name}")]).exits(0);
        let copied = fs::metadata(folder.join(name)).expect("it is there");
        assert_eq!(std::os::unix::fs::MetadataExt::uid(&copied), 1234, "{name}");
        world.dhow(&["start", "box"]).exits(0);
    }
    world.dhow(&["rm", "-f", "box"]).exits(0);
}

#[test]
fn files_of_a_bind_belong_to_the_caller_where_ids_are_mapped() {
    let world = busybox();
    let folder = world.path().join("work");
    fs::create_dir(&folder).expect("made");
    std::os::unix::fs::chown(&folder, Some(1234), Some(1235)).expect("tests run as root");
    let bind = format!("{}:/w:idmap", folder.display());
    let mount = format!("type=bind,src={},dst=/w,idmap", folder.display());
    let stock = ["-v", bind.as_str()];
    let ours = ["--mount", mount.as_str()];
    for (user, client, flags, file) in [
        ("0", World::docker as fn(&World, &[&str]) -> Outcome, stock, "by-root"),
        ("55", World::docker, stock, "by-another"),
        ("0", World::dhow, ours, "by-root-too"),
        ("55", World::dhow, ours, "by-one-more"),
    ] {
        let script = format!("stat -c '%u' /w; touch /w/{file}; stat -c '%u' /w/{file}");
        let line = [&["run", "--rm", "-u", user], &flags[..], &["busybox", "sh", "-c", &script]].concat();
        let ran = client(&world, &line);
        if ran.stderr().contains("map the ids") {
            eprintln!("SKIPPED: this file system cannot map ids");
            return;
        }
        assert_eq!(ran.ok(), format!("{user}\n{user}"));
        let made = fs::metadata(folder.join(file)).expect("it is there");
        assert_eq!(std::os::unix::fs::MetadataExt::uid(&made), 1234);
    }
    copied_files_belong_to_the_caller(&world, &folder, &mount);
    refused(&world.dhow(&["create", "-v", "data:/w:idmap", "busybox"])).says("invalid mode: idmap");
    let volume = world.dhow(&["create", "--mount", "type=volume,src=data,dst=/w,idmap", "busybox"]);
    refused(&volume).says("cannot mix 'bind-*' options with mount type 'volume'");
    let system = world.dhow(&["run", "--rm", "--mount", "type=bind,src=/sys/kernel,dst=/w,idmap", "busybox", "true"]);
    refused(&system).says("its file system cannot show files under other ids");
    let created = world.dhow(&["create", "--mount", &mount, "busybox"]).ok();
    assert_eq!(
        world.dhow(&["inspect", "-f", "{{json (index .HostConfig.Mounts 0).BindOptions}}", &created]).ok(),
        "{\"IdMap\":true}"
    );
}

#[test]
fn an_image_is_mounted_and_copies_go_through_mounts() {
    let mut world = busybox();
    let mount = "type=image,src=busybox,dst=/i";
    for client in [World::dhow, World::docker] {
        let listed = client(
            &world,
            &["run", "--rm", "--mount", mount, "busybox", "sh", "-c", "ls /i/bin | grep -c ^sh$; touch /i/x"],
        );
        assert_eq!(listed.stdout(), "1\n");
        listed.says("Read-only file system");
        let part = format!("{mount},image-subpath=bin");
        client(&world, &["run", "--rm", "--mount", &part, "busybox", "/i/sh", "-c", "exit 7"]).exits(7);
    }
    refused(&world.dhow(&["create", "--mount", "type=image,src=nothing,dst=/i", "busybox"]))
        .says("No such image: nothing:latest");
    world.dhow(&["run", "-d", "--name", "user", "--mount", mount, "busybox", "sleep", "1000"]).exits(0);
    assert_eq!(world.inspect("user", "{{range .Mounts}}{{.Type}} {{.Name}} {{.RW}}{{end}}"), "image busybox false");
    world.crash_engine();
    world.start_engine();
    world.dhow(&["exec", "user", "ls", "/i/bin/sh"]).exits(0);
    world.dhow(&["rm", "-f", "user"]).exits(0);
    // A container that does not run has its volumes, too, those that must be mounted among them.
    world
        .dhow(&[
            "volume",
            "create",
            "-o",
            "type=none",
            "-o",
            "o=bind",
            "-o",
            &format!("device={}", world.path().display()),
            "here",
        ])
        .exits(0);
    world.dhow(&["create", "--name", "box", "-v", "data:/data", "-v", "here:/here:nocopy", "busybox"]).exits(0);
    let file = world.path().join("file").display().to_string();
    fs::write(&file, "copied").expect("written");
    world.dhow(&["cp", &file, "box:/data/file"]).exits(0);
    assert_eq!(fs::read_to_string(world.data_root().join("volumes/data/_data/file")).expect("it is there"), "copied");
    let back = world.path().join("back").display().to_string();
    world.docker(&["cp", "box:/here/file", &back]).exits(0);
    assert_eq!(fs::read_to_string(&back).expect("it is there"), "copied");
    let part = "type=image,src=busybox,dst=/part,image-subpath=etc";
    world.dhow(&["create", "--name", "looks", "--mount", mount, "--mount", part, "busybox"]).exits(0);
    let passwd = world.dhow(&["run", "--rm", "busybox", "cat", "/etc/passwd"]).stdout();
    for file in ["/i/etc/passwd", "/part/passwd"] {
        world.dhow(&["cp", &format!("looks:{file}"), &back]).exits(0);
        assert_eq!(fs::read_to_string(&back).expect("it is there"), passwd, "{file}");
    }
    refused(&world.docker(&["cp", &file, "looks:/i/file"])).says("mounted volume is marked read-only");
    let images = world.exec_root().join("images");
    eventually("no place for an image stays", || fs::read_dir(&images).is_ok_and(|mut left| left.next().is_none()));
}

#[test]
fn what_is_wrong_with_a_mount_is_named() {
    let world = busybox();
    let path = |name: &str| world.path().join(name).display().to_string();
    fs::write(path("file"), "").expect("written");
    fs::create_dir(path("folder")).expect("made");
    world.dhow(&["volume", "create", "data"]).exits(0);
    let refusal = |flags: &[&str], words: &str| {
        for client in [World::dhow, World::docker] {
            refused(&client(&world, &[&["run", "--rm"], flags, &["busybox", "true"]].concat())).says(words);
        }
    };
    refusal(&["--mount", "src=data,dst=/v,volume-subpath=nope"], "mount /v: cannot access path \"nope\": ");
    refusal(
        &["--mount", "type=image,src=busybox,dst=/i,image-subpath=nope"],
        "mount /i: cannot access path \"nope\": ",
    );
    let over = format!("{}:/dev", path("folder"));
    refusal(&["-v", &over], "the container has no null device at /dev/null: something else is mounted on /dev");
    let (below, over) = (path("file/below"), format!("{}:/etc", path("file")));
    let stat = format!("stat {below}: not a directory");
    refusal(&["-v", &format!("{below}:/x")], &stat);
    refusal(&["--mount", &format!("type=bind,src={below},dst=/x")], &stat);
    refusal(&["-v", &over], &format!("bind mount {} on /etc: not a directory: Are you trying", path("file")));
    refused(&world.dhow(&["create", "--mount", "type=tmpfs,dst=/t,tmpfs-size=99999999999g", "busybox"]))
        .says("invalid value for tmpfs-size: 99999999999g");
}

#[test]
fn an_anonymous_volume_goes_with_the_last_container_that_has_it() {
    let world = busybox();
    world.dhow(&["create", "--name", "one", "-v", "/data", "busybox"]).exits(0);
    world.dhow(&["create", "--name", "two", "--volumes-from", "one", "busybox"]).exits(0);
    // A container that cannot be made takes nothing of others away.
    let refused_one = ["create", "--volumes-from", "two", "-v", "/more", "-v", "bad/name:/x", "busybox"];
    refused(&world.dhow(&refused_one));
    world.dhow(&["rm", "-v", "one"]).exits(0);
    assert_eq!(world.dhow(&["volume", "ls", "-q"]).ok().lines().count(), 1);
    world.dhow(&["run", "--rm", "--volumes-from", "two", "busybox", "true"]).exits(0);
    assert_eq!(world.dhow(&["volume", "ls", "-q"]).ok().lines().count(), 1);
    world.dhow(&["rm", "-v", "two"]).exits(0);
    assert_eq!(world.dhow(&["volume", "ls", "-q"]).ok(), "");
    world.is_in_order();
}
