//! The program of a container or an exec, prepared down to the pointers that `execve` takes.

use std::ffi::CString;

use dhow_errdefs::{Error, Result};
use dhow_oci::runtime as oci;
use dhow_sys::exec::{Slots, Vector};
use dhow_sys::scheduling;
use rustix::fs::Mode;
use rustix::process::{Gid, Uid};
use rustix::thread::capabilities;

use super::{cstring, label, limits};
use crate::capability::Sets;

/// What becomes of the child in the end.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) arguments: Vector,
    pub(crate) environment: Vector,
    /// Where the program may be: the path itself, or one per directory of the container's `PATH`.
    pub(crate) candidates: Vec<CString>,
    /// The candidate that the child found.
    pub(crate) chosen: usize,
    /// The first argument has a slash, so that a failure is about that one file.
    pub(crate) by_path: bool,
    /// Present when the environment has no `HOME`: room for the variable that the child makes from /etc/passwd.
    pub(crate) home: Option<Home>,
    pub(crate) cwd: CString,
    pub(crate) uid: Uid,
    pub(crate) gid: Gid,
    pub(crate) groups: Vec<Gid>,
    pub(crate) umask: Mode,
    pub(crate) capabilities: Sets,
    pub(crate) no_new_privileges: bool,
    /// A session keyring of its own, instead of the engine's.
    pub(crate) new_keyring: bool,
    /// The program begins with all signals blocked.
    pub(crate) signals_blocked: bool,
    pub(crate) personality: Option<u32>,
    pub(crate) scheduler: Option<scheduling::Attributes>,
    pub(crate) io_priority: Option<(u32, u32)>,
    pub(crate) label: Option<label::Label>,
    pub(crate) limits: limits::Limits,
    /// What is written to `oom_score_adj`.
    pub(crate) oom_score: Option<Vec<u8>>,
}

/// Room for `HOME=` and for the environment with it.
#[derive(Debug)]
pub(crate) struct Home {
    pub(crate) variable: Vec<u8>,
    pub(crate) slots: Slots,
}

/// What every set of an unprivileged user's programs starts from, as in login shells.
const DEFAULT_UMASK: u32 = 0o022;
/// `PATH_MAX`.
const LONGEST_HOME: usize = 4096;

impl Process {
    /// Prepares a process; `own_user_namespace` says that it holds every capability over the namespace it enters.
    pub(crate) fn plan(process: &oci::Process, own_user_namespace: bool, warnings: &mut Vec<String>) -> Result<Self> {
        if process.exec_cpu_affinity.is_some() {
            return Err(Error::not_implemented("execCPUAffinity is not supported"));
        }
        // An empty HOME is none, and `Home` makes one.
        let named = process.env.iter().filter(|variable| *variable != "HOME=");
        let environment = Vector::new(named.map(cstring).collect::<Result<_>>()?);
        let candidates = candidates(process)?;
        let user = &process.user;
        Ok(Self {
            arguments: Vector::new(process.args.iter().map(cstring).collect::<Result<_>>()?),
            by_path: process.args.first().is_some_and(|program| program.contains('/')),
            candidates,
            chosen: 0,
            home: Home::unless_set(process, &environment),
            environment,
            cwd: absolute(&process.cwd)?,
            uid: Uid::from_raw(user.uid),
            gid: Gid::from_raw(user.gid),
            groups: user.additional_gids.iter().map(|gid| Gid::from_raw(*gid)).collect(),
            umask: Mode::from_raw_mode(user.umask.unwrap_or(DEFAULT_UMASK)),
            capabilities: sets(process, own_user_namespace, warnings),
            no_new_privileges: process.no_new_privileges,
            new_keyring: true,
            signals_blocked: false,
            personality: None,
            scheduler: process.scheduler.as_ref().map(scheduler).transpose()?,
            io_priority: process.io_priority.as_ref().map(io_priority).transpose()?,
            label: label::Label::plan(process)?,
            limits: limits::Limits::plan(process)?,
            oom_score: process.oom_score_adj.map(|score| score.to_string().into_bytes()),
        })
    }
}

impl Home {
    fn unless_set(process: &oci::Process, environment: &Vector) -> Option<Self> {
        let set = process.env.iter().any(|variable| variable.starts_with("HOME=") && variable != "HOME=");
        (!set).then(|| {
            let mut variable = Vec::with_capacity(LONGEST_HOME + 8);
            variable.extend_from_slice(b"HOME=");
            Self { variable, slots: Slots::for_one_more(environment) }
        })
    }
}

fn absolute(cwd: &str) -> Result<CString> {
    if cwd.is_empty() {
        return cstring("/");
    }
    if !cwd.starts_with('/') {
        return Err(Error::invalid(format!("working directory {cwd:?} is not an absolute path")));
    }
    cstring(cwd)
}

