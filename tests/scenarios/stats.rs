//! What containers use, and which processes they have.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};

use dhow_testkit::{Outcome, World, eventually};

use crate::busybox;

/// Runs the same words with both command lines.
fn both(world: &World, args: &[&str]) -> [Outcome; 2] {
    [world.dhow(args), world.docker(args)]
}

/// A request by hand; the answer is read by the caller.
fn get(world: &World, path: &str) -> BufReader<UnixStream> {
    let mut socket = UnixStream::connect(world.socket()).expect("the engine listens");
    write!(socket, "GET {path} HTTP/1.0\r\nHost: x\r\n\r\n").expect("the engine reads");
    let mut answer = BufReader::new(socket);
    let mut line = String::new();
    while answer.read_line(&mut line).expect("a head") > 2 {
        line.clear();
    }
    answer
}

/// A field of a JSON text, as a number.
fn number(text: &str, name: &str) -> u64 {
    let (_, rest) = text.split_once(&format!("\"{name}\":")).unwrap_or_else(|| panic!("no {name} in {text}"));
    rest.split(|letter: char| !letter.is_ascii_digit()).next().expect("digits").parse().expect("a number")
}

#[test]
fn a_busy_container_is_told_with_its_limit() {
    let world = busybox();
    let busy = "while :; do :; done";
    world.dhow(&["run", "-d", "--name", "busy", "-m", "64m", "busybox", "sh", "-c", busy]).exits(0);
    let format = "{{.Name}}|{{.CPUPerc}}|{{.MemUsage}}|{{.PIDs}}|{{len .ID}}|{{.Container}}";
    for outcome in both(&world, &["stats", "--no-stream", "--format", format, "busy"]) {
        let line = outcome.ok();
        let fields: Vec<&str> = line.split('|').collect();
        let [name, cpu, memory, pids, id, container] = fields[..] else { panic!("{line}") };
        assert_eq!((name, pids, id, container), ("busy", "1", "12", "busy"));
        assert!(cpu.trim_end_matches('%').parse::<f64>().expect("a percentage") > 0.0, "{line}");
        assert!(memory.ends_with(" / 64MiB") && !memory.starts_with("0B"), "{line}");
    }
}

#[test]
fn stopped_ones_are_shown_when_asked_for_and_unknown_ones_are_an_error() {
    let world = busybox();
    world.dhow(&["create", "--name", "idle", "busybox"]).exits(0);
    for outcome in both(&world, &["stats", "--no-stream", "--format", "{{.Name}}"]) {
        assert_eq!(outcome.ok(), "");
    }
    for outcome in both(&world, &["stats", "--no-stream", "-a", "--format", "{{.Name}} {{.MemUsage}} {{.PIDs}}"]) {
        assert_eq!(outcome.ok(), "idle 0B / 0B 0");
    }
    for outcome in both(&world, &["stats", "--no-stream", "idle", "nothing"]) {
        outcome.exits(1).says("No such container: nothing");
    }
}

#[test]
fn the_api_tells_both_moments_in_all_fields() {
    let world = busybox();
    world.dhow(&["run", "-d", "--name", "box", "--pids-limit", "50", "busybox", "sleep", "1000"]).exits(0);
    let mut two = String::new();
    get(&world, "/v1.51/containers/box/stats?stream=0").read_to_string(&mut two).expect("an answer");
    let (now, before) = two.split_once("\"precpu_stats\"").expect("both moments");
    assert!(number(now, "system_cpu_usage") > number(before, "system_cpu_usage"), "{two}");
    assert_eq!((number(&two, "current"), two.contains("\"name\":\"/box\"")), (1, true), "{two}");
    assert_eq!(number(two.split_once("\"pids_stats\"").expect("pids").1, "limit"), 50);
    for field in ["blkio_stats", "memory_stats", "throttling_data", "online_cpus", "num_procs", "storage_stats"] {
        assert!(two.contains(&format!("\"{field}\":")), "{field} in {two}");
    }
    let mut one = String::new();
    get(&world, "/v1.51/containers/box/stats?stream=0&one-shot=1").read_to_string(&mut one).expect("an answer");
    assert!(one.contains("\"preread\":\"0001-01-01T00:00:00Z\""), "{one}");
}

