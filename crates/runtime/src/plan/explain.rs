//! A failure of the child in words: the step, the thing, and a class.

use std::borrow::Cow;
use std::ffi::{CStr, CString};
use std::io;
use std::path::PathBuf;

use dhow_errdefs::{Class, Error, Result};
use dhow_oci::runtime::{Hook, Hooks, Process};
use rustix::io::Errno;

use super::hooks::Said;
use super::mounts::{Kind, Mount};
use super::{Container, Plan};
use crate::report::{Failure, Step};

/// Bytes of a program's name, or of a path, that an error shows: both are the person's, and may be megabytes.
const SHOWN: usize = 256;

/// What is needed to explain a failure after everything was ready; small, and independent of the plan.
#[derive(Debug, Default)]
pub(crate) struct Words {
    program: String,
    /// The program was named by a path.
    by_path: bool,
    candidates: Vec<CString>,
    create_hooks: Vec<PathBuf>,
    start_hooks: Vec<PathBuf>,
    /// What they have said, where this process can know.
    said: Option<Said>,
}

impl Words {
    pub(crate) fn of(process: &Process, hooks: Option<&Hooks>, said: Option<Said>) -> Result<Self> {
        let paths =
            |list: fn(&Hooks) -> &Vec<Hook>| hooks.into_iter().flat_map(list).map(|hook| hook.path.clone()).collect();
        let program = process.args.first().cloned().unwrap_or_default();
        Ok(Self {
            by_path: program.contains('/'),
            program,
            candidates: super::process::candidates(process)?,
            create_hooks: paths(|hooks| &hooks.create_container),
            start_hooks: paths(|hooks| &hooks.start_container),
            said,
        })
    }

    /// The error that a failure means.
    pub(crate) fn explain(&self, failure: Failure) -> Error {
        match failure.step {
            Step::Lookup => self.explain_lookup(failure),
            Step::Execute => self.explain_execute(failure),
            Step::CreateContainerHook => self.explain_hook("createContainer", &self.create_hooks, failure),
            Step::StartContainerHook => self.explain_hook("startContainer", &self.start_hooks, failure),
            step => because(failure, phrase(step).to_owned()),
        }
    }

    /// The program was not found or cannot be executed, in the words of Docker's users.
    fn explain_lookup(&self, failure: Failure) -> Error {
        let program = &shorten(&self.program);
        if !self.by_path {
            return Error::not_found(format!("exec: {program:?}: executable file not found in $PATH"));
        }
        let reason = text(failure.errno);
        match Errno::from_raw_os_error(failure.errno) {
            Errno::NOENT | Errno::NOTDIR => Error::not_found(format!("exec: {program:?}: stat {program}: {reason}")),
            _ => Error::denied(format!("exec: {program:?}: {reason}")),
        }
    }

    fn explain_hook(&self, kind: &str, paths: &[PathBuf], failure: Failure) -> Error {
        let path = paths.get(usize::from(failure.index)).map(|path| path.to_string_lossy()).unwrap_or_default();
        let path = shorten(&path);
        let said = self.said.as_ref().map(Said::text).filter(|said| !said.is_empty());
        let said = said.map(|said| format!(": {said}")).unwrap_or_default();
        match Errno::from_raw_os_error(failure.errno) {
            Errno::CHILD => Error::internal(format!("hook {kind} {path} failed{said}")),
            Errno::TIME => Error::deadline(format!("hook {kind} {path} took longer than its timeout{said}")),
            _ => because(failure, format!("hook {kind} {path}")),
        }
    }

    fn explain_execute(&self, failure: Failure) -> Error {
        let path = self.candidates.get(usize::from(failure.index)).map(CString::as_c_str).unwrap_or_default();
        let message = format!("exec {}: {}", shorten(&path.to_string_lossy()), text(failure.errno));
        match Errno::from_raw_os_error(failure.errno) {
            // The file was there a moment ago: it is its interpreter that is missing.
            Errno::NOENT => Error::not_found(message),
            Errno::NOEXEC => Error::invalid(message),
            errno => Error::new(io::Error::from(errno).kind().into(), message),
        }
    }
}

