//! Hooks that run in the runtime's own namespaces: `prestart`, `createRuntime`, `poststart`, `poststop`.

use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_oci::runtime::{Hook, State};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// Runs hooks in order, each with the state on its standard input; stops at the first that fails.
///
/// # Errors
/// The hook that failed, with what it wrote to standard error; `DeadlineExceeded` when it took longer than its timeout.
pub fn run_all(kind: &str, hooks: &[Hook], state: &State) -> Result<()> {
    hooks.iter().try_for_each(|hook| run(kind, hook, state))
}

fn run(kind: &str, hook: &Hook, state: &State) -> Result<()> {
    let name = || format!("hook {kind} {}", hook.path.display());
    let text = serde_json::to_vec(state).map_err(|error| Error::internal(name()).with_cause(error))?;
    let mut command = Command::new(&hook.path);
    if let Some((first, rest)) = hook.args.split_first() {
        command.arg0(first).args(rest);
    }
    command.env_clear().envs(hook.env.iter().filter_map(|variable| variable.split_once('=')));
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().context(name)?;
    if let Some(mut input) = child.stdin.take() {
        // A hook need not read it.
        let _ = input.write_all(&text);
    }
    wait(&mut child, hook.timeout).context(name)?;
    let output = child.wait_with_output().context(name)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Error::internal(format!("{}: {}: {}", name(), output.status, said.trim())))
}

/// Waits for the end, at most so many seconds. A hook that fills its pipe for errors is waited for by its end too, which
/// the pipe's 64 KiB allow.
fn wait(child: &mut Child, timeout: Option<i64>) -> Result<()> {
    let Some(seconds) = timeout else { return Ok(()) };
    let pidfd = open(child).context(|| "watch it")?;
    let limit = Timespec { tv_sec: seconds, tv_nsec: 0 };
    let ready = poll(&mut [PollFd::new(&pidfd.as_fd(), PollFlags::IN)], Some(&limit));
    if ready.map_err(std::io::Error::from).context(|| "watch it")? > 0 {
        return Ok(());
    }
    // It is our child and not reaped: the signal cannot reach anybody else.
    let _ = child.kill();
    let _ = child.wait();
    Err(Error::deadline(format!("took longer than {seconds} s")))
}

fn open(child: &Child) -> std::io::Result<OwnedFd> {
    let pid = Pid::from_raw(child.id() as i32).ok_or(rustix::io::Errno::SRCH)?;
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}
