//! `exec`: one more process in a running container.

use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, ArgMatches, Command};
use dhow_errdefs::{Error, Result};
use dhow_oci::runtime::{ContainerStatus, Process, Spec};

use super::create::{preserve_fds, preserved, write_pid_file};
use super::foreground::Foreground;
use super::record::{Container, read_json};
use super::{Globals, console, flag, id, path, text};
use crate::{Exec, Stdio, Target, exec, seccomp};

pub(crate) fn command() -> Command {
    let many = |name: &'static str| Arg::new(name).long(name).action(ArgAction::Append);
    Command::new("exec")
        .about("execute a process in a running container")
        .arg(path("console-socket"))
        .arg(path("pid-file"))
        .arg(path("process").short('p').help("file with the process as in config.json"))
        .arg(flag("tty").short('t'))
        .arg(flag("detach").short('d'))
        .arg(flag("no-new-privs"))
        .arg(flag("ignore-paused"))
        .arg(Arg::new("cwd").long("cwd"))
        .arg(Arg::new("user").long("user").short('u').help("UID[:GID]"))
        .arg(Arg::new("apparmor").long("apparmor"))
        .arg(Arg::new("process-label").long("process-label"))
        .arg(Arg::new("cgroup").long("cgroup").hide(true))
        .arg(many("env").short('e'))
        .arg(many("cap").short('c'))
        .arg(many("additional-gids").short('g').value_parser(clap::value_parser!(u32)))
        .arg(preserve_fds())
        .arg(id())
        .arg(Arg::new("command").num_args(0..).trailing_var_arg(true).allow_hyphen_values(true))
}

pub(crate) fn run(globals: &Globals, matches: &ArgMatches) -> Result<u8> {
    let container = Container::load(globals, text(matches, "id"))?;
    match container.status()? {
        ContainerStatus::Stopped => return Err(Error::conflict("cannot exec in a stopped container")),
        ContainerStatus::Paused if !matches.get_flag("ignore-paused") => {
            return Err(Error::conflict("cannot exec in a paused container (use --ignore-paused to override)"));
        }
        _ => {}
    }
    let spec = container.spec()?;
    let process = process(&spec, matches)?;
    enter(&container, &spec, &process, matches)
}

fn enter(container: &Container, spec: &Spec, process: &Process, matches: &ArgMatches) -> Result<u8> {
    let preserve_fds = preserved(matches, 0)?;
    let detach = matches.get_flag("detach");
    let socket = matches.get_one::<PathBuf>("console-socket").map(PathBuf::as_path);
    console::check(process.terminal, socket, detach)?;
    let pidfd = container.process().ok_or_else(|| Error::conflict("cannot exec in a stopped container"))?;
    let target = Target::of(container.record.pid, pidfd)?;
    let cgroup = container.cgroup()?;
    let filter = spec.linux.as_ref().and_then(|linux| linux.seccomp.as_ref()).map(seccomp::compile).transpose()?;
    let foreground = if detach { None } else { Some(Foreground::begin()?) };
    let mut child = exec(Exec {
        stdio: if process.terminal { Stdio::Terminal } else { Stdio::Inherit },
        cgroup: cgroup.as_ref(),
        seccomp: filter.as_ref(),
        preserve_fds,
        ..Exec::new(&target, process)
    })?;
    if let Some(socket) = socket {
        console::send(socket, child.pty.take())?;
    }
    write_pid_file(matches.get_one::<PathBuf>("pid-file").map(PathBuf::as_path), child.pid)?;
    match foreground {
        Some(foreground) => foreground.stay(&child.pidfd, child.pty),
        None => Ok(0),
    }
}

/// The process from its file, or the container's own with other arguments.
fn process(spec: &Spec, matches: &ArgMatches) -> Result<Process> {
    if let Some(file) = matches.get_one::<PathBuf>("process") {
        return read_json(Path::new(file));
    }
    let mut process = spec.process.clone().unwrap_or_default();
    process.args = matches.get_many("command").into_iter().flatten().cloned().collect();
    process.terminal = matches.get_flag("tty");
    process.env.extend(matches.get_many::<String>("env").into_iter().flatten().cloned());
    process.no_new_privileges |= matches.get_flag("no-new-privs");
    // What was about the first process is not about this one.
    (process.rlimits, process.oom_score_adj, process.console_size) = (Vec::new(), None, None);
    let option = |name| matches.get_one::<String>(name).cloned();
    process.cwd = option("cwd").unwrap_or(process.cwd);
    process.apparmor_profile = option("apparmor").or(process.apparmor_profile);
    process.selinux_label = option("process-label").or(process.selinux_label);
    process.user.additional_gids.extend(matches.get_many::<u32>("additional-gids").into_iter().flatten());
    if let Some(user) = option("user") {
        (process.user.uid, process.user.gid) = parse_user(&user)?;
    }
    add_capabilities(&mut process, matches.get_many::<String>("cap").into_iter().flatten());
    Ok(process)
}

fn parse_user(user: &str) -> Result<(u32, u32)> {
    let (uid, gid) = user.split_once(':').unwrap_or((user, "0"));
    match (uid.parse(), gid.parse()) {
        (Ok(uid), Ok(gid)) => Ok((uid, gid)),
        _ => Err(Error::invalid(format!("user {user:?} is not UID[:GID]"))),
    }
}

fn add_capabilities<'a>(process: &mut Process, names: impl Iterator<Item = &'a String>) {
    for name in names {
        let sets = process.capabilities.get_or_insert_default();
        for set in [&mut sets.bounding, &mut sets.effective, &mut sets.permitted, &mut sets.ambient] {
            set.push(name.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_numbers() {
        assert_eq!(parse_user("5:6").unwrap(), (5, 6));
        assert_eq!(parse_user("5").unwrap(), (5, 0));
        assert!(parse_user("root").is_err());
    }
}
