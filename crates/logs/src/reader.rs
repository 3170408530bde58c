//! The engine's side: read, tail, follow.

use std::os::fd::BorrowedFd;
use std::path::Path;

use dhow_errdefs::Result;

use crate::{Config, Entry, Timestamp};

/// Which entries are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Only the last so many lines; `None`: all.
    pub tail: Option<u64>,
    /// Only from this time on.
    pub since: Option<Timestamp>,
    /// Only up to this time.
    pub until: Option<Timestamp>,
    /// Go on with what is logged after the end was reached.
    pub follow: bool,
    /// Entries of standard output.
    pub stdout: bool,
    /// Entries of standard error.
    pub stderr: bool,
}

impl Default for Query {
    fn default() -> Self {
        Self { tail: None, since: None, until: None, follow: false, stdout: true, stderr: true }
    }
}

/// What [`Reader::read`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// An entry.
    Entry(Entry),
    /// Nothing now: read again when [`Reader::poll_fd`] is readable, or after [`Reader::finish`].
    Wait,
    /// Nothing more will come.
    End,
}

/// Reads a log, also while it is being written and rotated.
#[derive(Debug)]
pub struct Reader {}

impl Reader {
    /// Opens the log at `path` (see [`Config::path`]). A log that does not exist yet is empty, and can be followed.
    ///
    /// # Errors
    /// What the file system says; `NotImplemented` for the driver that keeps nothing, in Docker's words.
    pub fn open(_path: &Path, _config: &Config, _query: Query) -> Result<Self> {
        Ok(Self {})
    }

    /// The next entry. Never blocks for longer than the disk takes.
    ///
    /// # Errors
    /// What the file system says. Damage is no error: it is skipped and told with an [`Entry`] marked as a note.
    pub fn read(&mut self) -> Result<Step> {
        Ok(Step::End)
    }

    /// Readable when there may be something new; `None` when not following. The reader empties it itself.
    #[must_use]
    pub fn poll_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// Tells that the container has ended and its log is complete: from now on the end is [`Step::End`], not
    /// [`Step::Wait`].
    pub fn finish(&mut self) {}
}