impl Plan<'_> {
    /// The error that a failure of the child means.
    pub(crate) fn explain(&self, failure: Failure) -> Error {
        match failure.step {
            Step::Lookup | Step::Execute | Step::CreateContainerHook | Step::StartContainerHook => {
                return self.words.explain(failure);
            }
            Step::Cwd if self.new_world().is_some() && Errno::from_raw_os_error(failure.errno) == Errno::NOTDIR => {
                // dockerd makes that folder.
                let cwd = show(&self.process.cwd);
                return Error::invalid(format!("Cannot mkdir: {cwd} is not a directory"));
            }
            Step::MaskedPath
                if matches!(Errno::from_raw_os_error(failure.errno), Errno::NOENT | Errno::NOTDIR | Errno::NXIO) =>
            {
                // What is not there is not the path: that would be no fault.
                return Error::invalid(format!(
                    "{}: the container has no null device at /dev/null: something else is mounted on /dev, or on the device",
                    self.name_of(failure)
                ));
            }
            Step::CwdOutside => return Error::denied("the working directory is outside of the container"),
            Step::ProcTarget => {
                return Error::invalid(format!("{}: the target is inside /proc", self.name_of(failure)));
            }
            Step::Mount | Step::MountTarget if self.mixes_kinds(failure) => {
                // The end is Docker's, letter for letter.
                return Error::invalid(format!(
                    "{}: not a directory: Are you trying to mount a directory onto a file (or vice-versa)? Check if the \
                     specified host path exists and is the expected type",
                    self.name_of(failure)
                ));
            }
            _ => {}
        }
        because(failure, self.name_of(failure))
    }

    /// A file was to be mounted on a folder, or the other way round.
    fn mixes_kinds(&self, failure: Failure) -> bool {
        let mount = self.new_world().and_then(|container| container.mounts.get(usize::from(failure.index)));
        mount.is_some_and(|mount| !matches!(mount.kind, Kind::Link(_)))
            && matches!(Errno::from_raw_os_error(failure.errno), Errno::NOTDIR | Errno::ISDIR)
    }

    fn name_of(&self, failure: Failure) -> String {
        let index = usize::from(failure.index);
        match (self.new_world(), failure.step) {
            (Some(container), step) if is_indexed(step) => container.name_of(step, index),
            (_, Step::Limit) => {
                let limit = self.process.limits.lowered.get(index);
                format!("set rlimit {}", limit.map(super::limits::Limit::name).unwrap_or_default())
            }
            // In runc's words.
            (_, Step::Cwd) => {
                format!("chdir to cwd ({:?}) set in config.json failed", show(&self.process.cwd))
            }
            (_, Step::User) => {
                // Only a user namespace has ids that mean nobody (user_namespaces(7)).
                let unknown = Errno::from_raw_os_error(failure.errno) == Errno::INVAL;
                let advice = if unknown { WITHOUT_IDS } else { "" };
                format!("become user {}:{}{advice}", self.process.uid.as_raw(), self.process.gid.as_raw())
            }
            (_, step) => phrase(step).to_owned(),
        }
    }
}

/// In the text and not beside it: clients of the API are told nothing but texts.
const WITHOUT_IDS: &str = ", whom this engine does not have (it runs without root; for all ids install newuidmap and \
                           newgidmap, give its user a range in /etc/subuid and /etc/subgid, and start it again)";

