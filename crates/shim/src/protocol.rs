//! The messages between the engine and a shim.
//!
//! A connection is a unix stream socket: the one the shim was born with, or one to `<run_dir>/shim.sock`. Both sides
//! send frames: a length of four bytes (little-endian, without itself), then that many bytes of JSON. Descriptors travel
//! with the first byte of the frame they belong to. The engine sends [`Request`]s, numbered by it; the shim sends
//! [`Message`]s: one [`Response`](Message::Response) per request, in any order, and events to who subscribed.
//!
//! The life of a shim as its engine sees it:
//!
//! ```text
//! engine                                   shim
//!   Foresee (where one is likely)       →         makes ahead what takes long
//!   Attach + socket (before the start)  →         any number, answered when they end
//!   Launch                              →         makes and starts the container
//!                                       ←  Started, or the error of the launch and the end
//!   Exec, Kill, Resize …                →
//!                                       ←  ExecStarted, ExecExited, Oom
//!                                       ←  Exited (exit.json is written before), Warning
//!                                       ←  Gone: cgroup, mounts and run_dir are undone
//!                                       ←  answers to the attachments that were still busy, end of the connection
//! ```
//!
//! Who launched is subscribed. An engine that finds a shim connects and sends [`Op::Subscribe`]: the answer is the
//! present [`State`], and everything after it comes as events, so nothing is missed and nothing told twice.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use dhow_errdefs::{Class, Error};
use dhow_logs::{Losses, Timestamp};
use dhow_oci::runtime::{LinuxResources, Process, Spec};
use serde::{Deserialize, Serialize};

use crate::base64;

/// The version of these messages; a shim that speaks another one is refused by its engine.
pub const VERSION: u32 = 1;

/// The longest frame. A launch carries a spec and a seccomp program; an attachment at most what an HTTP parser read ahead.
pub const MAX_FRAME: usize = 16 << 20;

/// From the engine.
#[derive(Debug, Serialize, Deserialize)]
pub struct Request {
    /// Comes back in the response; the sender chooses it, unique on its connection.
    pub seq: u64,
    /// What to do.
    pub op: Op,
}

/// What an engine asks of a shim.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// Make ahead what a launch takes long for, because one is likely within the next second. No answer.
    Foresee,
    /// Make and start the container, once per shim. Answer: [`Answer::Started`].
    Launch(Box<Launch>),
    /// Connect a client's socket (one descriptor) to the container's streams; before the launch too. Answer, when the
    /// client got everything it must get or went away: [`Answer::Detached`].
    Attach(Attach),
    /// Run one more process. With [`Exec::attach`], one descriptor. Answer: [`Answer::Started`].
    Exec(Box<Exec>),
    /// Change the size of the terminal of the container, or of an exec. Answer: [`Answer::Done`].
    Resize(Resize),
    /// Signal the first process, or all. Answer: [`Answer::Done`]; `Conflict` when it has ended.
    Kill(Kill),
    /// Signal an exec's process, or kill it with all that comes from it. Answer: [`Answer::Done`].
    SignalExec(SignalExec),
    /// Tell the state. Answer: [`Answer::State`].
    State,
    /// End of file on the container's standard input. Answer: [`Answer::Done`].
    CloseStdin,
    /// Stop all processes. Answer: [`Answer::Done`].
    Pause,
    /// Let them go on. Answer: [`Answer::Done`].
    Resume,
    /// Change limits. Answer: [`Answer::Updated`].
    Update(Box<LinuxResources>),
    /// Send events from now on. Answer: [`Answer::State`].
    Subscribe,
    /// Keep a descriptor (one) for the next engine, under that name, as long as the container runs. Answer:
    /// [`Answer::Done`]. For shims whose [`State::kept`] is there.
    Keep {
        /// What it is.
        name: String,
    },
}

