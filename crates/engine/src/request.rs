//! What the engine is asked, apart from the specs.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use dhow_oci::Platform;
use jiff::Timestamp;

use crate::spec::ContainerSpec;

/// `docker create`.
#[derive(Debug, Clone, Default)]
pub struct CreateRequest {
    /// With or without the slash; `None`: a generated one.
    pub name: Option<String>,
    /// What to make.
    pub spec: ContainerSpec,
    /// What the image has to be for; `None`: whatever it is for.
    pub platform: Option<Platform>,
}

/// Filters of a list: key → values, any of which may match; all keys must match.
pub type Filters = BTreeMap<String, Vec<String>>;

/// `docker ps`.
#[derive(Debug, Clone, Default)]
pub struct ListOptions {
    /// Those that do not run, too.
    pub all: bool,
    /// The newest so many, whatever their state; 0: no limit.
    pub limit: usize,
    /// Compute sizes (walks the writable layers).
    pub size: bool,
    /// `id`, `name`, `label`, `status`, `exited`, `ancestor`, `before`, `since`, `volume`, `network`, `publish`,
    /// `expose`, `health`, `is-task`. Others are refused.
    pub filters: Filters,
}

/// `docker rm`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RemoveOptions {
    /// Kill it first if it runs.
    pub force: bool,
    /// Remove its anonymous volumes, too.
    pub volumes: bool,
}

/// What `wait` waits for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WaitCondition {
    /// Not running: answered at once when it does not run.
    #[default]
    NotRunning,
    /// The end of the run that is going on or comes next.
    NextExit,
    /// It is gone.
    Removed,
}

/// `docker logs`.
#[derive(Debug, Clone, Default)]
pub struct LogOptions {
    /// Standard output.
    pub stdout: bool,
    /// Standard error.
    pub stderr: bool,
    /// Go on with what comes.
    pub follow: bool,
    /// Only the last so many lines.
    pub tail: Option<u64>,
    /// Nothing older.
    pub since: Option<Timestamp>,
    /// Nothing newer.
    pub until: Option<Timestamp>,
    /// Fill [`LogEntry::details`](crate::LogEntry::details).
    pub details: bool,
}

/// `docker attach`.
#[derive(Debug, Clone, Default)]
pub struct AttachOptions {
    /// Send what the container writes from now on (else only `logs`).
    pub stream: bool,
    /// Send what it has written before.
    pub logs: bool,
    /// Take input from the client.
    pub stdin: bool,
    /// Send standard output.
    pub stdout: bool,
    /// Send standard error.
    pub stderr: bool,
    /// Key sequence that detaches, in Docker's notation; `None`: `ctrl-p,ctrl-q`.
    pub detach_keys: Option<String>,
}

/// `docker exec`, second half.
#[derive(Debug, Clone, Default)]
pub struct ExecStartOptions {
    /// Nobody attaches.
    pub detach: bool,
    /// As the caller believes; must be what the exec was created with.
    pub tty: Option<bool>,
    /// Initial rows and columns of the terminal; wins over those of the creation.
    pub console_size: Option<[u32; 2]>,
}

/// A client's own socket after the server has finished with HTTP on it.
///
/// The shim writes to and reads from it directly, so that a session survives the engine. It must be in non-blocking or
/// blocking mode as the server left it; the shim sets what it needs.
#[derive(Debug)]
pub struct ClientStream {
    /// The connected stream socket.
    pub fd: OwnedFd,
    /// Bytes the HTTP parser had read already: the beginning of the client's input.
    pub leftover: Vec<u8>,
}