/// A stream of a container that comes to its end and to its removal: told as empty first, and then over.
#[test]
fn a_stream_lasts_as_long_as_the_container() {
    let world = busybox();
    world.dhow(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"]).exits(0);
    let mut stream = get(&world, "/v1.51/containers/box/stats").lines();
    let mut next = || stream.next().map(|line| line.expect("a line"));
    assert!(next().expect("a reading").contains("\"usage\":"));
    world.dhow(&["kill", "box"]).exits(0);
    let empty = std::iter::from_fn(&mut next).find(|line| !line.contains("\"usage\":"));
    assert!(empty.expect("it goes on").contains("\"name\":\"/box\""));
    world.dhow(&["rm", "box"]).exits(0);
    assert!(std::iter::from_fn(&mut next).all(|line| !line.contains("\"usage\":")));
}

/// A command that goes on, and what it has written so far.
struct Watched(Child, Arc<Mutex<String>>);

impl Watched {
    fn start(mut command: std::process::Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
        let (mut output, text) = (child.stdout.take().expect("piped"), Arc::new(Mutex::new(String::new())));
        let filled = Arc::clone(&text);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut buffer) {
                filled.lock().expect("whole").push_str(&String::from_utf8_lossy(&buffer[..count]));
            }
        });
        Self(child, text)
    }

    /// The last whole screen.
    fn screen(&self) -> String {
        let text = self.1.lock().expect("whole");
        text.rsplit("\x1b[J").nth(1).unwrap_or_default().to_owned()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn containers_come_to_the_screen_and_go_from_it() {
    let world = busybox();
    world.dhow(&["run", "-d", "--name", "first", "busybox", "sleep", "1000"]).exits(0);
    for command in [world.command(&["stats"]), world.stock_command(&["stats"])] {
        let watched = Watched::start(command);
        eventually("the first is shown", || watched.screen().contains(" first "));
        world.dhow(&["run", "-d", "--name", "second", "busybox", "sleep", "1000"]).exits(0);
        eventually("the second comes", || {
            watched.screen().contains(" second ") && watched.screen().contains(" first ")
        });
        world.dhow(&["rm", "-f", "second"]).exits(0);
        eventually("the second goes", || !watched.screen().contains(" second "));
    }
}

#[test]
fn top_prints_what_ps_prints() {
    let world = busybox();
    let script = "sleep 1000 & sleep 1001 & wait";
    world.dhow(&["run", "-d", "--name", "family", "busybox", "sh", "-c", script]).exits(0);
    // What was forked has the shell's words until it is executed.
    let executed = |line: &str| line.contains("sleep 100") && !line.contains("sh -c");
    eventually("all three run", || {
        world.dhow(&["top", "family"]).stdout().lines().filter(|line| executed(line)).count() == 2
    });
    for args in [&["top", "family"][..], &["top", "family", "-o", "pid,ppid,user,args"], &["top", "family", "axf"]] {
        let [ours, stock] = both(&world, args);
        assert_eq!(ours.ok(), stock.ok());
    }
    let pids = world.dhow(&["top", "family", "-o", "pid,comm", "--sort=-pid"]).ok();
    let pids: Vec<i32> = pids.lines().skip(1).map(|line| line[..6].trim().parse().expect("a pid")).collect();
    assert!(pids.len() == 3 && pids.is_sorted_by(|one, next| one > next), "{pids:?}");
    let tree = world.dhow(&["top", "family", "-eo", "pid,args", "--forest"]).ok();
    assert!(tree.lines().last().expect("rows").contains(r" \_ sleep 1001"), "{tree}");
}

#[test]
fn bad_options_of_ps_are_refused_as_docker_does() {
    let world = busybox();
    world.dhow(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"]).exits(0);
    for (options, words) in [
        (&["-o", "nonsense"][..], "ps: error: unknown user-defined format specifier \"nonsense\""),
        (&["-o", "comm"], "Couldn't find PID field in ps output"),
        (&["-o", "comm=PID"], "specifying \"comm=PID\" is not allowed"),
        (&["-Z"], "the ps option -Z is not supported"),
    ] {
        for outcome in both(&world, &[&["top", "box"], options].concat()) {
            outcome.exits(1).says(words);
        }
    }
    world.dhow(&["kill", "box"]).exits(0);
    world.dhow(&["top", "box"]).exits(1).says("is not running");
}
