//! Hooks that run in the runtime's own namespaces: `prestart`, `createRuntime`, `poststart`, `poststop`.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_oci::runtime::{Hook, State};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, OFlags, fcntl_getfl, fcntl_setfl, memfd_create};
use rustix::io::retry_on_intr;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// Bytes of a hook's standard error that are kept for the message; what is behind is read and thrown away.
pub(crate) const SAID: usize = 16 * 1024;

/// Runs hooks in order, each with the state on its standard input; stops at the first that fails.
///
/// # Errors
/// The hook that failed, with what it wrote to standard error; `DeadlineExceeded` when it took longer than its timeout.
pub fn run_all(kind: &str, hooks: &[Hook], state: &State) -> Result<()> {
    hooks.iter().try_for_each(|hook| run(kind, hook, state))
}

/// Runs the hooks `poststop`, each whatever became of those before it, and gives what went wrong: that is a warning (runtime
/// specification, "Lifecycle"). With `patience` that is what all of them may take together.
#[must_use]
pub fn run_last(hooks: &[Hook], state: &State, patience: Option<Duration>) -> Vec<Error> {
    let end = patience.map(|patience| Instant::now() + patience);
    hooks.iter().filter_map(|hook| run_until(hook, state, end).err()).collect()
}

fn run_until(hook: &Hook, state: &State, end: Option<Instant>) -> Result<()> {
    let Some(end) = end else { return run("poststop", hook, state) };
    let left = end.saturating_duration_since(Instant::now());
    if left.is_zero() {
        let text = format!("hook poststop {}: those before it took all the time there is", hook.path.display());
        return Err(Error::deadline(text));
    }
    let left = i64::try_from(left.as_millis().div_ceil(1000)).unwrap_or(i64::MAX);
    let hook = Hook { timeout: Some(hook.timeout.map_or(left, |own| own.min(left))), ..hook.clone() };
    run("poststop", &hook, state)
}

fn run(kind: &str, hook: &Hook, state: &State) -> Result<()> {
    let name = || format!("hook {kind} {}", hook.path.display());
    let mut command = Command::new(&hook.path);
    if let Some((first, rest)) = hook.args.split_first() {
        command.arg0(first).args(rest);
    }
    command.env_clear().envs(hook.env.iter().filter_map(|variable| variable.split_once('=')));
    command.stdin(input(state).context(name)?).stdout(Stdio::null()).stderr(Stdio::piped());
    dhow_sys::process::leave_nothing_to(&mut command);
    let mut child = command.spawn().context(name)?;
    let said = listen(&mut child, hook.timeout);
    if said.is_err() {
        // It is our child and not reaped: the signal cannot reach anybody else.
        let _ = child.kill();
    }
    let status = child.wait().context(name)?;
    let said = said.context(name)?;
    if status.success() {
        return Ok(());
    }
    Err(Error::internal(format!("{}: {status}: {}", name(), String::from_utf8_lossy(&said).trim())))
}

/// The state as a file: a pipe would have to be fed while the hook runs, and a hook need not read it.
fn input(state: &State) -> io::Result<File> {
    let mut file = File::from(memfd_create(c"state", MemfdFlags::CLOEXEC)?);
    serde_json::to_writer(&mut file, state)?;
    file.flush()?;
    file.rewind()?;
    Ok(file)
}

/// Waits for the end of the hook itself, at most so many seconds, and gives what it said until then. Who of its children
/// keeps its standard error is not waited for.
fn listen(child: &mut Child, timeout: Option<i64>) -> Result<Vec<u8>> {
    let failed = || "watch it";
    let pidfd = open(child).context(failed)?;
    let end = timeout.and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs);
    let end = end.and_then(|limit| Instant::now().checked_add(limit));
    let mut pipe = child.stderr.take();
    if let Some(pipe) = &pipe {
        let flags = fcntl_getfl(pipe).map_err(io::Error::from).context(failed)?;
        fcntl_setfl(pipe, flags | OFlags::NONBLOCK).map_err(io::Error::from).context(failed)?;
    }
    let mut said = Vec::new();
    loop {
        let ended = wait(&pidfd, pipe.as_ref(), end).context(failed)?;
        // After the end too: its last words may have come after the pipe was looked at.
        if !drain(&mut pipe, &mut said).context(failed)? {
            pipe = None;
        }
        match ended {
            Some(true) => return Ok(said),
            // One that says something all the time is not given more time for it.
            Some(false) if end.is_none_or(|end| Instant::now() < end) => {}
            _ => return Err(Error::deadline(format!("took longer than {} s", timeout.unwrap_or_default()))),
        }
    }
}

