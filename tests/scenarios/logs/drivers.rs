//! Log drivers, their options, and what goes wrong around them.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use dhow_testkit::{Outcome, World, eventually};

use crate::{DHOW, busybox};

/// Ours and the stock one: what is asked of the engine must not depend on who asks.
pub(super) const CLIENTS: [fn(&World, &[&str]) -> Outcome; 2] = [World::dhow, World::docker];

/// How a client is started.
pub(super) type Start = fn(&World, &[&str]) -> Command;

fn log_path(world: &World, name: &str) -> PathBuf {
    let (id, driver) = (world.inspect(name, "{{.Id}}"), world.inspect(name, "{{.HostConfig.LogConfig.Type}}"));
    let shown = world.inspect(name, "{{.LogPath}}");
    if !shown.is_empty() {
        assert_eq!(driver, "json-file", "only of this driver anybody is to know the file");
        return shown.into();
    }
    world.data_root().join("containers").join(id).join("log/container.log")
}

fn file_names(world: &World, name: &str) -> Vec<String> {
    let files = fs::read_dir(log_path(world, name).parent().expect("a folder")).expect("a folder");
    files.map(|file| file.expect("a file").file_name().into_string().expect("text")).collect()
}

#[track_caller]
fn refused(outcome: &Outcome, words: &str) {
    assert_ne!(outcome.code(), 0);
    outcome.says(words);
}

#[test]
fn options_are_checked_at_create_in_dockers_words() {
    let world = busybox();
    for client in CLIENTS {
        for (words, refusal) in [
            ("--log-driver fluentd", "logger: no log driver named 'fluentd' is registered"),
            ("--log-driver json-file --log-opt a=b", "unknown log opt 'a' for json-file log driver"),
            ("--log-driver journald --log-opt max-size=1m", "unknown log opt 'max-size' for journald log driver"),
            ("--log-opt mode=fast", "logger: logging mode not supported: fast"),
            (
                "--log-opt max-buffer-size=1m",
                "logger: max-buffer-size option is only supported with 'mode=non-blocking'",
            ),
            ("--log-opt max-file=0 --log-opt max-size=1m", "max-file cannot be less than 1"),
            ("--log-driver syslog --log-opt syslog-facility=nonsense", "invalid syslog facility"),
            ("--log-driver syslog --log-opt syslog-format=x", "Invalid syslog format"),
            (
                "--log-driver syslog --log-opt syslog-address=localhost",
                "syslog-address should be in form proto://address",
            ),
            ("--log-opt tag={{.Nope", "template: log-tag:"),
            ("--log-opt env-regex=(", "error parsing regexp"),
        ] {
            let words: Vec<&str> = words.split(' ').collect();
            refused(&client(&world, &[&["create"], &words[..], &["busybox", "true"]].concat()), refusal);
        }
    }
    assert_eq!(world.dhow(&["ps", "--all", "--quiet"]).ok(), "");
}

#[test]
fn labels_environment_and_tag_are_details() {
    let world = busybox();
    let words = "--log-opt labels=app --log-opt labels-regex=^x\\. --log-opt env=A --log-opt env-regex=^B --log-opt tag={{.Name}}/{{.ID}} \
                 --label app=web --label x.y=1 --label z=2 -e A=a,b -e BB=2 -e C=3";
    let words: Vec<&str> = words.split_whitespace().collect();
    for driver in ["json-file", "local"] {
        let run = ["run", "--name", driver, "--log-driver", driver];
        world.dhow(&[&run[..], &words, &["busybox", "echo", "hi"]].concat()).exits(0);
        let id = &world.inspect(driver, "{{.Id}}")[..12];
        for client in CLIENTS {
            let details = client(&world, &["logs", "--details", driver]).ok();
            assert_eq!(details, format!("A=a%2Cb,BB=2,app=web,tag={driver}%2F{id},x.y=1 hi"));
        }
    }
    let line = fs::read_to_string(log_path(&world, "json-file")).expect("a file");
    let attributes = r#"{"log":"hi\n","stream":"stdout","attrs":{"A":"a,b","BB":"2","app":"web","tag":"json-file/"#;
    assert!(line.starts_with(attributes), "{line}");
}

#[test]
fn rotated_files_have_dockers_names_and_can_be_compressed() {
    let world = busybox();
    let run =
        "run --name writer --log-driver json-file --log-opt max-size=20k --log-opt max-file=3 --log-opt compress=true";
    let run: Vec<&str> = run.split(' ').collect();
    world.dhow(&[&run[..], &["busybox", "seq", "5000"]].concat()).exits(0);
    let id = world.inspect("writer", "{{.Id}}");
    let mut names = file_names(&world, "writer");
    names.sort();
    assert_eq!(names, ["", ".1.gz", ".2.gz"].map(|suffix| format!("{id}-json.log{suffix}")));
    for client in CLIENTS {
        let text = client(&world, &["logs", "writer"]).ok();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines.len() > 200 && lines.last() == Some(&"5000"), "{}", lines.len());
        let first: usize = lines[0].parse().expect("a number");
        assert_eq!(lines.len(), 5000 - first + 1);
    }
}

