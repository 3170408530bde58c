//! How much a log costs: a container writes lines to its standard output, and as many to a file, and both are timed.
//! Prints the ratio, and the shim's private memory while the container runs.
//!
//! Run as root: `cargo run --release -p dhow-shim --example throughput -- [lines]`

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use dhow_logs::{Config, Driver};
use dhow_oci::runtime::Spec;
use dhow_shim::protocol::{Event, Launch, Op, Rootfs};
use dhow_shim::{Connection, spawn_command};
use serde_json::json;

type Outcome<T> = Result<T, Box<dyn Error>>;

const ROUNDS: usize = 7;

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().collect();
    if args.get(1).is_some_and(|role| role == "shim") {
        return dhow_shim::main(&args[2..]);
    }
    let lines = args.get(1).and_then(|lines| lines.to_str()?.parse().ok()).unwrap_or(300_000);
    match measure(lines) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(lines: u32) -> Outcome<()> {
    let dir = tempfile::tempdir()?;
    let root = dir.path().join("root");
    dhow_testkit::busybox_rootfs(&root);
    let line = "a line of an ordinary log, neither short nor long, about eighty bytes of it";
    let write = format!("yes '{line}' | head -n {lines}");
    println!("file       {:7.1} ms", median(&root, &format!("{write} > /tmp/file"), Driver::Local)?);
    println!("local      {:7.1} ms", median(&root, &write, Driver::Local)?);
    println!("json-file  {:7.1} ms", median(&root, &write, Driver::JsonFile)?);
    println!("none       {:7.1} ms", median(&root, &write, Driver::None)?);
    println!("private memory of a shim: {} KiB", private_memory(&root)?);
    Ok(())
}

fn median(root: &Path, script: &str, driver: Driver) -> Outcome<f64> {
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        let dir = tempfile::tempdir()?;
        let mut engine = start(root, dir.path(), script, driver)?.1;
        while !matches!(engine.next_event()?, Some(Event::Exited(_))) {}
        times.push(begin.elapsed().as_secs_f64() * 1000.0);
        while engine.next_event()?.is_some() {}
    }
    times.sort_by(f64::total_cmp);
    Ok(times[ROUNDS / 2])
}

fn start(root: &Path, dir: &Path, script: &str, driver: Driver) -> Outcome<(i32, Connection)> {
    let shim = spawn_command(Command::new(std::env::current_exe()?).arg("shim"))?;
    let mut engine = Connection::new(shim.control);
    engine.call(Op::Launch(Box::new(launch(root, dir, script, driver)?)), &[])?;
    Ok((shim.pid, engine))
}

fn launch(root: &Path, dir: &Path, script: &str, driver: Driver) -> Outcome<Launch> {
    let (upper, work) = (dir.join("upper"), dir.join("work"));
    fs::create_dir_all(&upper)?;
    fs::create_dir_all(&work)?;
    let spec: Spec = serde_json::from_value(json!({
        "ociVersion": "1.2.0",
        "process": {
            "user": { "uid": 0, "gid": 0 },
            "args": ["sh", "-c", script],
            "env": ["PATH=/bin"],
            "cwd": "/",
        },
        "root": { "path": "rootfs" },
        "linux": { "namespaces": [{ "type": "pid" }, { "type": "mount" }] },
    }))?;
    Ok(Launch {
        id: "throughput".to_owned(),
        spec,
        rootfs: Rootfs::Overlay { lower: vec![root.to_owned()], upper, work, options: Vec::new() },
        container_dir: dir.to_owned(),
        run_dir: dir.join("run"),
        cgroup: Some(format!("/dhow-shim-throughput-{}", std::process::id())),
        bare_cgroup: None,
        seccomp: None,
        stdin_open: false,
        init: false,
        stdin_once: false,
        tty: false,
        log: Config::of(driver),
        external_runtime: None,
    })
}

/// Of a shim whose container has logged a little and is idle.
fn private_memory(root: &Path) -> Outcome<u64> {
    let dir = tempfile::tempdir()?;
    let (pid, mut engine) = start(root, dir.path(), "seq 10000; exec sleep 1000", Driver::Local)?;
    engine.call(Op::Pause, &[])?;
    engine.call(Op::Resume, &[])?;
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let field = |name: &str| {
        rollup.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse::<u64>().ok())
    };
    let private = field("Private_Dirty:").unwrap_or(0) + field("Private_Clean:").unwrap_or(0);
    println!("{rollup}");
    let kill = dhow_shim::protocol::Kill { signal: 9, all: true };
    engine.call(Op::Kill(kill), &[])?;
    while engine.next_event()?.is_some() {}
    Ok(private)
}
