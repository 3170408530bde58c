//! Bad input: a clear error, and nothing half-made.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::process::Command;

use dhow_testkit::{Door, World, finish};

use crate::busybox;

#[test]
fn names_are_checked_and_unique() {
    let world = busybox();
    world.dhow(&["create", "--name", "-x", "busybox"]).exits(1).says("Invalid container name");
    world.dhow(&["create", "--name", "a b", "busybox"]).exits(1).says("only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed");
    world.dhow(&["create", "--name", "twin", "busybox"]).exits(0);
    world
        .dhow(&["create", "--name", "twin", "busybox"])
        .exits(1)
        .says("The container name \"/twin\" is already in use by container");
    assert_eq!(world.dhow(&["ps", "-aq"]).ok().lines().count(), 1);
}

/// Clients fetch an image when a create request answers that something was not found; another container is no image.
#[test]
fn other_containers_are_not_taken_for_images() {
    let world = busybox();
    let flags =
        ["--volumes-from=nobody", "--network=container:nobody", "--ipc=container:nobody", "--pid=container:nobody"];
    for flag in flags {
        for client in [World::dhow, World::docker] {
            let refused = client(&world, &["create", flag, "busybox"]);
            assert!(refused.code() != 0, "{flag}");
            refused.says("No such container: nobody");
            assert!(!refused.stderr().contains("Unable to find image"), "{}", refused.stderr());
        }
    }
    assert_eq!(world.dhow(&["ps", "-aq"]).ok(), "");
}

#[test]
fn references_are_checked() {
    let world = busybox();
    world.dhow(&["create", "Upper"]).exits(1).says("must be lowercase");
    world.dhow(&["create", ":::"]).exits(1).says("invalid reference format");
    world.dhow(&["tag", "busybox", "bad:tag:twice"]).exits(1).says("not a valid repository/tag");
    world.dhow(&["start", "nobody"]).exits(1).says("No such container: nobody");
    world.dhow(&["stop", "nobody"]).exits(1).says("No such container: nobody");
    world.dhow(&["rm", "nobody"]).exits(1).says("No such container: nobody");
}

#[test]
fn flags_are_checked_before_anything_happens() {
    let world = busybox();
    for (flags, words) in [
        (&["-v", "relative/../x:/y"][..], "includes invalid characters"),
        (&["-v", "/a:/b:/c:/d"][..], "invalid"),
        (&["-v", "/tmp:relative"][..], "mount path must be absolute"),
        (
            &["--mount", "type=bind,source=/no/such/place,target=/x"][..],
            "bind source path does not exist: /no/such/place",
        ),
        (&["--mount", "type=nonsense,target=/x"][..], "nonsense"),
        (&["--ulimit", "nofile=2:1"][..], "soft limit"),
        (&["--ulimit", "nosuch=1"][..], "invalid ulimit type: nosuch"),
        (&["--hostname", &"h".repeat(65)][..], "invalid hostname format"),
        (&["--cgroup-parent", "/a\nb"][..], "invalid cgroup parent"),
        (&["--cgroup-parent", &format!("{}//bare/x", world.cgroup_parent())][..], "invalid cgroup parent"),
        (&["--cap-add", "CAP_NONSENSE"][..], "CAP_NONSENSE"),
        (&["--network", "no-such-network"][..], "no-such-network"),
        (&["--security-opt", "nonsense"][..], "nvalid --security-opt"),
        (&["--security-opt", "seccomp=/no/such/file"][..], "no such file or directory"),
        (&["--stop-signal", "NOSUCH"][..], "nvalid signal: NOSUCH"),
        (&["--env-file", "/no/such/file"][..], "no such file or directory"),
        (&["--env-file", "/tmp"][..], "invalid env file (/tmp): read /tmp: is a directory"),
        (&["--dns", "1.2.3"][..], "IP address is not correctly formatted: 1.2.3"),
        (&["--dns-search", "a b"][..], "a b is not a valid domain"),
        (&["--device-cgroup-rule", "c 1 r"][..], "invalid device cgroup format 'c 1 r'"),
        (&["--platform", "foo"][..], "\"foo\": unknown operating system or architecture"),
        (&["--storage-opt", "size"][..], "invalid storage option"),
        (&["-p", "target=80,protocol=foo"][..], "invalid proto: foo"),
        (&["--rm", "--detach", "--runtime", "nosuch"][..], "nosuch"),
    ] {
        world.dhow(&[&["run"], flags, &["busybox", "true"]].concat()).exits(125).says(words);
    }
    // Docker's client takes these words for a missing program, and so does ours.
    let device = world.dhow(&["run", "--device", "/dev/no-such-device", "busybox", "true"]);
    device.exits(127).says("adding custom device \"/dev/no-such-device\": no such file or directory");
    let left = world.dhow(&["ps", "-a", "--format", "{{.Status}}"]).ok();
    assert!(left.lines().all(|status| status == "Created"), "nothing ran: {left}");
}

