//! Processor time of an engine that has little to do.

use std::fs;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use dhow_testkit::World;

use super::memory::shims;
use super::report::Report;
use crate::shell::Result;

const CONTAINERS: usize = 50;

/// How long is measured: times are counted in hundredths of a second (proc_pid_stat(5)), so one of them is 0.05 %.
const WINDOW: Duration = Duration::from_secs(20);

/// Of the times in proc_pid_stat(5) to a second: USER_HZ, a part of the kernel's interface.
const TICKS: f64 = 100.0;

/// How long things may settle before: a spare shim, memory that is given back.
const SETTLING: Duration = Duration::from_secs(5);

/// Containers that sleep, and nobody who asks.
pub(crate) fn idle(world: &World, report: &mut Report) -> Result {
    let share = with_containers(world, || share(world))?;
    report.share("idle engine with 50 containers, engine and shims", "under 1 % of a core", share);
    Ok(())
}

/// The same with somebody who looks at `stats` of all of them.
pub(crate) fn stats(world: &World, report: &mut Report) -> Result {
    let share = with_containers(world, || {
        let mut client = world.command(&["stats"]);
        let mut client = client.stdout(Stdio::null()).spawn().map_err(|error| format!("dhow stats: {error}"))?;
        let share = share(world);
        if client.try_wait().map_err(|error| error.to_string())?.is_some() {
            return Err("dhow stats ended by itself".to_owned());
        }
        client.kill().and_then(|()| client.wait()).map_err(|error| error.to_string())?;
        share
    })?;
    report.share("stats of 50 containers, engine and shims", "under 2 % of a core", share);
    Ok(())
}

fn with_containers(world: &World, measure: impl FnOnce() -> Result<f64>) -> Result<f64> {
    let names: Vec<String> = (0..CONTAINERS).map(|number| format!("idle{number}")).collect();
    for name in &names {
        world.dhow(&["run", "-d", "--name", name, "busybox", "sleep", "1000"]).exits(0);
    }
    let measured = measure();
    world.dhow(&[vec!["rm", "-f"], names.iter().map(String::as_str).collect()].concat()).exits(0);
    measured
}

/// The share of one core that the engine and its shims take.
fn share(world: &World) -> Result<f64> {
    thread::sleep(SETTLING);
    let engine = world.engine_pid().ok_or("the engine does not run")?;
    let pids: Vec<u32> = shims(world)?.into_iter().chain([engine]).collect();
    if pids.len() != CONTAINERS + 1 {
        return Err(format!("{} shims for {CONTAINERS} containers", pids.len() - 1));
    }
    let used = || pids.iter().map(|pid| ticks(*pid)).sum::<Result<u64>>();
    let (begin, before) = (Instant::now(), used()?);
    thread::sleep(WINDOW);
    let (after, taken) = (used()?, begin.elapsed());
    #[expect(clippy::cast_precision_loss, reason = "a few thousand at most")]
    let seconds = (after - before) as f64 / TICKS;
    Ok(seconds / taken.as_secs_f64())
}

/// The processor time of a process, in user mode and in the kernel: fields 14 and 15 of proc_pid_stat(5).
fn ticks(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    let fields = text.rsplit_once(')').map_or("", |(_, rest)| rest).split_ascii_whitespace();
    let times: Vec<u64> = fields.skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
    match times[..] {
        [user, system] => Ok(user + system),
        _ => Err(format!("{path}: no times")),
    }
}
