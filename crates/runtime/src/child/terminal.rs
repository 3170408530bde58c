//! The pseudo-terminal, opened in the container's own devpts (CVE-2025-52565).

use std::os::fd::{AsFd, OwnedFd};

use dhow_sys::mount::{attach, clone_tree};
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, fstatfs, openat, openat2};
use rustix::io::Errno;
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};
use rustix::termios::{Winsize, tcsetwinsize};

use super::Line;
use crate::plan::{Container, Plan, Streams};
use crate::report::{At, Message, Outcome, Step, errno_of, send};

/// `DEVPTS_SUPER_MAGIC` of `linux/magic.h`.
const DEVPTS: u64 = 0x1cd1;

/// Opens a terminal if the container wants one, and puts it at /dev/console.
pub(super) fn open_for_container(plan: &Plan<'_>, container: &Container, line: &Line) -> Outcome {
    let Streams::Terminal(_) = &plan.streams else { return Ok(()) };
    let slave = open(plan, line)?;
    if container.devices.is_some() {
        console(&slave).at(Step::Console)?;
    }
    connect(&slave).at(Step::Stdio)
}

/// Opens a terminal for one more process.
pub(super) fn open_for_exec(plan: &Plan<'_>, line: &Line) -> Outcome {
    let Streams::Terminal(_) = &plan.streams else { return Ok(()) };
    let slave = open(plan, line)?;
    connect(&slave).at(Step::Stdio)
}

/// A new terminal: the master goes to the parent, the slave is returned. The slave is reached from the master and not by
/// a path, behind which something else could be.
fn open(plan: &Plan<'_>, line: &Line) -> Outcome<OwnedFd> {
    let master = master().at(Step::Terminal)?;
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let slave = ioctl_tiocgptpeer(&master, flags).at(Step::Terminal)?;
    if let Streams::Terminal(Some(size)) = &plan.streams {
        let size = Winsize { ws_row: size.height, ws_col: size.width, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&master, size).at(Step::Terminal)?;
    }
    send(line.as_fd(), Message::Terminal, Some(master.as_fd())).at(Step::Terminal)?;
    Ok(slave)
}

fn master() -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = openat2(CWD, c"/dev/pts", flags, Mode::empty(), resolve)?;
    if fstatfs(&directory)?.f_type as u64 != DEVPTS {
        return Err(Errno::NODEV);
    }
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let master = openat(&directory, c"ptmx", flags, Mode::empty())?;
    unlockpt(&master)?;
    Ok(master)
}

/// Binds the terminal over /dev/console, which must be a plain file or a device there, not a link to somewhere.
fn console(slave: &OwnedFd) -> Result<(), Errno> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dev = openat2(CWD, c"/dev", flags, Mode::empty(), resolve)?;
    let create = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::WRONLY | OFlags::CLOEXEC;
    match openat(&dev, c"console", create, Mode::from_raw_mode(0o600)) {
        Ok(_) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(errno),
    }
    let target = openat(&dev, c"console", OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    match FileType::from_raw_mode(fstat(&target)?.st_mode) {
        FileType::RegularFile | FileType::CharacterDevice => {}
        _ => return Err(Errno::LOOP),
    }
    attach(clone_tree(slave, false).map_err(errno_of)?, target).map_err(errno_of)
}

/// Makes the terminal all three streams and the controlling terminal of this session.
fn connect(slave: &OwnedFd) -> Result<(), Errno> {
    dup2_stdin(slave)?;
    dup2_stdout(slave)?;
    dup2_stderr(slave)?;
    rustix::process::ioctl_tiocsctty(slave)
}
