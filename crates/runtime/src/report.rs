//! What the child tells its parent: records of eight bytes over a socket, so that it needs to allocate nothing.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;

/// The steps of the child that can fail, in about the order in which they are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Step {
    /// Reading from or writing to the parent.
    Line,
    /// The OOM killer's score.
    OomScore,
    /// Joining the cgroup.
    Cgroup,
    /// Entering namespace number `index` of the plan.
    JoinNamespace,
    /// Entering a running container.
    Enter,
    /// Making the container's process from inside joined namespaces.
    Successor,
    /// Becoming root of the user namespace.
    BecomeRoot,
    /// A cgroup namespace of its own.
    CgroupNamespace,
    /// A time namespace and its offsets.
    TimeNamespace,
    /// The loopback interface.
    Loopback,
    /// Host name.
    Hostname,
    /// Domain name.
    Domainname,
    /// Cutting the mount namespace off from the host's.
    Propagation,
    /// Attaching the root file system.
    Rootfs,
    /// Opening or making the target of mount `index`.
    MountTarget,
    /// The target of mount `index` turned out to be on procfs.
    ProcTarget,
    /// Mount `index`.
    Mount,
    /// Copying the image's files into tmpfs `index`.
    CopyUp,
    /// Device `index`.
    Device,
    /// Symbolic link `index` in /dev.
    DeviceLink,
    /// The working directory's creation.
    MakeCwd,
    /// Hook `index` of createContainer.
    CreateContainerHook,
    /// pivot_root.
    Pivot,
    /// Sysctl `index`.
    Sysctl,
    /// The terminal.
    Terminal,
    /// /dev/console.
    Console,
    /// Read-only path `index`.
    ReadonlyPath,
    /// Masked path `index`.
    MaskedPath,
    /// Making the root read-only.
    ReadonlyRoot,
    /// Propagation of the root.
    RootPropagation,
    /// Lowering resource limit `index`.
    Limit,
    /// Standard streams.
    Stdio,
    /// Session keyring.
    Keyring,
    /// Personality.
    Personality,
    /// Scheduler.
    Scheduler,
    /// I/O priority.
    IoPriority,
    /// Security label (AppArmor or SELinux).
    Label,
    /// Capabilities.
    Capabilities,
    /// User and groups.
    User,
    /// no_new_privs.
    NoNewPrivileges,
    /// Working directory.
    Cwd,
    /// The working directory is outside of the container.
    CwdOutside,
    /// Looking the program up.
    Lookup,
    /// Hook `index` of startContainer.
    StartContainerHook,
    /// Loading the seccomp filter.
    Seccomp,
    /// Executing the program (candidate `index`).
    Execute,
}

impl Step {
    const LAST: u8 = Self::Execute as u8;

    fn from_byte(byte: u8) -> Self {
        if byte > Self::LAST {
            return Self::Line;
        }
        // The variants are numbered from 0 without gaps, so a search by value finds every valid byte.
        ALL[usize::from(byte)]
    }
}

/// Every step, by its number.
const ALL: [Step; Step::LAST as usize + 1] = {
    use Step::*;
    [
        Line,
        OomScore,
        Cgroup,
        JoinNamespace,
        Enter,
        Successor,
        BecomeRoot,
        CgroupNamespace,
        TimeNamespace,
        Loopback,
        Hostname,
        Domainname,
        Propagation,
        Rootfs,
        MountTarget,
        ProcTarget,
        Mount,
        CopyUp,
        Device,
        DeviceLink,
        MakeCwd,
        CreateContainerHook,
        Pivot,
        Sysctl,
        Terminal,
        Console,
        ReadonlyPath,
        MaskedPath,
        ReadonlyRoot,
        RootPropagation,
        Limit,
        Stdio,
        Keyring,
        Personality,
        Scheduler,
        IoPriority,
        Label,
        Capabilities,
        User,
        NoNewPrivileges,
        Cwd,
        CwdOutside,
        Lookup,
        StartContainerHook,
        Seccomp,
        Execute,
    ]
};

/// A step that failed, on which of its things, and the kernel's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) step: Step,
    pub(crate) index: u16,
    pub(crate) errno: i32,
}

/// The result of a step in the child.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

/// Names the step that a system call belongs to.
pub(crate) trait At<T> {
    /// The step as a whole.
    fn at(self, step: Step) -> Outcome<T>;
    /// The step's thing number `index`.
    fn at_index(self, step: Step, index: usize) -> Outcome<T>;
}

impl<T, E: Into<Number>> At<T> for Result<T, E> {
    fn at(self, step: Step) -> Outcome<T> {
        self.at_index(step, 0)
    }

    fn at_index(self, step: Step, index: usize) -> Outcome<T> {
        self.map_err(|error| Failure { step, index: index as u16, errno: error.into().0 })
    }
}