/// Everything a shim needs to make a container.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Launch {
    /// The container's id.
    pub id: String,
    /// Its configuration. `linux.cgroupsPath` is not looked at; see `cgroup`. An init process (`--init`) is part of it:
    /// our own binary bound read-only to `/sbin/docker-init`, and `["/sbin/docker-init", "--", …]` (see [`crate::init`]).
    pub spec: Spec,
    /// Its program is that init process, which begins with its signals blocked.
    #[serde(default)]
    pub init: bool,
    /// Its root file system.
    pub rootfs: Rootfs,
    /// Its directory in the data root: `exit.json` and, below `log/`, its log.
    pub container_dir: PathBuf,
    /// Its directory in the exec root: the shim's socket. Made if missing, removed at the end.
    pub run_dir: PathBuf,
    /// The cgroup to be made for it, as in `/dhow/4f5e`; `None`: it stays in the shim's, without limits.
    pub cgroup: Option<String>,
    /// A cgroup that nobody is in: what the container is shown of v1 trees that its own has not joined.
    #[serde(default)]
    pub bare_cgroup: Option<String>,
    /// The compiled seccomp filter; wins over the spec's list.
    #[serde(default, with = "base64::option", skip_serializing_if = "Option::is_none")]
    pub seccomp: Option<Vec<u8>>,
    /// Keep standard input open (`-i`); else it reads end of file at once.
    pub stdin_open: bool,
    /// Close standard input when the first client attached to it goes away.
    pub stdin_once: bool,
    /// Its streams are one terminal (`-t`).
    pub tty: bool,
    /// Where its output is kept.
    pub log: dhow_logs::Config,
    /// An OCI runtime to be run instead of the built-in one (`--runtime`).
    pub external_runtime: Option<PathBuf>,
}

/// Where a root file system comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rootfs {
    /// A directory.
    Path(PathBuf),
    /// Layers.
    Overlay {
        /// Read-only layers, the topmost first.
        lower: Vec<PathBuf>,
        /// The writable layer.
        upper: PathBuf,
        /// overlayfs' scratch directory.
        work: PathBuf,
        /// More mount options.
        options: Vec<String>,
    },
}

/// A client to be connected to the streams of the container, or of an exec.
///
/// The descriptor is the client's own socket, so that the session survives the engine. The sender may keep its copy
/// until it has the answer (of an exec: [`Event::ExecExited`]); the client then sees the end only after the engine knows
/// how it ended. The shim only closes its copy; a client that leaves early by its keys is hung up on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attach {
    /// The client's bytes go to standard input.
    pub stdin: bool,
    /// Standard output goes to the client.
    pub stdout: bool,
    /// Standard error goes to the client.
    pub stderr: bool,
    /// With Docker's 8-byte headers (of a process without terminal), else raw.
    pub multiplex: bool,
    /// The bytes that detach (see [`crate::detach`]); empty: nothing does. Looked for only on a terminal, as Docker does.
    #[serde(default, with = "base64", skip_serializing_if = "Vec::is_empty")]
    pub detach_keys: Vec<u8>,
    /// What the client sent so far and the HTTP parser has read already.
    #[serde(default, with = "base64", skip_serializing_if = "Vec::is_empty")]
    pub leftover: Vec<u8>,
}

/// A process to be run in the container.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Exec {
    /// Its id, chosen by the engine.
    pub id: String,
    /// What to run. `terminal` says whether it gets a terminal.
    pub process: Process,
    /// The client that is connected to it; without one its output goes nowhere.
    pub attach: Option<Attach>,
    /// Without the container's seccomp filter (`exec --privileged`).
    #[serde(default)]
    pub unconfined: bool,
    /// Nobody waits for its start any more after that.
    #[serde(default)]
    pub until: Option<Moment>,
}

/// A moment of this boot of the host, the same for every process (clock_gettime(2), `CLOCK_MONOTONIC`); in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Moment(u64);

impl Moment {
    /// The moment after that time from now on.
    #[must_use]
    pub fn after(time: Duration) -> Self {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let now = Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or_default());
        Self(u64::try_from((now + time).as_millis()).unwrap_or(u64::MAX))
    }

    /// The same for clocks of this process.
    #[must_use]
    pub fn instant(self) -> Instant {
        let rest = self.0.saturating_sub(Self::after(Duration::ZERO).0);
        Instant::now() + Duration::from_millis(rest)
    }

    /// Whether it has passed.
    #[must_use]
    pub fn has_passed(self) -> bool {
        Self::after(Duration::ZERO) >= self
    }
}

/// A terminal's new size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resize {
    /// Of this exec; `None`: of the container.
    pub exec: Option<String>,
    /// Lines.
    pub rows: u16,
    /// Characters per line.
    pub cols: u16,
}

/// A signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kill {
    /// Its number.
    pub signal: i32,
    /// To every process of the container and not only the first.
    pub all: bool,
}

