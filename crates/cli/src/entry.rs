//! From the words of the command line to an exit code.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use dhow_api::version::Version;
use dhow_errdefs::{Error, Result};

use crate::address::Global;
use crate::command::{Command, Found, find};
use crate::commands;
use crate::completion;
use crate::failure::{Failure, Outcome};
use crate::flags::{Fault, Flag, Parsed, Tables, parse, too_old};
use crate::help;
use crate::session::Session;

/// What the command line needs from the program it is part of.
pub struct Hooks {
    /// Where the engine listens when nobody says otherwise, as in `unix:///run/dhow/dhow.sock`.
    pub default_host: String,
    /// The program's version.
    pub version: &'static str,
    /// Starts an engine at the default host and returns when it listens; called when nobody answers there.
    pub start_engine: Box<dyn Fn() -> Result<()>>,
}

impl std::fmt::Debug for Hooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hooks").field("default_host", &self.default_host).field("version", &self.version).finish()
    }
}

/// Flags before the command.
pub(crate) const GLOBAL: Tables = &[&[
    Flag::text("config", "Folder of the client's configuration").shown("\"~/.docker\""),
    Flag::text("context", "Name of the context to use (wins over DOCKER_HOST and the default context)").short(b'c'),
    Flag::bool("debug", "Turn on debug mode").short(b'D'),
    Flag::list("host", "Socket of the engine to talk to").short(b'H'),
    Flag::text("log-level", "How much to say (\"debug\", \"info\", \"warn\", \"error\", \"fatal\")")
        .short(b'l')
        .default("info"),
    Flag::bool("tls", "Use TLS; implied by --tlsverify"),
    Flag::text("tlscacert", "Trust only certificates signed by this authority").shown("\"~/.docker/ca.pem\""),
    Flag::text("tlscert", "The client's certificate").shown("\"~/.docker/cert.pem\""),
    Flag::text("tlskey", "The client's key").shown("\"~/.docker/key.pem\""),
    Flag::bool("tlsverify", "Use TLS and verify the engine"),
    Flag::bool("version", "Print the version and leave").short(b'v'),
]];

/// What Docker knows for `--log-level`.
const LEVELS: [&str; 9] = ["", "panic", "fatal", "error", "warn", "warning", "info", "debug", "trace"];

/// Runs the command line `args` (the program's name first) and says how the process is to end.
#[must_use]
pub fn main(args: Vec<OsString>, hooks: Hooks) -> ExitCode {
    let mut words = args.into_iter().map(|word| word.to_string_lossy().into_owned());
    let called = words.next().unwrap_or_default();
    let program = match Path::new(&called).file_name().and_then(|name| name.to_str()) {
        Some("docker") => "docker",
        _ => "dhow",
    };
    let words: Vec<String> = words.collect();
    let code = match dispatch(program, &words, hooks) {
        Ok(code) => code,
        Err(failure) => failure.report(),
    };
    ExitCode::from(code)
}

fn dispatch(program: &'static str, words: &[String], hooks: Hooks) -> Outcome {
    if let Some((completion::COMMAND, words)) = words.split_first().map(|(first, words)| (first.as_str(), words)) {
        return completion::complete(program, words, hooks);
    }
    let global = match parse(GLOBAL, false, words) {
        Ok(global) => global,
        Err(Fault::Help) => return help::of_program(program, true),
        Err(Fault::Wrong(text)) => return Err(help::wrong_flag(program, None, &text)),
    };
    if global.on("version") {
        // Programs that call us `docker` look for its name as it is written there.
        let name = if program == "docker" { "Docker" } else { program };
        crate::output::line(&format!("{name} version {}, build {}", hooks.version, commands::BUILD))?;
        return Ok(0);
    }
    let level = global.text("log-level");
    if !LEVELS.contains(&level.to_ascii_lowercase().as_str()) {
        return Err(Failure::text(format!("Unable to parse logging level: {level}")));
    }
    let rest = match (global.args.first().map(String::as_str), &global.args[..]) {
        (None, _) => return help::of_program(program, false),
        (Some("help"), [_]) => return help::of_program(program, true),
        (Some("help"), [_, asked @ ..]) => return help_for(program, asked),
        (Some(_), rest) => rest,
    };
    match find(rest) {
        Found::Command { command, name, rest } => {
            run(program, command, name, rest, Global::from_flags(&global, hooks)?)
        }
        Found::Group { group, rest } => help::of_group(program, group, rest),
        Found::Nothing => Err(help::unknown_command(program, &rest[0])),
    }
}