/// An error with the kernel's answer as its cause.
fn because(failure: Failure, message: String) -> Error {
    let cause = io::Error::from_raw_os_error(failure.errno);
    let class = match Class::from(cause.kind()) {
        // A thing of the container is missing or in the way; the container itself is not.
        Class::NotFound | Class::AlreadyExists => Class::InvalidArgument,
        class => class,
    };
    let error = Error::new(class, message).with_cause(cause);
    match hint(failure) {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

fn is_indexed(step: Step) -> bool {
    use Step as S;
    matches!(
        step,
        S::JoinNamespace
            | S::Rootfs
            | S::MountTarget
            | S::ProcTarget
            | S::Mount
            | S::CopyUp
            | S::Device
            | S::Sysctl
            | S::ReadonlyPath
            | S::MaskedPath
    )
}

impl Container {
    fn name_of(&self, step: Step, index: usize) -> String {
        let mount = || self.mounts.get(index).map(Mount::name).unwrap_or_default();
        let show = |path: Option<&CString>| path.map(|path| show(path)).unwrap_or_default();
        match step {
            Step::JoinNamespace => {
                let path = self.namespaces.joined().nth(index).map(|join| join.path.as_str());
                format!("enter namespace {}", shorten(path.unwrap_or_default()))
            }
            Step::Rootfs => format!("root file system {}", shorten(&self.root.shown)),
            Step::MountTarget => format!("make the mount point of {}", mount()),
            Step::ProcTarget | Step::Mount => mount(),
            Step::CopyUp => format!("copy the image's files into {}", mount()),
            Step::Device => {
                let devices = self.devices.as_deref().unwrap_or_default();
                format!("make device {}", show(devices.get(index).map(|device| &device.host_path)))
            }
            Step::Sysctl => format!("write sysctl {}", show(self.sysctls.get(index).map(|(path, _)| path))),
            Step::ReadonlyPath => format!("make {} read-only", show(self.readonly.get(index))),
            _ => format!("mask {}", show(self.masked.get(index))),
        }
    }
}

impl Mount {
    /// `mount tmpfs on /tmp`.
    fn name(&self) -> String {
        let target = show(&self.target);
        match &self.kind {
            Kind::New(fs) => format!("mount {} on {target}", show(&fs.name)),
            Kind::Bind { shown, .. } => format!("bind mount {} on {target}", shorten(shown)),
            Kind::Change => format!("remount {target}"),
            Kind::Link(_) => format!("link {target}"),
        }
    }
}

/// What a step does, where it is one thing only.
fn phrase(step: Step) -> &'static str {
    match step {
        Step::Line => "talk to the process that starts the container",
        Step::OomScore => "set oom_score_adj",
        Step::Cgroup => "join the cgroup",
        Step::BecomeRoot => "become root of the user namespace",
        Step::Enter => "enter the container's namespaces",
        Step::CgroupNamespace => "make a cgroup namespace",
        Step::TimeNamespace => "make a time namespace",
        Step::Successor => "make the container's first process",
        Step::Loopback => "bring up the loopback interface",
        Step::Hostname => "set the host name",
        Step::Domainname => "set the domain name",
        Step::Propagation => "cut the mounts off from the host's",
        Step::DeviceLink => "make the links in /dev",
        Step::MakeCwd => "make the working directory",
        Step::Pivot => "change the root",
        Step::Terminal => "open a terminal in /dev/pts",
        Step::Console => "bind the terminal at /dev/console",
        Step::ReadonlyRoot => "make the root file system read-only",
        Step::RootPropagation => "set the propagation of the root file system",
        Step::Stdio => "set up the standard streams",
        Step::Keyring => "make a session keyring",
        Step::Personality => "set the personality",
        Step::Scheduler => "set the scheduling policy",
        Step::IoPriority => "set the I/O priority",
        Step::Label => "set the security label",
        Step::Capabilities => "set the capabilities",
        Step::NoNewPrivileges => "set no_new_privs",
        Step::Seccomp => "load the seccomp filter",
        _ => "set up the container",
    }
}

fn hint(failure: Failure) -> Option<&'static str> {
    match (failure.step, Errno::from_raw_os_error(failure.errno)) {
        (Step::OomScore, Errno::ACCESS) => Some("lowering it takes CAP_SYS_RESOURCE"),
        (Step::Terminal, _) => Some("a terminal needs a devpts mounted at /dev/pts"),
        _ => None,
    }
}

fn show(path: &CStr) -> String {
    shorten(&path.to_string_lossy()).into_owned()
}

/// As much of it as an error shows.
fn shorten(text: &str) -> Cow<'_, str> {
    match text.floor_char_boundary(SHOWN) {
        end if end == text.len() => Cow::Borrowed(text),
        end => Cow::Owned(format!("{}…", &text[..end])),
    }
}

/// The kernel's word for an error number, without Rust's `(os error n)`, as users of Docker know it.
fn text(errno: i32) -> String {
    let full = io::Error::from_raw_os_error(errno).to_string();
    let text = full.split(" (os error").next().unwrap_or(&full);
    text.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(program: &str, step: Step) -> String {
        let process =
            Process { args: vec![program.to_owned()], env: vec!["PATH=/bin".to_owned()], ..Process::default() };
        let failure = Failure { step, index: 0, errno: Errno::NAMETOOLONG.raw_os_error() };
        Words::of(&process, None, None).unwrap().explain(failure).to_string()
    }

    #[test]
    fn a_script_that_was_taken_for_a_program_is_not_shown_whole() {
        let script = "echo \"ü\"\n".repeat(200_000);
        for program in [script.clone(), format!("/{script}")] {
            for step in [Step::Lookup, Step::Execute] {
                let text = error(&program, step);
                assert!(text.len() < 1000 && text.contains('…'), "{} bytes: {:.2000}", text.len(), text);
            }
        }
        assert_eq!(error("sh", Step::Lookup), "exec: \"sh\": executable file not found in $PATH");
        assert_eq!(error("sh", Step::Execute), "exec /bin/sh: file name too long");
    }

    #[test]
    fn what_is_shortened_ends_with_a_whole_character() {
        for before in 0..4 {
            let text = format!("{}{}", "x".repeat(before), "ü€😀".repeat(100));
            let shown = shorten(&text);
            let kept = shown.strip_suffix('…').unwrap();
            assert!(text.starts_with(kept) && (SHOWN - 3..=SHOWN).contains(&kept.len()), "{shown}");
        }
        let exact = "x".repeat(SHOWN);
        assert_eq!(shorten(&exact), exact);
    }
}