/// An error number from either of the two error types in use.
pub(crate) struct Number(i32);

impl From<Errno> for Number {
    fn from(errno: Errno) -> Self {
        Self(errno.raw_os_error())
    }
}

impl From<io::Error> for Number {
    fn from(error: io::Error) -> Self {
        Self(error.raw_os_error().unwrap_or(Errno::IO.raw_os_error()))
    }
}

/// What the child says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Message {
    /// It gave up.
    Failed(Failure),
    /// Its namespaces are there: the hooks that run outside may run.
    Namespaces,
    /// The terminal's master comes with this.
    Terminal,
    /// The seccomp listener comes with this.
    Listener,
    /// Everything is done but the execution.
    Ready,
    /// The child made the container's process from inside a user namespace it joined, and leaves the rest to it: its
    /// process id; its pidfd comes with this.
    Successor(i32),
}

impl Message {
    fn encode(self) -> [u8; 8] {
        let (kind, failure) = match self {
            Self::Failed(failure) => (0, failure),
            Self::Namespaces => (1, NONE),
            Self::Terminal => (2, NONE),
            Self::Listener => (3, NONE),
            Self::Ready => (4, NONE),
            Self::Successor(pid) => (5, Failure { errno: pid, ..NONE }),
        };
        let [i0, i1] = failure.index.to_le_bytes();
        let [e0, e1, e2, e3] = failure.errno.to_le_bytes();
        [kind, failure.step as u8, i0, i1, e0, e1, e2, e3]
    }

    fn decode([kind, step, i0, i1, e0, e1, e2, e3]: [u8; 8]) -> Self {
        match kind {
            1 => Self::Namespaces,
            2 => Self::Terminal,
            3 => Self::Listener,
            4 => Self::Ready,
            5 => Self::Successor(i32::from_le_bytes([e0, e1, e2, e3])),
            _ => Self::Failed(Failure {
                step: Step::from_byte(step),
                index: u16::from_le_bytes([i0, i1]),
                errno: i32::from_le_bytes([e0, e1, e2, e3]),
            }),
        }
    }
}

const NONE: Failure = Failure { step: Step::Line, index: 0, errno: 0 };

/// Sends a message, with a descriptor where it carries one. Async-signal-safe.
pub(crate) fn send(line: BorrowedFd<'_>, message: Message, fd: Option<BorrowedFd<'_>>) -> io::Result<()> {
    match fd {
        None => dhow_sys::fdpass::send(line, &message.encode(), &[])?,
        Some(fd) => dhow_sys::fdpass::send(line, &message.encode(), &[fd])?,
    };
    Ok(())
}

/// Receives the next message and its descriptor; `None` when the other end is closed. For the parent: it allocates.
pub(crate) fn receive(line: impl AsFd) -> io::Result<Option<(Message, Option<OwnedFd>)>> {
    let mut buffer = [0; 8];
    let mut fds = Vec::new();
    match dhow_sys::fdpass::receive(line, &mut buffer, &mut fds) {
        Ok(8) => Ok(Some((Message::decode(buffer), fds.pop()))),
        // A reset is how the end looks when the child died with our word unread.
        Err(error) if error.kind() != io::ErrorKind::ConnectionReset => Err(error),
        _ => Ok(None),
    }
}

/// The parent's word: go on.
pub(crate) fn go(line: impl AsFd) -> io::Result<()> {
    dhow_sys::fdpass::send(line, &[1], &[]).map(|_| ())
}

/// Waits for the parent's word; `EPIPE` when the parent is gone. Async-signal-safe.
pub(crate) fn wait_for_go(line: BorrowedFd<'_>) -> Result<(), Errno> {
    let mut byte = [0];
    loop {
        match rustix::io::read(line, &mut byte) {
            Ok(1) => return Ok(()),
            Ok(_) => return Err(Errno::PIPE),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// The number in an error that the kernel gave.
pub(crate) fn errno_of(error: io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_and_message_survives_the_wire() {
        for (number, step) in ALL.into_iter().enumerate() {
            assert_eq!(step as usize, number);
            let message = Message::Failed(Failure { step, index: 513, errno: -1 });
            assert_eq!(Message::decode(message.encode()), message);
        }
        for message in
            [Message::Namespaces, Message::Terminal, Message::Listener, Message::Ready, Message::Successor(77)]
        {
            assert_eq!(Message::decode(message.encode()), message);
        }
    }

    #[test]
    fn an_unknown_step_is_not_a_crash() {
        let Message::Failed(failure) = Message::decode([0, 255, 0, 0, 2, 0, 0, 0]) else { panic!() };
        assert_eq!((failure.step, failure.errno), (Step::Line, 2));
    }
}
