//! The command line of an OCI runtime, as runc has it: `dhow runtime [global options] VERB …`.
//!
//! podman, containerd and others call it, so names, options, exit codes and the log's form are runc's. One file per verb;
//! what a container is between two calls is a directory below `--root` (see [`record`]).

mod console;
mod create;
mod delete;
pub mod dialect;
mod exec;
mod features;
mod foreground;
mod kill;
mod list;
mod log;
mod pause;
mod ps;
mod record;
mod run;
mod spec;
mod start;
mod state;
mod unsupported;
mod update;

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command as Program, ExitCode};

use clap::{Arg, ArgAction, ArgMatches, Command};
use dhow_errdefs::{Error, Result, ResultExt};
use dhow_sys::exe::{self, ProtectedExe};
use serde::Serialize;

use log::Log;

/// What global options say.
#[derive(Debug)]
pub(crate) struct Globals {
    /// Where containers' directories are.
    pub(crate) root: PathBuf,
    /// `cgroupsPath` is of systemd's form.
    pub(crate) systemd_cgroup: bool,
    pub(crate) log: Log,
}

/// A verb: its name, its command line, and what it does. The result is the exit code.
struct Verb {
    name: &'static str,
    command: fn() -> Command,
    run: fn(&Globals, &ArgMatches) -> Result<u8>,
}

const VERBS: [Verb; 17] = [
    Verb { name: "create", command: create::command, run: create::run },
    Verb { name: "start", command: start::command, run: start::run },
    Verb { name: "state", command: state::command, run: state::run },
    Verb { name: "kill", command: kill::command, run: kill::run },
    Verb { name: "delete", command: delete::command, run: delete::run },
    Verb { name: "exec", command: exec::command, run: exec::run },
    Verb { name: "run", command: run::command, run: run::run },
    Verb { name: "list", command: list::command, run: list::run },
    Verb { name: "ps", command: ps::command, run: ps::run },
    Verb { name: "pause", command: pause::pause_command, run: pause::pause },
    Verb { name: "resume", command: pause::resume_command, run: pause::resume },
    Verb { name: "update", command: update::command, run: update::run },
    Verb { name: "features", command: features::command, run: features::run },
    Verb { name: "spec", command: spec::command, run: spec::run },
    Verb { name: "checkpoint", command: unsupported::checkpoint_command, run: unsupported::refuse },
    Verb { name: "restore", command: unsupported::restore_command, run: unsupported::refuse },
    Verb { name: "events", command: unsupported::events_command, run: unsupported::refuse },
];

/// Runs the command line; `args[0]` is the name it was called by.
#[must_use]
pub fn main(args: &[OsString]) -> ExitCode {
    let matches = match command().try_get_matches_from(args) {
        Ok(matches) => matches,
        Err(error) => return dialect::answer("dhow runtime", &error),
    };
    let log = Log::of(&matches);
    match protect(&matches).and_then(|()| dispatch(&matches)) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            log.error(&error);
            // As runc: 255 where an exit code could be the program's own.
            ExitCode::from(if matches.subcommand_name() == Some("exec") { 255 } else { 1 })
        }
    }
}

/// Runs this very call again from a binary that no container can write to, for the verbs whose process becomes one of the
/// container's (CVE-2019-5736). Returns if it is such a binary already.
fn protect(matches: &ArgMatches) -> Result<()> {
    let enters = matches!(matches.subcommand_name(), Some("create" | "run" | "exec"));
    if !enters || exe::is_protected() {
        return Ok(());
    }
    let protected = ProtectedExe::open().context(|| "protect the own binary from the container")?;
    let mut args = std::env::args_os();
    let name = args.next().unwrap_or_default();
    let error = Program::new(protected.path()).arg0(name).args(args).exec();
    Err(error).context(|| "run the protected binary")
}

fn dispatch(matches: &ArgMatches) -> Result<u8> {
    let globals = Globals {
        root: matches.get_one::<PathBuf>("root").cloned().unwrap_or_else(default_root),
        systemd_cgroup: matches.get_flag("systemd-cgroup"),
        log: Log::of(matches),
    };
    let (name, matches) = matches.subcommand().expect("clap requires a verb");
    let verb = VERBS.iter().find(|verb| verb.name == name).expect("clap knows the verbs of the table only");
    (verb.run)(&globals, matches)
}

/// `/run/dhow-runtime`, or below the user's own directory.
fn default_root() -> PathBuf {
    let own = std::env::var_os("XDG_RUNTIME_DIR").filter(|_| !rustix::process::geteuid().is_root());
    own.map_or_else(|| PathBuf::from("/run"), PathBuf::from).join("dhow-runtime")
}

fn command() -> Command {
    let path = |name| Arg::new(name).long(name).value_parser(clap::value_parser!(PathBuf));
    let flag = |name| Arg::new(name).long(name).action(ArgAction::SetTrue);
    Command::new("dhow runtime")
        .about("dhow as an OCI runtime")
        .version(concat!(env!("CARGO_PKG_VERSION"), "\nspec: 1.2.0"))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .arg(path("root").help("directory of the containers' state"))
        .arg(path("log").help("file for errors, instead of standard error"))
        .arg(Arg::new("log-format").long("log-format").value_parser(["text", "json"]).default_value("text"))
        .arg(flag("debug").help("accepted for runc's sake"))
        .arg(flag("systemd-cgroup").help("cgroupsPath has the form slice:prefix:name"))
        .arg(Arg::new("rootless").long("rootless").hide(true))
        .arg(Arg::new("criu").long("criu").hide(true))
        .subcommands(VERBS.iter().map(|verb| (verb.command)()))
}

/// The argument that nearly every verb has.
fn id() -> Arg {
    Arg::new("id").required(true).value_name("CONTAINER")
}

/// Prints to standard output. A reader that has gone is no failure of ours.
fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// A value as indented JSON.
fn print_json(value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Error::internal("write the answer as JSON").with_cause(error))?;
    print(&format!("{text}\n"));
    Ok(())
}

/// A switch.
fn flag(name: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue)
}

/// An option with a path.
fn path(name: &'static str) -> Arg {
    Arg::new(name).long(name).value_parser(clap::value_parser!(PathBuf))
}

fn text<'a>(matches: &'a ArgMatches, name: &str) -> &'a str {
    matches.get_one::<String>(name).map(String::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn what_podman_and_containerd_call_is_understood() {
        let calls = [
            "runtime --log-format=json --log /l --root /r --systemd-cgroup create -b /b --pid-file /p --console-socket /c id",
            "runtime --root /r --log /l --log-format json create --bundle /b --no-pivot --no-new-keyring --preserve-fds 2 id",
            "runtime --root /r kill --all id 9",
            "runtime kill id SIGTERM",
            "runtime delete --force id",
            "runtime exec --process /p --detach --pid-file /f --console-socket /c id",
            "runtime exec -t -u 1:2 -e A=b --cwd /x --cap CAP_KILL id sh -c exit",
            "runtime update --resources - id",
            "runtime ps --format json id",
            "runtime --rootless=true run -d --keep id",
        ];
        for call in calls {
            let parsed = command().try_get_matches_from(call.split(' '));
            assert!(parsed.is_ok(), "{call}: {}", parsed.unwrap_err());
        }
    }
}