/// What only other engines know is refused, and not passed over in silence.
#[test]
fn flags_of_other_engines_are_refused_in_dockers_words() {
    let world = busybox();
    world.dhow(&["create", "--name", "box", "busybox", "true"]).exits(0);
    for args in [
        &["run", "--cpu-count", "2", "busybox", "true"][..],
        &["create", "--cpu-percent", "2", "busybox"],
        &["run", "--io-maxbandwidth", "1m", "--io-maxiops", "9", "busybox"],
        &["start", "--checkpoint", "x", "box"],
        &["start", "--checkpoint-dir", "/x", "box"],
        &["rmi", "--platform", "foo", "busybox"],
        &["help", "foo"],
        &["help", "container", "foo"],
        &["-l", "loud", "ps"],
        &["container", "-x"],
        &["tag", "", "x"],
        &["import", "-", "Upper"],
        &["save", "-o", "/no/such/place", "busybox"],
        &["save", "-o", "/tmp", "busybox"],
        &["network", "connect", "--driver-opt", "x", "bridge", "box"],
        &["context", "create", "x", "--docker", "host=foo"],
    ] {
        let (ours, stock) = (world.dhow(args), world.docker(args));
        let text = |outcome: &dhow_testkit::Outcome| (outcome.code(), outcome.stderr().replace("docker", "dhow"));
        assert_eq!(text(&ours), text(&stock), "{args:?}");
    }
    world.dhow(&["rmi", "--platform", "linux/riscv64", "busybox"]).exits(1).says("platform");
    world.dhow(&["rmi", "--platform", "linux", "busybox"]).exits(1).says("is using its referenced image");
}

