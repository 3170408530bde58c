//! The shim's side: cut into lines, keep, send.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use dhow_errdefs::Result;
use serde::{Deserialize, Serialize};

use crate::disk::Disk;
use crate::lines::Lines;
use crate::remote::Remote;
use crate::{Config, Stream, Timestamp};

/// Keeps a container's output: in files, at a remote target, or both. One per log at a time.
///
/// Every call writes what is complete, in one `write` as a rule, so that nothing waits in memory beside a line without
/// its end. The file is never left with a part of a batch: where only a part fits, it is cut off again.
#[derive(Debug)]
pub struct Writer {
    outlets: Outlets,
    stdout: Lines,
    stderr: Lines,
}

/// Where lines go.
#[derive(Debug)]
struct Outlets {
    disk: Option<Disk>,
    remote: Option<Remote>,
}

/// Lines that were lost since the writer was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Losses {
    /// The disk did not take them, or not in time.
    pub disk: u64,
    /// The remote target did not.
    pub remote: u64,
}

impl Writer {
    /// Opens the log at `path` (see [`Config::path`]) for appending, and makes it and its directory where missing.
    /// Connects to the remote target, if the driver has one.
    ///
    /// # Errors
    /// What the file system says; when a target cannot be reached, in Docker's words.
    pub fn open(path: Option<&Path>, config: &Config) -> Result<Self> {
        let target = config.target.as_ref();
        let remote = target.map(|target| Remote::open(target, config.buffer)).transpose()?;
        let disk = path.map(|path| Disk::open(path, config)).transpose()?;
        Ok(Self { outlets: Outlets { disk, remote }, stdout: Lines::default(), stderr: Lines::default() })
    }

    /// Logs what was read from a stream. A line that is not complete waits for its rest.
    pub fn write(&mut self, stream: Stream, bytes: &[u8]) {
        let lines = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        let mut batch = self.outlets.begin();
        lines.add(bytes, |line| batch.line(stream, line, !line.ends_with(b"\n")));
        self.outlets.end();
    }

    /// Logs lines that wait for their rest as they are: nothing more comes. Waits a little for a remote target.
    pub fn finish(&mut self) {
        let mut batch = self.outlets.begin();
        self.stdout.finish(|line| batch.line(Stream::Stdout, line, false));
        self.stderr.finish(|line| batch.line(Stream::Stderr, line, false));
        self.outlets.end();
        if let Some(remote) = &mut self.outlets.remote {
            remote.finish();
        }
        self.outlets.take_note();
        if let Some(disk) = &mut self.outlets.disk {
            disk.finish();
        }
    }

    /// Readable when [`Writer::on_ready`] is to be called; `None` for a log that is nothing but files.
    #[must_use]
    pub fn poll_fd(&self) -> Option<BorrowedFd<'_>> {
        self.outlets.remote.as_ref().map(AsFd::as_fd)
    }

    /// Goes on with what waits for the remote target.
    pub fn on_ready(&mut self) {
        if let Some(remote) = &mut self.outlets.remote {
            remote.on_ready();
        }
        self.outlets.take_note();
    }

    /// The container has to wait, because the remote target does not take what was written. It never has to for long.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.outlets.remote.as_ref().is_some_and(Remote::is_full)
    }

    /// Does a small part of what can be done in the background; `true`: there is more of it.
    pub fn work(&mut self) -> bool {
        self.outlets.disk.as_mut().is_some_and(Disk::work)
    }

    /// What was lost so far.
    #[must_use]
    pub fn losses(&self) -> Losses {
        Losses {
            disk: self.outlets.disk.as_ref().map_or(0, Disk::lost),
            remote: self.outlets.remote.as_ref().map_or(0, Remote::lost),
        }
    }
}

impl Outlets {
    fn begin(&mut self) -> Batch<'_> {
        let time = Timestamp::now();
        if let Some(disk) = &mut self.disk {
            disk.begin_batch(time);
        }
        Batch { outlets: self, time }
    }

    fn end(&mut self) {
        if let Some(disk) = &mut self.disk {
            disk.flush();
        }
        if let Some(remote) = &mut self.remote {
            remote.send();
        }
        self.take_note();
    }

    /// Says in the log what the remote target has to do with.
    fn take_note(&mut self) {
        if let Some(note) = self.remote.as_mut().and_then(Remote::take_note)
            && let Some(disk) = &mut self.disk
        {
            disk.begin_batch(Timestamp::now());
            disk.note(note.as_bytes());
            disk.flush();
        }
    }
}

/// Lines that were read in one go: they get the same time, and a nanosecond more each, to stay in order.
struct Batch<'a> {
    outlets: &'a mut Outlets,
    time: Timestamp,
}

impl Batch<'_> {
    /// `more`: the line goes on in the next one.
    fn line(&mut self, stream: Stream, line: &[u8], more: bool) {
        if let Some(disk) = &mut self.outlets.disk {
            disk.line(stream, line);
        }
        if let Some(remote) = &mut self.outlets.remote {
            remote.push(stream, self.time, line.strip_suffix(b"\n").unwrap_or(line), more);
            self.time.0 += 1;
        }
    }
}
