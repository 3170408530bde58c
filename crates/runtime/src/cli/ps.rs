//! `ps`: the processes of a container.

use std::process::Command as Program;

use clap::{Arg, ArgMatches, Command};
use dhow_errdefs::{Error, Result, ResultExt};

use super::record::Container;
use super::{Globals, id, pause, print, text};

pub(crate) fn command() -> Command {
    Command::new("ps")
        .about("show the processes of a container")
        .arg(Arg::new("format").long("format").short('f').value_parser(["table", "json"]).default_value("table"))
        .arg(id())
        .arg(Arg::new("options").num_args(0..).trailing_var_arg(true).allow_hyphen_values(true))
}

pub(crate) fn run(globals: &Globals, matches: &ArgMatches) -> Result<u8> {
    let container = Container::load(globals, text(matches, "id"))?;
    let mut pids = pause::cgroup(&container)?.pids()?;
    pids.sort_unstable();
    if text(matches, "format") == "json" {
        let text = serde_json::to_string(&pids).map_err(|error| Error::internal("ps").with_cause(error))?;
        print(&format!(
            "{text}
"
        ));
        return Ok(0);
    }
    let options: Vec<&String> = matches.get_many("options").into_iter().flatten().collect();
    let mut program = Program::new("ps");
    if options.is_empty() {
        program.arg("-ef")
    } else {
        program.args(options)
    };
    let output = program.output().context(|| "run ps")?;
    print(&select(&String::from_utf8_lossy(&output.stdout), &pids)?);
    Ok(0)
}

/// The lines of ps(1) that are about these processes, with the head line.
fn select(output: &str, pids: &[i32]) -> Result<String> {
    let mut lines = output.lines();
    let head = lines.next().unwrap_or_default();
    let column = head
        .split_whitespace()
        .position(|name| name == "PID")
        .ok_or_else(|| Error::invalid("the output of ps has no column PID"))?;
    let ours = |line: &&str| {
        let pid = line.split_whitespace().nth(column).and_then(|field| field.parse().ok());
        pid.is_some_and(|pid| pids.contains(&pid))
    };
    Ok([head].into_iter().chain(lines.filter(ours)).map(|line| format!("{line}\n")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_containers_lines_stay() {
        let output = "UID   PID CMD\nroot   1 init\nroot  42 sh -c 1\n";
        assert_eq!(select(output, &[42]).unwrap(), "UID   PID CMD\nroot  42 sh -c 1\n");
        assert!(select("CMD\nx\n", &[1]).is_err());
    }
}
