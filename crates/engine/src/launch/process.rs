//! The first process of a container, and further ones.

use dhow_errdefs::{Error, Result};
use dhow_oci::runtime::{ConsoleSize, LinuxCapabilities, PosixRlimit, Process, User};

use super::{Identity, Platform, SecurityOptions, Surroundings, capabilities, environment};
use crate::create::command;
use crate::spec::{ContainerSpec, ExecSpec, Ulimit};

/// The container's first process.
pub(super) fn first(spec: &ContainerSpec, around: &Surroundings<'_>) -> Result<Process> {
    let base = common(spec, around.host, around.user, spec.host.privileged)?;
    let size = spec.host.console_size;
    Ok(Process {
        terminal: spec.tty,
        console_size: console_size(spec.tty.then_some(size)),
        args: command(spec).cloned().collect(),
        env: environment::of(spec, around.id, &around.user.home),
        oom_score_adj: i32::try_from(spec.host.oom_score_adj).ok().filter(|adjustment| *adjustment != 0),
        rlimits: rlimits(spec)?,
        ..base
    })
}

/// A further process. `id` is the container's.
///
/// # Errors
/// What is wrong with the container's own security options.
pub(crate) fn exec(
    exec: &ExecSpec,
    spec: &ContainerSpec,
    id: &str,
    platform: &Platform,
    user: &Identity,
) -> Result<Process> {
    let base = common(spec, platform, user, exec.privileged || spec.host.privileged)?;
    let mut env = environment::of(&ContainerSpec { tty: exec.tty, ..spec.clone() }, id, &user.home);
    env = environment::merge(env, &exec.env);
    Ok(Process {
        terminal: exec.tty,
        console_size: console_size(exec.console_size.filter(|_| exec.tty)),
        args: exec.cmd.clone(),
        env: environment::with_home(env, &user.home),
        cwd: if exec.working_dir.is_empty() { base.cwd } else { exec.working_dir.clone() },
        rlimits: rlimits(spec)?,
        ..base
    })
}

/// What both have in common: who, where, with which rights.
fn common(spec: &ContainerSpec, platform: &Platform, user: &Identity, privileged: bool) -> Result<Process> {
    let host = &spec.host;
    let security = SecurityOptions::parse(host.security_opt.as_deref().unwrap_or_default())?;
    let granted: Vec<String> = if privileged {
        platform.capabilities.iter().map(ToString::to_string).collect()
    } else {
        capabilities(host, &platform.capabilities)?.into_iter().map(str::to_owned).collect()
    };
    // Where a user has one id only, the kernel lets nobody choose groups: he has those he came with.
    let groups = if platform.chooses_groups { user.groups.clone() } else { Vec::new() };
    Ok(Process {
        user: User { uid: user.uid, gid: user.gid, additional_gids: groups, ..User::default() },
        cwd: if spec.working_dir.is_empty() { "/".to_owned() } else { spec.working_dir.clone() },
        // Nothing inheritable and ambient: CVE-2022-24769.
        capabilities: Some(LinuxCapabilities {
            bounding: granted.clone(),
            effective: granted.clone(),
            permitted: granted,
            ..LinuxCapabilities::default()
        }),
        no_new_privileges: security.no_new_privileges,
        apparmor_profile: Some(security.apparmor).filter(|name| platform.modules.apparmor && !name.is_empty()),
        ..Process::default()
    })
}

fn console_size(size: Option<[u32; 2]>) -> Option<ConsoleSize> {
    let [rows, columns] = size?;
    let (height, width) = (u16::try_from(rows).ok()?, u16::try_from(columns).ok()?);
    (height > 0 && width > 0).then_some(ConsoleSize { height, width })
}

fn rlimits(spec: &ContainerSpec) -> Result<Vec<PosixRlimit>> {
    spec.host.resources.ulimits.iter().map(rlimit).collect()
}

/// The limit as the runtime-spec names it.
///
/// # Errors
/// One that does not exist.
pub(crate) fn rlimit(limit: &Ulimit) -> Result<PosixRlimit> {
    const KNOWN: [&str; 16] = [
        "as",
        "core",
        "cpu",
        "data",
        "fsize",
        "locks",
        "memlock",
        "msgqueue",
        "nice",
        "nofile",
        "nproc",
        "rss",
        "rtprio",
        "rttime",
        "sigpending",
        "stack",
    ];
    if !KNOWN.contains(&limit.name.as_str()) {
        return Err(Error::invalid(format!("invalid ulimit type: {}", limit.name)));
    }
    // -1 is RLIM_INFINITY in two's complement, which is what the kernel takes.
    #[expect(clippy::cast_sign_loss, reason = "-1 means infinity")]
    let value = |number: i64| number as u64;
    let kind = format!("RLIMIT_{}", limit.name.to_ascii_uppercase());
    Ok(PosixRlimit { kind, soft: value(limit.soft), hard: value(limit.hard) })
}
