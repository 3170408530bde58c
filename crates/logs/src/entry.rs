//! One line of a log.

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// Which of the container's streams a line came from. A container with a terminal has only `Stdout`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A line, or a part of a long one, as it was logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it came from.
    pub stream: Stream,
    /// When it was read from the container.
    pub time: Timestamp,
    /// The bytes as they were written, the closing newline included if there was one.
    pub line: Vec<u8>,
    /// The line goes on in the next entry of this stream (lines are cut after 16 KiB, as Docker does).
    pub partial: bool,
    /// Not written by the container but a remark about the log: records damaged, lines dropped on a full disk. Its
    /// stream is `Stderr`.
    pub note: bool,
}
