//! Running another program, from a process whose signals are blocked: the standard library lets a child inherit that.

use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::time::{Duration, Instant};

use dhow_sys::clone::{self, Fork, Request};
use dhow_sys::descriptors;
use dhow_sys::exec::{self, Vector};
use dhow_sys::process::ends_before;
use dhow_sys::signal::{self, Blocked};
use rustix::io::Errno;
use rustix::pipe::PipeFlags;
use rustix::process::{Pid, Signal, kill_process_group};
use rustix::thread::ThreadNameSpaceType;

/// A program and how it is run. Everything is prepared here, because a forked child may not allocate.
#[derive(Debug)]
pub(crate) struct Program {
    /// Where it may be: one path, or one in each directory of `$PATH`.
    candidates: Vec<CString>,
    arguments: Vector,
    environment: Vector,
}

/// What is particular about the new process.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Setting<'a> {
    /// Its standard streams; `None`: ours.
    pub(crate) streams: Option<[BorrowedFd<'a>; 3]>,
    /// Its working directory; `None`: ours.
    pub(crate) directory: Option<BorrowedFd<'a>>,
    /// It leads a process group of its own, the one in the foreground if there is a terminal.
    pub(crate) own_group: bool,
}

/// A process that was started.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    pub(crate) pidfd: OwnedFd,
}

impl Program {
    /// A program by its path, or by its name in the directories of `$PATH`, with our environment.
    ///
    /// # Errors
    /// `InvalidInput` for a string with a zero byte, and for no program at all.
    pub(crate) fn new(arguments: &[OsString]) -> io::Result<Self> {
        let name = arguments.first().ok_or(io::ErrorKind::InvalidInput)?;
        let environment = std::env::vars_os().map(|(name, value)| {
            let mut variable = name;
            variable.push("=");
            variable.push(value);
            c_string(&variable)
        });
        Ok(Self {
            candidates: candidates(name)?,
            arguments: Vector::new(arguments.iter().map(|argument| c_string(argument)).collect::<io::Result<_>>()?),
            environment: Vector::new(environment.collect::<io::Result<_>>()?),
        })
    }

    /// Starts it; returns when it is executed.
    ///
    /// # Errors
    /// Why it could not be: what execve(2) says about the last candidate that was there.
    pub(crate) fn start(&self, setting: Setting<'_>) -> io::Result<Process> {
        let (report, writer) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
        let blocked = Blocked::all();
        let request = Request { namespaces: ThreadNameSpaceType::empty(), cgroup: None, sibling: false };
        match clone::fork(&request)? {
            Fork::Child => self.become_it(setting, writer.as_fd()),
            Fork::Parent { pid, pidfd } => {
                drop((blocked, writer));
                let process = Process { pid, pidfd };
                match read_report(&report) {
                    None => Ok(process),
                    Some(error) => {
                        // It ends by itself; only its entry is to be removed.
                        let _ = process.wait();
                        Err(error)
                    }
                }
            }
        }
    }

    /// In the child: async-signal-safe calls only.
    fn become_it(&self, setting: Setting<'_>, report: BorrowedFd<'_>) -> ! {
        let errno = match prepare(setting) {
            Ok(()) => self.execute(),
            Err(errno) => errno,
        };
        let _ = rustix::io::write(report, &errno.raw_os_error().to_ne_bytes());
        exec::exit(127)
    }

    /// Tries every candidate, as execvp(3) does: one that may not be executed is remembered, one that is not there is
    /// passed over.
    fn execute(&self) -> Errno {
        signal::reset();
        let mut worst = Errno::NOENT;
        for candidate in &self.candidates {
            let error = exec::execve(candidate, &self.arguments, &self.environment);
            match Errno::from_io_error(&error).unwrap_or(Errno::IO) {
                Errno::NOENT | Errno::NOTDIR => {}
                Errno::ACCESS => worst = Errno::ACCESS,
                errno => return errno,
            }
        }
        worst
    }
}

fn prepare(setting: Setting<'_>) -> Result<(), Errno> {
    // What a shim takes for itself is not for a runtime and its containers.
    descriptors::restore_limit().map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    if let Some(directory) = setting.directory {
        rustix::process::fchdir(directory)?;
    }
    if let Some([stdin, stdout, stderr]) = setting.streams {
        rustix::stdio::dup2_stdin(stdin)?;
        rustix::stdio::dup2_stdout(stdout)?;
        rustix::stdio::dup2_stderr(stderr)?;
    }
    if setting.own_group {
        rustix::process::setpgid(None, None)?;
        // Without a terminal there is no foreground. The signal for asking from the background is blocked here.
        let _ = rustix::termios::tcsetpgrp(rustix::stdio::stdin(), rustix::process::getpid());
    }
    Ok(())
}

