//! What containers wrote, read back.

mod drivers;
mod stalled;
mod tls;

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use dhow_testkit::eventually;

use crate::busybox;

#[test]
fn logs_keep_streams_apart_and_order_within_them() {
    let world = busybox();
    world
        .dhow(&["run", "--name", "writer", "busybox", "sh", "-c", "for i in 1 2 3; do echo o$i; echo e$i >&2; done"])
        .exits(0);
    let logs = world.dhow(&["logs", "writer"]);
    assert_eq!((logs.stdout().as_str(), logs.stderr().as_str()), ("o1\no2\no3\n", "e1\ne2\ne3\n"));
}

#[test]
fn tail_timestamps_since_and_until() {
    let world = busybox();
    world.dhow(&["run", "--name", "writer", "busybox", "seq", "1", "1000"]).exits(0);
    assert_eq!(world.dhow(&["logs", "--tail", "2", "writer"]).ok(), "999\n1000");
    assert_eq!(world.dhow(&["logs", "--tail", "0", "writer"]).ok(), "");
    assert_eq!(world.dhow(&["logs", "-n", "all", "writer"]).ok().lines().count(), 1000);
    let stamped = world.dhow(&["logs", "-t", "--tail", "1", "writer"]).ok();
    let (stamp, line) = stamped.split_once(' ').expect("a stamp and a line");
    assert!(stamp.ends_with('Z') && stamp.contains('T') && line == "1000", "{stamped}");
    assert_eq!(world.dhow(&["logs", "--since", stamp, "writer"]).ok().lines().last(), Some("1000"));
    assert_eq!(world.dhow(&["logs", "--until", "2001-01-01", "writer"]).ok(), "");
    assert_eq!(world.dhow(&["logs", "--since", "1h", "writer"]).ok().lines().count(), 1000);
    world.dhow(&["logs", "nobody"]).exits(1).says("No such container: nobody");
}

#[test]
fn follow_gives_lines_as_they_come_and_ends_with_the_container() {
    let world = busybox();
    world.dhow(&["run", "-di", "--name", "writer", "busybox", "sh", "-c", "echo first; read x; echo second"]).exits(0);
    let mut follow = world.command(&["logs", "-f", "writer"]).stdout(Stdio::piped()).spawn().expect("starts");
    let mut lines = BufReader::new(follow.stdout.take().expect("piped")).lines().map_while(Result::ok);
    assert_eq!(lines.next().as_deref(), Some("first"));
    dhow_testkit::finish_with_input(&mut world.command(&["attach", "writer"]), b"\n".to_vec());
    assert_eq!(lines.next().as_deref(), Some("second"));
    assert_eq!(lines.next(), None);
    assert!(follow.wait().expect("ends").success());
}

#[test]
fn a_line_without_newline_and_a_very_long_line_come_back_whole() {
    let world = busybox();
    world
        .dhow(&[
            "run",
            "--name",
            "writer",
            "busybox",
            "sh",
            "-c",
            "head -c 100000 /dev/zero | tr '\\0' x; echo; printf end",
        ])
        .exits(0);
    let logs = world.dhow(&["logs", "writer"]).stdout();
    assert_eq!(logs.len(), 100_004);
    assert!(logs.ends_with("x\nend"));
}

#[test]
fn a_container_that_nobody_listens_to_is_never_blocked() {
    let world = busybox();
    world
        .dhow(&["run", "-d", "--name", "writer", "busybox", "sh", "-c", "seq 1 200000; echo done > /done; sleep 1000"])
        .exits(0);
    eventually("it wrote everything", || world.dhow(&["exec", "writer", "cat", "/done"]).code() == 0);
    assert_eq!(world.dhow(&["logs", "--tail", "1", "writer"]).ok(), "200000");
}

#[test]
fn driver_none_has_no_logs_and_json_file_is_dockers_format() {
    let world = busybox();
    world.dhow(&["run", "--name", "quiet", "--log-driver", "none", "busybox", "echo", "x"]).exits(0);
    world.dhow(&["logs", "quiet"]).exits(1).says("configured logging driver does not support reading");
    world.dhow(&["run", "--name", "json", "--log-driver", "json-file", "busybox", "echo", "<x>"]).exits(0);
    assert_eq!(world.dhow(&["logs", "json"]).ok(), "<x>");
    let path = world.inspect("json", "{{.LogPath}}");
    let line = std::fs::read_to_string(path).expect("a file");
    assert!(line.starts_with(r#"{"log":"\u003cx\u003e\n","stream":"stdout","time":""#), "{line}");
}
