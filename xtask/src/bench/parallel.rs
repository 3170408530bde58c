//! Fifty containers at once.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use dhow_testkit::{StockEngine, World};

use super::report::Report;
use super::turns::{Contestant, medians};
use crate::shell::Result;

const MANY: usize = 50;

/// Starts fifty containers in parallel, then removes them; each is timed for itself.
pub(crate) fn fifty(world: &World, dockerd: Option<&StockEngine>, report: &mut Report) -> Result {
    let dhow = |args: &[&str]| world.command(args);
    let mut starts = vec![Contestant { name: "dhow", once: Box::new(move || once(&dhow).map(|(start, _)| start)) }];
    let mut removals = vec![Contestant { name: "dhow", once: Box::new(move || once(&dhow).map(|(_, remove)| remove)) }];
    if let Some(dockerd) = dockerd {
        let docker = |args: &[&str]| dockerd.command("docker", args);
        starts.push(Contestant { name: "docker", once: Box::new(move || once(&docker).map(|(start, _)| start)) });
        removals.push(Contestant { name: "docker", once: Box::new(move || once(&docker).map(|(_, remove)| remove)) });
    }
    report.race("start 50 containers in parallel", "at least 15 x faster than Docker", &medians(&starts, 1)?);
    report.race("remove 50 running containers", "at least 15 x faster than Docker", &medians(&removals, 1)?);
    Ok(())
}

fn once(client: &dyn Fn(&[&str]) -> Command) -> Result<(Duration, Duration)> {
    let names: Vec<String> = (0..MANY).map(|n| format!("many{n}")).collect();
    let start = together(
        names
            .iter()
            .map(|name| client(&["run", "-d", "--network", "none", "--name", name, "busybox", "sleep", "1000"])),
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