/// Waits until the process has ended or has said something. `Some(true)`: it has ended; `None`: it is too late.
fn wait(pidfd: &OwnedFd, pipe: Option<&ChildStderr>, end: Option<Instant>) -> io::Result<Option<bool>> {
    let left = end.map(|end| end.saturating_duration_since(Instant::now()));
    let left = left.and_then(|left| Timespec::try_from(left).ok());
    let mut ends = vec![PollFd::new(pidfd, PollFlags::IN)];
    ends.extend(pipe.map(|pipe| PollFd::new(pipe, PollFlags::IN)));
    let ready = retry_on_intr(|| poll(&mut ends, left.as_ref()))?;
    Ok((ready > 0).then(|| !ends[0].revents().is_empty()))
}

/// Reads what is there. `false`: nothing more will come.
fn drain(pipe: &mut Option<ChildStderr>, said: &mut Vec<u8>) -> io::Result<bool> {
    let Some(pipe) = pipe else { return Ok(false) };
    let mut room = [0; 4096];
    // So much at a time that one who never stops talking does not keep us from the clock.
    for _ in 0..16 {
        match pipe.read(&mut room) {
            Ok(0) => return Ok(false),
            Ok(read) => said.extend_from_slice(&room[..read.min(SAID.saturating_sub(said.len()))]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

fn open(child: &Child) -> io::Result<OwnedFd> {
    let pid = Pid::from_raw(child.id() as i32).ok_or(rustix::io::Errno::SRCH)?;
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, timeout: Option<i64>) -> Result<()> {
        let args = ["sh", "-c", script].map(str::to_owned).to_vec();
        let env = vec!["PATH=/usr/bin:/bin".to_owned()];
        run_all("poststart", &[Hook { path: "/bin/sh".into(), args, env, timeout }], &State::default())
    }

    #[test]
    fn a_child_that_keeps_standard_error_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        // The child lives until this test opens the other end, which it does only after the hook.
        let background = format!("mkfifo {0}; (read line <{0}) & exit", fifo.display());
        shell(&format!("{background} 0"), None).unwrap();
        File::options().write(true).open(&fifo).unwrap();
        std::fs::remove_file(&fifo).unwrap();
        let error = shell(&format!("echo reason >&2; {background} 3"), Some(1000)).unwrap_err();
        File::options().write(true).open(&fifo).unwrap();
        assert!(error.to_string().ends_with("exit status: 3: reason"), "{error}");
    }

    #[test]
    fn a_hook_heeds_all_signals() {
        let _blocked = dhow_sys::signal::Blocked::all();
        // Not by a shell, which unblocks them itself.
        let args = ["grep", "-q", "SigBlk:.0000000000000000", "/proc/self/status"].map(str::to_owned).to_vec();
        let hook = Hook { path: "/bin/grep".into(), args, ..Hook::default() };
        run_all("poststart", &[hook], &State::default()).unwrap();
    }

    #[test]
    fn each_of_the_last_runs_and_all_have_one_deadline() {
        let hook = |script: &str| Hook {
            path: "/bin/sh".into(),
            args: ["sh", "-c", script].map(str::to_owned).into(),
            ..Hook::default()
        };
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("mark");
        let run = |hooks: [Hook; 2], patience: Duration| -> Vec<String> {
            run_last(&hooks, &State::default(), Some(patience)).iter().map(Error::to_string).collect()
        };
        let hooks = [hook("echo why >&2; exit 3"), hook(&format!("touch {}", mark.display()))];
        let failed = run(hooks, Duration::from_secs(5));
        assert!(failed.len() == 1 && failed[0].ends_with("exit status: 3: why"), "{failed:?}");
        assert!(mark.exists());
        let failed = run([hook("exec sleep 1000"), hook("exec sleep 1001")], Duration::from_millis(500));
        let ends = ["took longer than 1 s", "those before it took all the time there is"];
        assert!(failed.len() == 2 && failed.iter().zip(ends).all(|(text, end)| text.ends_with(end)), "{failed:?}");
    }

    #[test]
    fn one_that_says_more_than_a_pipe_holds_comes_to_its_end() {
        let error = shell("head -c 300000 /dev/zero | tr '\\0' x >&2; exit 4", None).unwrap_err();
        assert!(error.to_string().contains("exit status: 4: xxx"), "{error}");
        assert!(error.to_string().len() < 2 * SAID);
    }

    #[test]
    fn one_that_talks_for_ever_is_ended_in_time() {
        let error = shell("while :; do echo x >&2; done", Some(1)).unwrap_err();
        assert_eq!(error.class(), dhow_errdefs::Class::DeadlineExceeded, "{error}");
    }

    #[test]
    fn the_state_may_be_larger_than_a_pipe() {
        let annotations = [("a".to_owned(), "x".repeat(200_000))].into();
        let state = State { annotations, ..Default::default() };
        let hook = Hook { path: "/bin/true".into(), ..Default::default() };
        run_all("poststart", &[hook], &state).unwrap();
    }
}
