//! Help, and the texts for command lines that are wrong.

use std::fmt::Write;

use crate::address::wanted_version;
use crate::command::Command;
use crate::commands::{ALL, COMMON, GROUPS, since};
use crate::entry::GLOBAL;
use crate::failure::{Failure, Outcome};
use crate::flags::{columns_of_terminal, describe};
use crate::output;

/// `Usage:  dhow run [OPTIONS] IMAGE …`.
fn usage(program: &str, command: &Command, name: &str) -> String {
    // One line for each way to use it; Docker names all but the first without the group.
    let short = name.rsplit(' ').next().unwrap_or(name);
    let usage = command.usage.replace('\n', &format!("\n\t{program} {short} "));
    format!("Usage:  {program} {name} {usage}").trim_end().to_owned()
}

/// The answer to a flag that does not exist or does not parse.
pub(crate) fn wrong_flag(program: &str, command: Option<(&Command, &str)>, why: &str) -> Failure {
    let (usage, path) = match command {
        Some((command, name)) => (usage(program, command, name), format!("{program} {name}")),
        None => (format!("Usage:  {program} [OPTIONS] COMMAND [ARG...]"), program.to_owned()),
    };
    Failure::Text(format!("{why}\n\n{usage}\n\nRun '{path} --help' for more information"), 125)
}

/// The answer to a wrong number of words.
pub(crate) fn wrong_arguments(program: &str, command: &Command, name: &str, why: &str) -> Failure {
    // Docker says "See" where a minimum is not reached and "Run" elsewhere.
    let verb = if why.starts_with("requires at least") && !why.contains(" and ") { "See" } else { "Run" };
    let usage = usage(program, command, name);
    Failure::text(format!(
        "{program}: '{program} {name}' {why}\n\n{usage}\n\n{verb} '{program} {name} --help' for more information"
    ))
}

/// Commands of Docker that there are not, and what to do instead.
const ABSENT: [(&[&str], &str); 5] = [
    (
        &["build", "builder", "buildx"],
        "dhow builds no images yet: build them with another program, and bring them here with pull, load or import",
    ),
    (
        &["compose"],
        "dhow has no compose yet: docker-compose works with this engine, by DOCKER_HOST (`dhow context inspect` tells it)",
    ),
    (
        &["swarm", "service", "stack", "node", "secret", "config"],
        "dhow makes no swarms: it runs containers on one machine",
    ),
    (&["plugin"], "dhow installs no plugins: those for volumes are found where `--plugin-folder` of the engine says"),
    (&["trust"], "dhow signs no images: which ones may be used, registries.toml of the engine decides"),
];

/// The answer to a first word that is no command.
pub(crate) fn unknown_command(program: &str, word: &str) -> Failure {
    let absent = ABSENT.iter().find(|(words, _)| words.contains(&word));
    let why = absent.map(|(_, why)| format!("\nhint: {why}")).unwrap_or_default();
    Failure::text(format!(
        "{program}: unknown command: {program} {word}{why}\n\nRun '{program} --help' for more information"
    ))
}

/// `--help` of a command.
pub(crate) fn of_command(program: &str, command: &Command, name: &str) -> Outcome {
    let mut text = format!("{}\n\n{}\n", usage(program, command, name), command.summary);
    if command.names.len() > 1 {
        let names: Vec<String> = command.names.iter().map(|name| format!("{program} {name}")).collect();
        write!(text, "\nAliases:\n  {}\n", names.join(", ")).expect("writing to a String cannot fail");
    }
    if command.flags.iter().any(|table| table.iter().any(|flag| !flag.hidden)) {
        write!(text, "\nOptions:\n{}", describe(command.flags, columns_of_terminal(), wanted_version()))
            .expect("writing to a String cannot fail");
    }
    output::text(&text)?;
    Ok(0)
}

/// `dhow container`: its commands, as an answer to `--help` and as a hint else; with a word that is none of them, an error.
pub(crate) fn of_group(program: &str, group: &str, rest: &[String]) -> Outcome {
    // Docker's client has written these two with the word, and the others without.
    let usage = format!("{program} {group}{}", if matches!(group, "volume" | "manifest") { " COMMAND" } else { "" });
    match rest.first().map(String::as_str) {
        None | Some("--help" | "-h" | "help") => {}
        Some(flag) if flag.starts_with('-') => {
            let why = match flag.strip_prefix("--") {
                Some(name) => format!("unknown flag: --{}", name.split('=').next().unwrap_or_default()),
                None => format!("unknown shorthand flag: '{}' in {flag}", flag.chars().nth(1).unwrap_or('-')),
            };
            return Err(Failure::Text(
                format!("{why}\n\nUsage:  {usage}\n\nRun '{program} {group} --help' for more information"),
                125,
            ));
        }
        Some(word) => {
            return Err(Failure::text(format!(
                "{program}: unknown command: {program} {group} {word}\n\nUsage:  {usage}\n\nRun '{program} {group} --help' for more information"
            )));
        }
    }
    let summary = GROUPS.iter().find(|(name, _)| *name == group).map_or("", |(_, summary)| summary);
    let prefix = format!("{group} ");
    let there = ALL.iter().filter(|command| wanted_version().at_least(since(command.names[0])));
    let rows = there.filter_map(|command| Some((command.names[0].strip_prefix(&prefix)?, command.summary)));
    let list = section(rows.collect());
    let text = format!(
        "Usage:  {program} {group} COMMAND\n\n{summary}\n\nCommands:\n{list}\nRun '{program} {group} COMMAND --help' for more information on a command."
    );
    if rest.is_empty() {
        output::note(&text);
    } else {
        output::line(&text)?;
    }
    Ok(0)
}

/// The program's own help: to standard output when asked for or when nothing was said.
pub(crate) fn of_program(program: &str, _asked: bool) -> Outcome {
    let short = |command: &&&Command| command.names.iter().find(|name| !name.contains(' ')).copied();
    let all: Vec<(&str, &str)> = ALL.iter().filter_map(|command| Some((short(&command)?, command.summary))).collect();
    let (mut common, mut others): (Vec<_>, Vec<_>) = all.into_iter().partition(|(name, _)| COMMON.contains(name));
    common.sort_by_key(|(name, _)| COMMON.iter().position(|common| common == name));
    others.sort_unstable();
    output::text(&format!(
        "Usage:  {program} [OPTIONS] COMMAND\n\nA container engine that needs almost no crew\n\nCommon Commands:\n{}\n\
         Management Commands:\n{}\nCommands:\n{}\nGlobal Options:\n{}\n\
         Run '{program} COMMAND --help' for more information on a command.\n",
        section(common),
        section(GROUPS.to_vec()),
        section(others),
        describe(GLOBAL, columns_of_terminal(), wanted_version()),
    ))?;
    Ok(0)
}

fn section(rows: Vec<(&str, &str)>) -> String {
    let widest = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0).max(11);
    rows.iter().fold(String::new(), |mut text, (name, summary)| {
        writeln!(text, "  {name:widest$} {summary}").expect("writing to a String cannot fail");
        text
    })
}