/// moby#53631.
#[test]
fn zeros_in_a_log_cost_a_record_and_are_told() {
    let world = busybox();
    for driver in ["json-file", "local"] {
        world.dhow(&["run", "--name", driver, "--log-driver", driver, "busybox", "seq", "1000", "1999"]).exits(0);
        let path = log_path(&world, driver);
        let file = OpenOptions::new().write(true).open(&path).expect("a file");
        file.write_all_at(&[0; 30], path.metadata().expect("a file").len() / 2).expect("written");
        for client in CLIENTS {
            let logs = client(&world, &["logs", driver]);
            let found = logs.stdout().lines().count();
            assert!((997..1000).contains(&found), "{driver}: {found}");
            assert!(logs.stdout().starts_with("1000\n") && logs.stdout().ends_with("\n1999\n"));
            assert!(logs.stderr().contains("bytes of this log are damaged and were skipped"), "{}", logs.stderr());
            assert_eq!(client(&world, &["logs", "--tail", "2", driver]).ok(), "1998\n1999");
            let since = client(&world, &["logs", "--since", "1h", driver]);
            assert_eq!(since.stdout().lines().count(), found);
        }
    }
}

/// moby#37646, moby#45728, moby#39235. A reader may lag by what the files hold (a stalled one never blocks the container), so
/// each batch is less than a file and the next one comes when it was read.
#[test]
fn follow_goes_through_a_thousand_rotations() {
    let world = busybox();
    let cases = [
        ("json-file", "max-size=2000", World::command as Start),
        ("local", "max-size=700", World::stock_command as Start),
    ];
    for (driver, size, client) in cases {
        let create = ["create", "-i", "--name", driver, "--log-driver", driver, "--log-opt", size];
        let script = "echo 0; while read first; do seq $first $((first + 19)); done";
        world.dhow(&[&create[..], &["--log-opt", "max-file=3", "busybox", "sh", "-c", script]].concat()).exits(0);
        world.dhow(&["start", driver]).exits(0);
        let mut follow = client(&world, &["logs", "-f", driver]).stdout(Stdio::piped()).spawn().expect("starts");
        let mut lines = BufReader::new(follow.stdout.take().expect("piped")).lines().map_while(Result::ok);
        assert_eq!(lines.next().as_deref(), Some("0"), "it follows");
        let mut attach = world.command(&["attach", driver]);
        let mut attach = attach.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("starts");
        let mut input = attach.stdin.take().expect("piped");
        for first in (1..=25_000).step_by(20) {
            writeln!(input, "{first}").expect("it reads");
            for number in first..first + 20 {
                assert_eq!(lines.next(), Some(number.to_string()), "{driver}");
            }
        }
        drop(input);
        assert_eq!(lines.next(), None);
        assert!(attach.wait().expect("ends").success() && follow.wait().expect("ends").success());
    }
}

#[test]
fn syslog_gets_what_docker_would_send_and_logs_still_work() {
    let world = busybox();
    let path = world.path().join("syslog");
    let server = UnixDatagram::bind(&path).expect("a socket");
    let address = format!("syslog-address=unixgram://{}", path.display());
    for (client, name) in CLIENTS.into_iter().zip(["ours", "stock"]) {
        let run =
            ["run", "--name", name, "--log-driver", "syslog", "--log-opt", &address, "--log-opt", "tag={{.Name}}"];
        let format = ["--log-opt", "syslog-format=rfc5424", "--log-opt", "syslog-facility=local3"];
        client(&world, &[&run[..], &format, &["busybox", "sh", "-c", "echo out; sleep 0.1; echo err >&2"]].concat())
            .exits(0);
        let mut buffer = [0; 1000];
        for (priority, line) in [(158, "out"), (155, "err")] {
            let count = server.recv(&mut buffer).expect("a message");
            let message = String::from_utf8_lossy(&buffer[..count]);
            assert!(message.starts_with(&format!("<{priority}>1 20")), "{message}");
            assert!(message.contains(&format!(" {name} ")) && message.ends_with(&format!(" - {line}\n")), "{message}");
        }
        let logs = client(&world, &["logs", name]);
        assert_eq!((logs.stdout().as_str(), logs.stderr().as_str()), ("out\n", "err\n"));
        assert_eq!(world.inspect(name, "{{.HostConfig.LogConfig.Type}}"), "syslog");
    }
    let disabled = ["run", "--name", "uncached", "--log-driver", "syslog", "--log-opt", &address];
    world.dhow(&[&disabled[..], &["--log-opt", "cache-disabled=true", "busybox", "echo", "x"]].concat()).exits(0);
    refused(&world.dhow(&["logs", "uncached"]), "configured logging driver does not support reading");
}

