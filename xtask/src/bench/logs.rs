//! What logging costs the program that writes.

use std::process::Command;

use dhow_testkit::{StockEngine, World};

use super::report::Report;
use super::turns::{Contestant, medians};
use crate::shell::Result;

/// 300,000 lines written by a container, to its log and into a file of its own.
pub(crate) fn lines(world: &World, dockerd: Option<&StockEngine>, report: &mut Report) -> Result {
    let into = |target: &str| format!("seq 1 300000 {target}");
    let run = |command: fn(&World, &[&str]) -> Command, script: String| {
        command(world, &["run", "--rm", "--network", "none", "busybox", "sh", "-c", &script])
    };
    // Detached, so that nothing but the log reads the lines: the client waits for the end with `wait`.
    let logged = |client: &dyn Fn(&[&str]) -> Command| {
        let begin = std::time::Instant::now();
        let quiet = ["run", "--network", "none", "--name", "lines", "-d", "busybox", "sh", "-c", "seq 1 300000"];
        crate::shell::output(&mut client(&quiet))?;
        crate::shell::output(&mut client(&["wait", "lines"]))?;
        let taken = begin.elapsed();
        crate::shell::output(&mut client(&["rm", "lines"]))?;
        Ok(taken)
    };
    let dhow = |args: &[&str]| world.command(args);
    let mut contestants = vec![
        Contestant { name: "dhow, to the log", once: Box::new(move || logged(&dhow)) },
        Contestant::command("dhow, to a file", move || run(|world, args| world.command(args), into("> /lines"))),
    ];
    if let Some(dockerd) = dockerd {
        contestants.push(Contestant {
            name: "docker, to the log",
            once: Box::new(move || logged(&|args: &[&str]| dockerd.command("docker", args))),
        });
    }
    report.race("300,000 lines of log", "at most 1.3 x a file", &medians(&contestants, 5)?);
    Ok(())
}