#[test]
fn signals_are_checked() {
    let world = busybox();
    world.dhow(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"]).exits(0);
    world.dhow(&["kill", "-s", "NOSUCH", "box"]).exits(1).says("nvalid signal: NOSUCH");
    // Whoever it is for.
    world.dhow(&["kill", "-s", "NOSUCH", "nobody"]).exits(1).says("nvalid signal: NOSUCH");
    world.dhow(&["kill", "-s", "99", "box"]).exits(1).says("the linux daemon does not support signal 99");
    world.dhow(&["stop", "-t", "0", "box"]).exits(0);
    world.dhow(&["kill", "box"]).exits(1).says("is not running");
}

/// What dockerd and runc 20.10 say to the same words.
#[test]
fn what_no_start_can_do_is_refused_in_dockers_words() {
    let world = busybox();
    let range = "uids and gids must be in range 0-2147483647";
    for (flags, code, words) in [
        (&["--device-read-bps", "/dev/no-such:1mb"][..], 127, "stat /dev/no-such: no such file or directory"),
        (&["-w", "/bin/busybox"], 125, "Cannot mkdir: /bin/busybox is not a directory"),
        (&["-u", "99999999999"], 125, range),
        (&["-u", "2147483648"], 125, range),
        (&["-u", "0:-1"], 125, range),
        (&["--cpu-shares", "1"], 125, "the minimum allowed cpu-shares is 2"),
        (&["--cpu-shares", "300000"], 125, "the maximum allowed cpu-shares is 262144"),
    ] {
        world.dhow(&[&["run", "--rm"], flags, &["busybox", "true"]].concat()).exits(code).says(words);
    }
    world.dhow(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"]).exits(0);
    world.dhow(&["update", "--cpu-shares", "1", "box"]).exits(1).says("the minimum allowed cpu-shares is 2");
    // An exec's failure comes by its streams, as dockerd's.
    let exec = |flags: &[&str]| world.dhow(&[&["exec"], flags, &["box", "true"]].concat()).exits(126).stdout();
    assert_eq!(exec(&["-u", "4294967295"]).trim(), range);
    let failed = "OCI runtime exec failed: exec failed: unable to start container process: chdir to cwd";
    for (folder, why) in [("/no-such", "no such file or directory"), ("/bin/busybox", "not a directory")] {
        let text = format!("{failed} (\"{folder}\") set in config.json failed: {why}");
        assert_eq!(exec(&["-w", folder]).trim(), text);
    }
}

#[test]
fn what_is_mistyped_for_the_engine_and_the_runtime_is_told_as_everywhere() {
    let world = busybox();
    for (words, told) in [
        (&["daemon", "--nonsense"][..], "unknown flag: --nonsense\nSee 'dhow daemon --help'."),
        (&["daemon", "--log-level"], "flag needs an argument: --log-level\nSee 'dhow daemon --help'."),
        (&["volume", "nonsense"], "unknown command: dhow volume nonsense\n\nUsage:  dhow volume COMMAND\n\nRun"),
        (&["load", "-i", "/etc"], "read /etc: is a directory"),
        (&["import", "/etc"], "read /etc: is a directory"),
        (&["runtime", "--nonsense"], "unknown flag: --nonsense\nSee 'dhow runtime --help'."),
        (&["runtime", "nonsense"], "unknown command: dhow runtime nonsense\nSee 'dhow runtime --help'."),
    ] {
        world.dhow(words).exits(1).says(told);
    }
    for absent in ["build", "compose", "swarm"] {
        world.dhow(&[absent, "x"]).exits(1).says(&format!("unknown command: dhow {absent}\nhint: dhow "));
    }
}

/// As people write it for curl(1); dockerd takes it.
#[test]
fn filters_that_nobody_has_escaped_are_understood() {
    let world = busybox();
    world.dhow(&["create", "--name", "box", "busybox"]).exits(0);
    let count = |filters: &str| {
        let mut door = Door::open(&world.socket()).expect("it listens");
        let answer = door.ask("GET", &format!("/containers/json?all=1&filters={filters}"), "").expect("answered");
        assert_eq!(answer.status, 200, "{filters}");
        answer.body.matches("\"Names\"").count()
    };
    assert_eq!(count(r#"{"status":["created"]}"#), 1);
    assert_eq!(count(r#"{"status":["running"]}"#), 0);
}

/// Docker's client speaks TLS there, which no engine understands.
#[test]
fn tls_at_a_unix_socket_is_refused() {
    let world = busybox();
    world.dhow(&["--tlsverify", "ps"]).exits(1).says("ca.pem");
    world.dhow(&["--tls", "ps"]).exits(1).says("no engine speaks TLS at unix://").says("leave out --tls");
    let help = world.dhow(&["--help"]).ok();
    for flag in ["--tlsverify ", "--tlscacert string", "--tlscert string", "--tlskey string"] {
        assert!(help.contains(flag), "{flag}: {help}");
    }
}

/// A file takes the name of an archive when it is complete: what is there and no file must not go away for that.
#[test]
fn archives_replace_nothing_that_is_no_file() {
    let world = busybox();
    world.dhow(&["create", "--name", "box", "busybox"]).exits(0);
    let place = |name: &str| world.path().join(name);
    for args in [&["p", "fifo"][..], &["c", "device", "1", "3"]] {
        let (kind, name) = (args[0], place(args[1]));
        finish(Command::new("mknod").arg(&name).arg(kind).args(&args[2..])).exits(0);
    }
    symlink("nowhere", place("link")).expect("linked");
    for (name, words) in [
        ("fifo", "cannot write to a named pipe (FIFO)"),
        ("device", "cannot write to a character device file"),
        ("link", "cannot write to a symbolic link directly"),
    ] {
        let before = fs::symlink_metadata(place(name)).expect("there");
        let path = place(name).display().to_string();
        world.dhow(&["save", "-o", &path, "busybox"]).exits(1).says(words);
        world.dhow(&["export", "-o", &path, "box"]).exits(1).says(words);
        let after = fs::symlink_metadata(place(name)).expect("still there");
        assert_eq!((before.ino(), before.file_type()), (after.ino(), after.file_type()), "{name}");
    }
}

#[test]
fn what_cannot_be_had_is_refused() {
    let world = busybox();
    let asked = world.dhow(&["run", "--rm", "--network", "none", "--gpus", "all", "busybox", "true"]);
    asked.exits(125).says("could not select device driver \"\" with capabilities: [[gpu]]");
    let nameless = world.dhow(&["run", "--rm", "--network", "none", "busybox", ""]);
    nameless.exits(127).says("exec: \"\": executable file not found in $PATH");
    // Seventeen IDs: two of them begin alike.
    let ids: Vec<String> = (0..17).map(|_| world.dhow(&["create", "busybox"]).ok()).collect();
    let begins = |digit: &str| ids.iter().filter(|id| id.starts_with(digit)).count();
    let several = ids.iter().map(|id| &id[..1]).find(|digit| begins(digit) > 1).expect("there are sixteen digits");
    world.dhow(&["inspect", several]).exits(1).says(&format!("multiple IDs found with provided prefix: {several}"));
}

/// What a person can do is a field of its own: who compares messages, and stock clients, see Docker's message alone.
#[test]
fn advice_reaches_those_who_understand_it() {
    let world = busybox();
    world.dhow(&["volume", "create", "kept"]).exits(0);
    world.dhow(&["volume", "protect", "kept"]).exits(0);
    let told = world.dhow(&["volume", "rm", "kept"]).exits(1).stderr();
    assert!(told.contains("\nhint: to let it be removed: dhow volume protect --off kept"), "{told}");
    let stock = world.docker(&["volume", "rm", "kept"]).exits(1).stderr();
    assert_eq!(told.lines().next(), stock.lines().next());
    assert!(!stock.contains("hint"), "{stock}");
}