pub(super) fn candidates(process: &oci::Process) -> Result<Vec<CString>> {
    let program = process.args.first().ok_or_else(|| Error::invalid("the process has no arguments"))?;
    if program.is_empty() {
        // Found nowhere, as a name that no directory has.
        return Ok(Vec::new());
    }
    if program.contains('/') {
        return Ok(vec![cstring(program)?]);
    }
    let path = process.env.iter().rev().find_map(|variable| variable.strip_prefix("PATH=")).unwrap_or_default();
    let directories = path.split(':').filter(|directory| directory.starts_with('/'));
    directories.map(|directory| cstring(format!("{directory}/{program}"))).collect()
}

fn sets(process: &oci::Process, own_user_namespace: bool, warnings: &mut Vec<String>) -> Sets {
    // A process that says nothing about capabilities gets none, as with runc.
    let wanted = process.capabilities.clone().unwrap_or_default();
    let held = if own_user_namespace { !0 } else { capabilities(None).map_or(!0, |sets| sets.permitted.bits()) };
    Sets::plan(&wanted, held, warnings)
}

fn scheduler(wanted: &oci::Scheduler) -> Result<scheduling::Attributes> {
    let policy = match wanted.policy.as_str() {
        "SCHED_OTHER" => 0,
        "SCHED_FIFO" => 1,
        "SCHED_RR" => 2,
        "SCHED_BATCH" => 3,
        "SCHED_ISO" => 4,
        "SCHED_IDLE" => 5,
        "SCHED_DEADLINE" => 6,
        other => return Err(Error::invalid(format!("unknown scheduling policy {other:?}"))),
    };
    let mut attributes = scheduling::Attributes::of(policy);
    attributes.nice = wanted.nice.unwrap_or_default();
    attributes.priority = wanted.priority.unwrap_or_default() as u32;
    attributes.runtime = wanted.runtime.unwrap_or_default();
    attributes.deadline = wanted.deadline.unwrap_or_default();
    attributes.period = wanted.period.unwrap_or_default();
    for flag in &wanted.flags {
        attributes.flags |= scheduler_flag(flag)?;
    }
    Ok(attributes)
}

/// `linux/sched.h`.
fn scheduler_flag(name: &str) -> Result<u64> {
    Ok(match name {
        "SCHED_FLAG_RESET_ON_FORK" => 0x01,
        "SCHED_FLAG_RECLAIM" => 0x02,
        "SCHED_FLAG_DL_OVERRUN" => 0x04,
        "SCHED_FLAG_KEEP_POLICY" => 0x08,
        "SCHED_FLAG_KEEP_PARAMS" => 0x10,
        "SCHED_FLAG_UTIL_CLAMP_MIN" => 0x20,
        "SCHED_FLAG_UTIL_CLAMP_MAX" => 0x40,
        other => return Err(Error::invalid(format!("unknown scheduling flag {other:?}"))),
    })
}

fn io_priority(wanted: &oci::LinuxIoPriority) -> Result<(u32, u32)> {
    let class = match wanted.class.as_str() {
        "IOPRIO_CLASS_RT" => 1,
        "IOPRIO_CLASS_BE" => 2,
        "IOPRIO_CLASS_IDLE" => 3,
        other => return Err(Error::invalid(format!("unknown I/O priority class {other:?}"))),
    };
    match u32::try_from(wanted.priority) {
        Ok(level @ 0..=7) => Ok((class, level)),
        _ => Err(Error::invalid(format!("I/O priority {} is not between 0 and 7", wanted.priority))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(args: &[&str], env: &[&str]) -> oci::Process {
        oci::Process {
            args: args.iter().map(|word| (*word).to_owned()).collect(),
            env: env.iter().map(|word| (*word).to_owned()).collect(),
            cwd: "/".into(),
            ..Default::default()
        }
    }

    fn plan(process: &oci::Process) -> Result<Process> {
        Process::plan(process, false, &mut Vec::new())
    }

    #[test]
    fn a_bare_name_is_looked_up_in_the_containers_path() {
        let plan = plan(&process(&["sh"], &["PATH=/a::relative:/b"])).unwrap();
        assert_eq!(plan.candidates, [c"/a/sh".to_owned(), c"/b/sh".to_owned()]);
        assert!(!plan.by_path);
    }

    #[test]
    fn a_program_without_a_name_is_nowhere() {
        assert!(plan(&process(&[""], &["PATH=/a"])).unwrap().candidates.is_empty());
    }

    #[test]
    fn a_path_is_taken_as_it_is() {
        let plan = plan(&process(&["./run"], &["PATH=/a"])).unwrap();
        assert_eq!(plan.candidates, [c"./run".to_owned()]);
        assert!(plan.by_path);
    }

    #[test]
    fn home_is_looked_up_only_when_it_is_not_set() {
        assert!(plan(&process(&["sh"], &["HOME=/root"])).unwrap().home.is_none());
        assert!(plan(&process(&["sh"], &["HOME="])).unwrap().home.is_some());
    }

    #[test]
    fn what_cannot_be_run_is_invalid() {
        assert!(plan(&process(&[], &[])).is_err());
        assert!(plan(&process(&["a\0b"], &[])).is_err());
        assert!(plan(&oci::Process { cwd: "relative".into(), ..process(&["sh"], &[]) }).is_err());
    }
}
