//! The hooks that run inside the container's namespaces, prepared for a child that may not allocate.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_oci::runtime::{ContainerStatus, Hook, State};
use dhow_sys::descriptors;
use dhow_sys::exec::Vector;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use rustix::io::pread;
use rustix::process::Rlimit;

use super::cstring;
use crate::create::Create;
use crate::hooks::SAID;

/// A program and how long it may take.
#[derive(Debug)]
pub(crate) struct ChildHook {
    pub(crate) path: CString,
    pub(crate) arguments: Vector,
    pub(crate) environment: Vector,
    /// Seconds; `None`: no limit.
    pub(crate) timeout: Option<i64>,
    /// Its limit of open files, where it is not that of the process that starts it.
    pub(crate) open_files: Option<Rlimit>,
}

/// The container's state as JSON in two halves, with the process id between them, which only the child knows.
#[derive(Debug, Default)]
pub(crate) struct StateText {
    pub(crate) before: Vec<u8>,
    pub(crate) after: Vec<u8>,
}

/// What the hooks of the child write to standard error: a file in memory that cannot grow, because nobody reads it while
/// they run.
#[derive(Debug, Clone)]
pub(crate) struct Said(Arc<OwnedFd>);

/// The hooks of the child.
#[derive(Debug)]
pub(crate) struct Hooks {
    pub(crate) create_container: Vec<ChildHook>,
    pub(crate) start_container: Vec<ChildHook>,
    /// The state that `createContainer` hooks read.
    pub(crate) creating: StateText,
    /// The state that `startContainer` hooks read.
    pub(crate) created: StateText,
    /// `None`: the child has no hooks.
    pub(crate) said: Option<Said>,
    /// The parent has hooks to run once the namespaces are there.
    pub(crate) parent_waits: bool,
}

impl Hooks {
    pub(crate) fn plan(request: &Create<'_>) -> Result<Self> {
        let hooks = request.spec.hooks.clone().unwrap_or_default();
        for hook in hooks.prestart.iter().chain(&hooks.create_runtime).chain(&hooks.poststart).chain(&hooks.poststop) {
            check(hook)?;
        }
        let any = !hooks.create_container.is_empty() || !hooks.start_container.is_empty();
        let text = |status| if any { StateText::of(&state(request, status, None)) } else { Ok(StateText::default()) };
        Ok(Self {
            create_container: plan_all(&hooks.create_container, descriptors::usual_limit())?,
            // The process that starts these has taken on the container's own.
            start_container: plan_all(&hooks.start_container, None)?,
            creating: text(ContainerStatus::Creating)?,
            created: text(ContainerStatus::Created)?,
            said: any.then(Said::new).transpose().context(|| "make a file for what hooks say")?,
            parent_waits: !hooks.prestart.is_empty() || !hooks.create_runtime.is_empty(),
        })
    }
}

/// The container's state for hooks.
pub(crate) fn state(request: &Create<'_>, status: ContainerStatus, pid: Option<i32>) -> State {
    State {
        oci_version: request.spec.oci_version.clone(),
        id: request.id.to_owned(),
        status,
        pid,
        bundle: request.bundle.to_path_buf(),
        annotations: request.spec.annotations.clone(),
    }
}

impl StateText {
    fn of(state: &State) -> Result<Self> {
        // A number no process has (pid_max is at most 2^22) marks the place.
        const MARK: i32 = 1_999_999_999;
        let failed = |error: serde_json::Error| Error::internal("state for hooks").with_cause(error);
        let text = serde_json::to_string(&State { pid: Some(MARK), ..state.clone() }).map_err(failed)?;
        let mark = format!("\"pid\":{MARK}");
        let (before, after) = text.split_once(&mark).ok_or_else(|| Error::internal("state for hooks has no pid"))?;
        Ok(Self { before: format!("{before}\"pid\":").into_bytes(), after: after.as_bytes().to_vec() })
    }
}

impl Said {
    /// Bytes; a hook that writes more is told that there is no more room.
    const ROOM: u64 = 64 << 10;

    fn new() -> io::Result<Self> {
        let file = memfd_create(c"said", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        ftruncate(&file, Self::ROOM)?;
        fcntl_add_seals(&file, SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?;
        Ok(Self(Arc::new(file)))
    }

    /// All of it up to now, without white space around.
    pub(crate) fn text(&self) -> String {
        let mut room = vec![0; SAID];
        let read = pread(&*self.0, &mut room, 0).unwrap_or(0);
        let said = room[..read].split(|byte| *byte == 0).next().unwrap_or_default();
        String::from_utf8_lossy(said).trim().to_owned()
    }
}

impl AsFd for Said {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A hook's path must be absolute and its timeout positive (runtime-spec, "POSIX-platform Hooks").
fn check(hook: &Hook) -> Result<()> {
    if !Path::new(&hook.path).is_absolute() {
        return Err(Error::invalid(format!("hook {}: the path is not absolute", hook.path.display())));
    }
    if hook.timeout.is_some_and(|seconds| seconds <= 0) {
        return Err(Error::invalid(format!("hook {}: the timeout is not positive", hook.path.display())));
    }
    Ok(())
}

fn plan_all(hooks: &[Hook], open_files: Option<Rlimit>) -> Result<Vec<ChildHook>> {
    hooks.iter().map(|hook| ChildHook::plan(hook, open_files)).collect()
}

impl ChildHook {
    fn plan(hook: &Hook, open_files: Option<Rlimit>) -> Result<Self> {
        check(hook)?;
        let path = cstring(hook.path.as_os_str())?;
        let mut arguments = hook.args.iter().map(cstring).collect::<Result<Vec<_>>>()?;
        if arguments.is_empty() {
            arguments.push(path.clone());
        }
        Ok(Self {
            path,
            arguments: Vector::new(arguments),
            environment: Vector::new(hook.env.iter().map(cstring).collect::<Result<_>>()?),
            timeout: hook.timeout,
            open_files,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_is_whole_again_with_a_pid_between_its_halves() {
        let state = State { id: "x".into(), bundle: "/b".into(), ..Default::default() };
        let text = StateText::of(&state).unwrap();
        let whole = [text.before.as_slice(), b"42", &text.after].concat();
        let read: State = serde_json::from_slice(&whole).unwrap();
        assert_eq!((read.id.as_str(), read.pid), ("x", Some(42)));
    }

    #[test]
    fn a_hook_needs_an_absolute_path_and_a_positive_timeout() {
        assert!(check(&Hook { path: "x".into(), ..Default::default() }).is_err());
        assert!(check(&Hook { path: "/x".into(), timeout: Some(0), ..Default::default() }).is_err());
        assert!(check(&Hook { path: "/x".into(), timeout: Some(1), ..Default::default() }).is_ok());
    }
}
