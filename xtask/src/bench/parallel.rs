//! Fifty containers at once.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use dhow_testkit::{StockEngine, World};

use super::report::Report;
use super::turns::median;
use crate::shell::Result;

const MANY: usize = 50;

/// Times that dhow does it. Docker takes too long to do it more than once.
const ROUNDS: usize = 5;

/// Starts fifty containers in parallel, then removes them; each is timed for itself.
pub(crate) fn fifty(world: &World, dockerd: Option<&StockEngine>, report: &mut Report) -> Result {
    fifty_in("none", world, dockerd, report)
}

/// The same in a network.
pub(crate) fn fifty_in(network: &str, world: &World, dockerd: Option<&StockEngine>, report: &mut Report) -> Result {
    let (mut starts, mut removals) = (Vec::new(), Vec::new());
    let mut measure = |name, rounds, client: &dyn Fn(&[&str]) -> Command| {
        let times = (0..rounds).map(|_| once(network, client)).collect::<Result<Vec<_>>>()?;
        let (started, removed): (Vec<Duration>, Vec<Duration>) = times.into_iter().unzip();
        starts.push((name, median(started)));
        removals.push((name, median(removed)));
        Ok::<(), String>(())
    };
    measure("dhow", ROUNDS, &|args| world.command(args))?;
    if let Some(dockerd) = dockerd {
        measure("docker", 1, &|args| dockerd.command("docker", args))?;
    }
    let promise = "at least 15 x faster than Docker";
    report.race(&format!("start 50 containers in parallel, network {network}"), promise, &starts);
    report.race(&format!("remove 50 running containers, network {network}"), promise, &removals);
    Ok(())
}

fn once(network: &str, client: &dyn Fn(&[&str]) -> Command) -> Result<(Duration, Duration)> {
    let names: Vec<String> = (0..MANY).map(|n| format!("many{n}")).collect();
    let start = together(
        names
            .iter()
            .map(|name| client(&["run", "-d", "--network", network, "--name", name, "busybox", "sleep", "1000"])),
    )?;
    let remove = together(names.iter().map(|name| client(&["rm", "-f", name])))?;
    Ok((start, remove))
}

fn together(commands: impl Iterator<Item = Command>) -> Result<Duration> {
    let begin = Instant::now();
    let mut children = Vec::new();
    for mut command in commands {
        command.stdin(Stdio::null()).stdout(Stdio::null());
        children.push(command.spawn().map_err(|error| format!("{command:?}: {error}"))?);
    }
    for mut child in children {
        let status = child.wait().map_err(|error| error.to_string())?;
        if !status.success() {
            return Err(format!("one of {MANY} ended with {status}"));
        }
    }
    Ok(begin.elapsed())
}
