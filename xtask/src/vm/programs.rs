//! Test programs: built by cargo, found in its messages, their output passed on.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::shell::{self, Result};

/// The test programs of a package (`package`, or `package:target` for one of them), and their arguments.
pub(crate) struct Program {
    pub(crate) package: &'static str,
    pub(crate) args: &'static [&'static str],
}

#[derive(Deserialize)]
struct Message {
    executable: Option<PathBuf>,
    target: Option<Target>,
    profile: Option<Profile>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

#[derive(Deserialize)]
struct Profile {
    test: bool,
}

/// Builds them and returns each executable with its arguments.
pub(crate) fn build(programs: &[Program]) -> Result<Vec<(PathBuf, Vec<String>)>> {
    let mut found = Vec::new();
    for program in programs {
        let (package, target) = program.package.split_once(':').map_or((program.package, None), |(p, t)| (p, Some(t)));
        let mut cargo = shell::cargo();
        cargo.args(["test", "--release", "--no-run", "--message-format", "json", "--package", package]);
        if let Some(target) = target {
            cargo.args(["--test", target]);
        }
        let before = found.len();
        for line in shell::output(&mut cargo)?.lines() {
            let Ok(message) = serde_json::from_str::<Message>(line) else { continue };
            let (Some(path), Some(made), Some(profile)) = (message.executable, message.target, message.profile) else {
                continue;
            };
            if profile.test && target.is_none_or(|target| target == made.name) {
                found.push((path, program.args.iter().map(|&word| word.to_owned()).collect()));
            }
        }
        if found.len() == before {
            return Err(format!("{}: cargo built no test program", program.package));
        }
    }
    Ok(found)
}

/// Runs a command, passes its output on line by line and returns it.
pub(crate) fn stream(command: &mut Command) -> Result<String> {
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(|error| format!("{command:?}: {error}"))?;
    let stdout = child.stdout.take().ok_or("no standard output")?;
    let mut text = String::new();
    for line in BufReader::new(stdout).split(b'\n') {
        let line = String::from_utf8_lossy(&line.map_err(|error| error.to_string())?).trim_end_matches('\r').to_owned();
        println!("{line}");
        text += &line;
        text.push('\n');
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    if status.success() { Ok(text) } else { Err(format!("{command:?}: {status}")) }
}