fn read_report(report: &OwnedFd) -> Option<io::Error> {
    let mut number = [0; 4];
    match rustix::io::retry_on_intr(|| rustix::io::read(report, &mut number)) {
        Ok(4) => Some(io::Error::from_raw_os_error(i32::from_ne_bytes(number))),
        Ok(_) => None,
        Err(errno) => Some(errno.into()),
    }
}

fn candidates(name: &OsStr) -> io::Result<Vec<CString>> {
    if name.as_bytes().contains(&b'/') {
        return Ok(vec![c_string(name)?]);
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| OsString::from("/usr/local/bin:/usr/bin:/bin"));
    std::env::split_paths(&path).map(|directory| c_string(Path::new(&directory).join(name).as_os_str())).collect()
}

fn c_string(text: &OsStr) -> io::Result<CString> {
    CString::new(text.to_owned().into_vec()).map_err(|_| io::ErrorKind::InvalidInput.into())
}

impl Process {
    /// Waits for the end and gives the exit code, as [`wait`](Self::wait) does; of a process that takes longer than that,
    /// which leads a group of its own, the whole group is killed. `None`: so it was.
    pub(crate) fn wait_at_most(&self, patience: Duration) -> io::Result<Option<i32>> {
        if ends_before(&self.pidfd, Instant::now() + patience) {
            return self.wait().map(Some);
        }
        // It is not reaped, so both numbers are still its own.
        let _ = Pid::from_raw(self.pid).map(|group| kill_process_group(group, Signal::KILL));
        self.wait().map(|_| None)
    }

    /// Waits for the end and gives the exit code, 128 + n for the end by signal n.
    pub(crate) fn wait(&self) -> io::Result<i32> {
        use rustix::process::{WaitId, WaitIdOptions, waitid};
        let status = rustix::io::retry_on_intr(|| waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED))?;
        let status = status.ok_or(io::ErrorKind::NotFound)?;
        Ok(status.exit_status().or(status.terminating_signal().map(|signal| 128 + signal)).unwrap_or(255))
    }
}

#[cfg(test)]
mod tests {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    use super::*;

    fn run(arguments: &[&str]) -> io::Result<i32> {
        let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        Program::new(&arguments)?.start(Setting::default())?.wait()
    }

    #[test]
    fn codes_and_signals_are_told() {
        assert_eq!(run(&["sh", "-c", "exit 3"]).unwrap(), 3);
        assert_eq!(run(&["/bin/sh", "-c", "kill -9 $$"]).unwrap(), 137);
    }

    #[test]
    fn what_takes_too_long_is_ended_with_what_it_has_started() {
        let line: Vec<OsString> = ["sh", "-c", "sleep 1000 & exec sleep 1000"].map(OsString::from).into();
        let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).unwrap();
        let streams = [read.as_fd(), write.as_fd(), write.as_fd()];
        let setting = Setting { streams: Some(streams), directory: None, own_group: true };
        let process = Program::new(&line).unwrap().start(setting).unwrap();
        drop(write);
        assert_eq!(process.wait_at_most(Duration::from_millis(100)).unwrap(), None);
        // The end of the file comes when nobody has it open any more.
        assert_eq!(rustix::io::read(&read, &mut [0; 1]), Ok(0));
        let process = Program::new(&line[..2].iter().cloned().chain(["exit 3".into()]).collect::<Vec<_>>()).unwrap();
        let process = process.start(Setting::default()).unwrap();
        assert_eq!(process.wait_at_most(Duration::from_secs(100)).unwrap(), Some(3));
    }

    #[test]
    fn what_is_run_has_the_limit_of_open_files_that_was_set() {
        let hard = getrlimit(Resource::Nofile).maximum;
        setrlimit(Resource::Nofile, Rlimit { current: Some(333), maximum: hard }).unwrap();
        descriptors::raise_limit().unwrap();
        assert_eq!(getrlimit(Resource::Nofile).current, hard);
        assert_eq!(run(&["sh", "-c", "test $(ulimit -Sn) = 333"]).unwrap(), 0);
    }

    #[test]
    fn what_cannot_be_run_is_an_error_of_its_own() {
        assert_eq!(run(&["nosuch-program"]).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(run(&["/etc/passwd"]).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(run(&[]).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
