//! How many file descriptors this process may have open (setrlimit(2)).
//!
//! The soft limit is 1,024 for the sake of programs that call select(2). One that does not may have as many as the hard
//! limit allows; its children, which may be such programs, get the limit back that it had.

use std::io;
use std::sync::OnceLock;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit, setrlimit};

/// The limit before it was raised.
static USUAL: OnceLock<Rlimit> = OnceLock::new();

/// Raises this process' soft limit to its hard limit; the first time only, because who changes it afterwards means it.
///
/// # Errors
/// None that the kernel is known to give for this.
pub fn raise_limit() -> io::Result<()> {
    let mut raised = Ok(());
    USUAL.get_or_init(|| {
        let usual = getrlimit(Resource::Nofile);
        raised = setrlimit(Resource::Nofile, Rlimit { current: usual.maximum, ..usual });
        usual
    });
    Ok(raised?)
}

/// The limit for what is started from here: the soft one is as it was before it was raised. `None`: it was not.
#[must_use]
pub fn usual_limit() -> Option<Rlimit> {
    let usual = USUAL.get()?;
    // Somebody may have changed the hard limit since, and not everybody may raise it.
    let maximum = getrlimit(Resource::Nofile).maximum;
    let within = |soft: u64| maximum.map_or(soft, |most| soft.min(most));
    Some(Rlimit { current: usual.current.map(within).or(maximum), maximum })
}

/// Gives a child the soft limit that this process had before it was raised.
///
/// # Errors
/// `ESRCH` when it has ended and was reaped.
pub fn restore_limit_of(child: Pid) -> io::Result<()> {
    usual_limit().map_or(Ok(()), |usual| prlimit(Some(child), Resource::Nofile, usual).map(drop))?;
    Ok(())
}

/// The same, in the child itself. Async-signal-safe.
///
/// # Errors
/// None that the kernel is known to give for this.
pub fn restore_limit() -> io::Result<()> {
    usual_limit().map_or(Ok(()), |usual| setrlimit(Resource::Nofile, usual))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_gets_the_limit_back_that_was_raised_here() {
        let before = getrlimit(Resource::Nofile);
        raise_limit().unwrap();
        assert_eq!(getrlimit(Resource::Nofile).current, before.maximum);
        let mut child = std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let pid = Pid::from_child(&child);
        restore_limit_of(pid).unwrap();
        let text = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
        let soft = text.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
        let soft = soft.split_whitespace().next().unwrap().parse::<u64>().ok();
        assert_eq!(soft, before.current);
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}
