//! The files of a log, written at once or by a thread of their own.

use std::path::Path;

use dhow_errdefs::Result;

use crate::aside::Aside;
use crate::sink::Sink;
use crate::{Config, Stream, Timestamp};

#[derive(Debug)]
pub(crate) enum Disk {
    /// Whoever writes waits for the disk (`mode=blocking`).
    Direct(Box<Sink>),
    /// Nobody does (`mode=non-blocking`).
    Aside(Aside),
}

impl Disk {
    pub(crate) fn open(path: &Path, config: &Config) -> Result<Self> {
        let sink = Sink::open(path, config)?;
        match config.buffer {
            None => Ok(Self::Direct(Box::new(sink))),
            Some(bytes) => Aside::start(sink, bytes).map(Self::Aside),
        }
    }

    pub(crate) fn begin_batch(&mut self, time: Timestamp) {
        match self {
            Self::Direct(sink) => sink.begin_batch(time),
            Self::Aside(aside) => aside.begin_batch(time),
        }
    }

    pub(crate) fn line(&mut self, stream: Stream, line: &[u8]) {
        match self {
            Self::Direct(sink) => sink.line(stream, line),
            Self::Aside(aside) => aside.line(stream, line),
        }
    }

    /// A remark about the log.
    pub(crate) fn note(&mut self, note: &[u8]) {
        match self {
            Self::Direct(sink) => sink.note(note),
            Self::Aside(aside) => aside.note(note),
        }
    }

    /// The batch is whole.
    pub(crate) fn flush(&mut self) {
        match self {
            Self::Direct(sink) => sink.flush(),
            Self::Aside(aside) => aside.flush(),
        }
    }

    /// Does a small part of what can be done in the background; `true`: there is more of it.
    pub(crate) fn work(&mut self) -> bool {
        match self {
            Self::Direct(sink) => sink.work(),
            // The thread does it.
            Self::Aside(_) => false,
        }
    }

    pub(crate) fn finish(&mut self) {
        match self {
            Self::Direct(sink) => sink.finish(),
            Self::Aside(aside) => aside.finish(),
        }
    }

    /// Lines that were not written, ever.
    pub(crate) fn lost(&self) -> u64 {
        match self {
            Self::Direct(sink) => sink.lost(),
            Self::Aside(aside) => aside.lost(),
        }
    }
}