/// `help` about something that is not there.
fn unknown(words: &[String]) -> Failure {
    Failure::text(format!("unknown help topic: {}", words.join(" ")))
}

fn help_for(program: &'static str, words: &[String]) -> Outcome {
    match find(words) {
        Found::Command { command, name, rest: [] } => help::of_command(program, command, name),
        Found::Group { group, rest: [] } => help::of_group(program, group, &["--help".to_owned()]),
        Found::Command { rest, .. } | Found::Group { rest, .. } => Err(unknown(rest)),
        Found::Nothing => Err(unknown(words)),
    }
}

fn run(
    program: &'static str,
    command: &'static Command,
    name: &'static str,
    rest: &[String],
    global: Global,
) -> Outcome {
    let session = Session::new(program, name, global);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .map_err(|cause| Error::internal("start the event loop").with_cause(cause))?;
    let parsed = parse(command.flags, command.interspersed, rest);
    if let Some(why) = runtime.block_on(too_new(&session, parsed.as_ref().ok())) {
        if matches!(parsed, Err(Fault::Help)) {
            crate::output::line(&why)?;
            return Ok(0);
        }
        return Err(Failure::text(why));
    }
    let parsed = match parsed {
        Ok(parsed) => parsed,
        Err(Fault::Help) => return help::of_command(program, command, name),
        Err(Fault::Wrong(text)) => return Err(help::wrong_flag(program, Some((command, name)), &text)),
    };
    // Docker's client, too, writes this to standard output.
    for line in parsed.deprecated() {
        crate::output::line(&line)?;
    }
    if let Some(why) = command.arguments.refuse(parsed.args.len()) {
        return Err(help::wrong_arguments(program, command, name, &why));
    }
    let outcome = runtime.block_on((command.run)(&session, &parsed));
    // The process ends now. The kernel closes what is open faster than we could, and threads that still read a terminal
    // must not be waited for.
    std::mem::forget(runtime);
    outcome
}

/// What the engine is too old for, or never knows, in Docker's words: that comes before whatever else is wrong. It is asked
/// for its version only where that counts.
async fn too_new(session: &Session, parsed: Option<&Parsed>) -> Option<String> {
    let since = commands::since(session.name);
    let counts = !Version::MIN.at_least(since) || parsed.is_some_and(Parsed::needs_version);
    let version = if counts { session.settled_version().await } else { session.api_version() };
    if !version.at_least(since) {
        let command = format!("{} {}", session.program, session.name);
        return Some(too_old(&command, since, version));
    }
    parsed?.refused(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_found_by_each_of_its_names() {
        for command in commands::ALL {
            for path in command.names {
                let words: Vec<String> = path.split(' ').map(str::to_owned).collect();
                match find(&words) {
                    Found::Command { command: found, .. } => assert!(std::ptr::eq(found, *command), "{path}"),
                    _ => panic!("{path} is not found"),
                }
            }
        }
    }

    #[test]
    fn no_command_has_two_flags_of_one_name() {
        for command in commands::ALL {
            let mut seen = std::collections::HashSet::new();
            for flag in command.flags.iter().flat_map(|table| table.iter()) {
                assert!(seen.insert(flag.long.to_owned()), "{} --{}", command.names[0], flag.long);
                if let Some(letter) = flag.short {
                    assert!(seen.insert(format!("-{letter}")), "{} -{}", command.names[0], char::from(letter));
                }
            }
        }
    }
}