#[test]
fn a_target_that_is_not_there_fails_the_start() {
    let world = busybox();
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let address = format!("syslog-address=tcp://{port}");
    let run = ["run", "-d", "--name", "lost", "--log-driver", "syslog", "--log-opt", &address, "busybox", "true"];
    refused(&world.dhow(&run), &format!("failed to initialize logging driver: dial tcp {port}: connect:"));
    assert_eq!(world.inspect("lost", "{{.State.Status}}"), "created");
    // The socket of the journal is looked for where systemd has it.
    if !PathBuf::from("/run/systemd/journal/socket").exists() {
        let run = world.dhow(&["run", "-d", "--log-driver", "journald", "busybox", "true"]);
        refused(&run, "journald is not enabled on this host");
    }
}

#[test]
fn a_full_disk_costs_lines_that_are_counted_and_nothing_else() {
    let world = busybox();
    let script = "while read size; do head -c $size /dev/zero | tr '\\0' x; echo; done";
    world.dhow(&["create", "-i", "--name", "writer", "busybox", "sh", "-c", script]).exits(0);
    let folder = log_path(&world, "writer").parent().expect("a folder").to_owned();
    fs::create_dir_all(&folder).expect("a folder");
    let small = SmallDisk::at(&folder);
    fs::write(folder.join("ballast"), [0; 131_072]).expect("room");
    world.dhow(&["start", "writer"]).exits(0);
    let mut attach =
        world.command(&["attach", "writer"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("starts");
    let mut input = attach.stdin.take().expect("piped");
    let mut say = |text: &str| input.write_all(text.as_bytes()).expect("it reads");
    say("10\n500000\n");
    eventually("losses are shown", || world.inspect("writer", "{{json .}}").contains("\"LogLosses\":{\"Disk\":"));
    assert_eq!(world.inspect("writer", "{{.State.Running}}"), "true");
    fs::remove_file(folder.join("ballast")).expect("there");
    say("20\n");
    let end = "xxxxxxxxxxxxxxxxxxxx\n";
    eventually("it is logged again", || world.dhow(&["logs", "--tail", "1", "writer"]).stdout().ends_with(end));
    let logs = world.dhow(&["logs", "writer"]);
    assert!(logs.stderr().contains("lines were lost here because they could not be written"), "{}", logs.stderr());
    drop(attach.kill());
    attach.wait().expect("ends");
    // It may have ended with its input.
    drop(world.dhow(&["kill", "writer"]));
    eventually("it has ended", || world.inspect("writer", "{{.State.Running}}") == "false");
    drop(small);
}

/// A tmpfs of 256 KiB.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn at(folder: &std::path::Path) -> Self {
        let flags = rustix::mount::MountFlags::empty();
        rustix::mount::mount("tmpfs", folder, "tmpfs", flags, Some(c"size=262144")).expect("root may mount");
        Self(folder.to_owned())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        rustix::mount::unmount(&self.0, rustix::mount::UnmountFlags::DETACH).expect("mounted");
    }
}

#[test]
fn the_engine_has_a_driver_and_options_for_containers_that_name_none() {
    let flags = ["--log-driver", "json-file", "--log-opt", "max-size=1m", "--log-opt", "cache-max-size=2m"];
    let world = World::with_flags(DHOW, &flags);
    world.import_busybox("busybox");
    let show = "{{.HostConfig.LogConfig.Type}} {{json .HostConfig.LogConfig.Config}}";
    for (name, words, shown) in [
        ("plain", "", r#"json-file {"cache-max-size":"2m","max-size":"1m"}"#),
        (
            "own",
            "--log-opt max-size=3m --log-opt max-file=2",
            r#"json-file {"cache-max-size":"2m","max-file":"2","max-size":"3m"}"#,
        ),
        ("other", "--log-driver local", r#"local {"cache-max-size":"2m"}"#),
    ] {
        let words: Vec<&str> = words.split_whitespace().collect();
        world.dhow(&[&["create", "--name", name], &words[..], &["busybox", "true"]].concat()).exits(0);
        for client in CLIENTS {
            assert_eq!(client(&world, &["inspect", "--format", show, name]).ok(), shown);
        }
    }
    assert_eq!(world.docker(&["info", "--format", "{{.LoggingDriver}}"]).ok(), "json-file");
    assert_eq!(world.docker(&["info", "--format", "{{.Plugins.Log}}"]).ok(), "[journald json-file local syslog]");
}