/// A signal to an exec's process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignalExec {
    /// The exec's id.
    pub exec: String,
    /// The signal's number.
    pub signal: i32,
    /// SIGKILL also to everything that comes from the process, whatever the signal is.
    #[serde(default)]
    pub family: bool,
}

/// From the shim.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// The answer to a request.
    Response {
        /// The request's number.
        seq: u64,
        /// How it went.
        result: Result<Answer, Failure>,
    },
    /// Something happened.
    Event(Event),
}

/// What a request gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It is done.
    Done,
    /// A process runs.
    Started {
        /// Its id on the host.
        pid: i32,
        /// When it was started.
        at: Timestamp,
        /// What the host could not do, in Docker's words.
        warnings: Vec<String>,
    },
    /// An attached client is connected no more.
    Detached {
        /// It asked for it with its detach keys, or went away, while the process went on.
        early: bool,
    },
    /// The limits are set.
    Updated {
        /// Limits that the host cannot keep.
        warnings: Vec<String>,
    },
    /// The state.
    State(State),
}

/// What the shim knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// [`VERSION`] of the shim.
    pub version: u32,
    /// The container's id; empty before the launch.
    pub id: String,
    /// In which part of its life it is.
    pub status: Status,
    /// The first process, while it lives.
    pub pid: Option<i32>,
    /// When it was started.
    pub started_at: Option<Timestamp>,
    /// How it ended.
    pub exit: Option<Exit>,
    /// Execs that run.
    pub execs: Vec<RunningExec>,
    /// The last execs that have ended: an engine that was away then learns it here.
    #[serde(default)]
    pub ended_execs: Vec<EndedExec>,
    /// Lines that its log has lost.
    #[serde(default)]
    pub log_losses: Losses,
    /// What it keeps. `None`: it is too old to keep anything.
    #[serde(default)]
    pub kept: Option<Vec<Keepsake>>,
}

/// A descriptor that a shim keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keepsake {
    /// What it is.
    pub name: String,
    /// Its number in the shim (pidfd_getfd(2)).
    pub fd: i32,
}

/// Parts of a container's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Not launched yet.
    Created,
    /// Running.
    Running,
    /// Frozen.
    Paused,
    /// It has ended.
    Exited,
}

/// An exec that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningExec {
    /// Its id.
    pub id: String,
    /// Its process.
    pub pid: i32,
}

/// An exec that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedExec {
    /// Its id.
    pub id: String,
    /// Exit code; 128 + n for the end by signal n.
    pub code: i32,
}

/// How a container ended: the content of `exit.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// Exit code; 128 + n for the end by signal n.
    pub code: i32,
    /// The kernel killed a process of it for lack of memory.
    pub oom_killed: bool,
    /// When it was started.
    pub started_at: Timestamp,
    /// When its first process ended.
    pub finished_at: Timestamp,
    /// What went wrong beside it; empty: nothing.
    #[serde(default)]
    pub error: String,
    /// Lines that its log has lost.
    #[serde(default)]
    pub log_losses: Losses,
}

/// Something that happened in the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The container runs (told beside the answer to the launch).
    Started {
        /// Its first process.
        pid: i32,
    },
    /// It has ended: every process, and its log is complete.
    Exited(Exit),
    /// An exec runs.
    ExecStarted {
        /// Its id.
        exec: String,
        /// Its process.
        pid: i32,
    },
    /// An exec has ended.
    ExecExited {
        /// Its id.
        exec: String,
        /// Exit code; 128 + n for the end by signal n.
        code: i32,
    },
    /// The kernel killed a process of the container for lack of memory.
    Oom,
    /// Its log has lost lines: so many by now. Told at most once a second.
    LogLosses(Losses),
    /// Something went wrong at its end that keeps nothing up.
    Warning(String),
    /// Everything is undone (cgroup, mounts, `run_dir`): another shim may take the container up.
    Gone,
}

/// An error on its way between two processes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// [`Class::as_str`].
    pub class: String,
    /// The whole chain.
    pub message: String,
    /// Advice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        Self {
            class: error.class().as_str().to_owned(),
            message: error.to_string(),
            hint: error.hint().map(str::to_owned),
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let error = Self::new(Class::from_name(&failure.class), failure.message);
        match failure.hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }
}
