//! Test programs: built by cargo, found in its messages, their output passed on.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::shell::{self, Result};

/// The test programs of a crate (the folder's name, or `folder:target` for one of them), and their arguments.
pub(crate) struct Program {
    pub(crate) of: &'static str,
    pub(crate) args: &'static [&'static str],
}

#[derive(Deserialize)]
struct Message {
    manifest_path: Option<PathBuf>,
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

/// A test program that cargo built.
struct Built {
    folder: String,
    target: String,
    path: PathBuf,
}

/// Builds them and returns each executable with its arguments.
pub(crate) fn build(programs: &[Program]) -> Result<Vec<(PathBuf, Vec<String>)>> {
    // The whole workspace, as the step before has it: what that has built is not built once more with fewer features.
    let mut cargo = shell::cargo();
    cargo.args(["test", "--release", "--workspace", "--no-run", "--message-format", "json"]);
    let built: Vec<Built> = shell::output(&mut cargo)?.lines().filter_map(test_program).collect();
    let mut found = Vec::new();
    for program in programs {
        let (folder, target) = program.of.split_once(':').map_or((program.of, None), |(f, t)| (f, Some(t)));
        let wanted = |built: &&Built| built.folder == folder && target.is_none_or(|target| target == built.target);
        let args: Vec<String> = program.args.iter().map(|&word| word.to_owned()).collect();
        let before = found.len();
        found.extend(built.iter().filter(wanted).map(|built| (built.path.clone(), args.clone())));
        if found.len() == before {
            return Err(format!("{}: cargo built no test program", program.of));
        }
    }
    Ok(found)
}

/// The test program that one of cargo's messages tells of.
fn test_program(line: &str) -> Option<Built> {
    let message: Message = serde_json::from_str(line).ok()?;
    let folder = message.manifest_path?.parent()?.file_name()?.to_str()?.to_owned();
    message.profile?.test.then_some(())?;
    Some(Built { folder, target: message.target?.name, path: message.executable? })
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
