//! The shim's side: append and rotate.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use dhow_errdefs::{Result, ResultExt};

use crate::format::{Format, Kind};
use crate::lines::Lines;
use crate::{Config, Stream, Timestamp, files};

/// Entries are collected up to this many bytes before they are written; a read of the shim's size fits with its frames.
const BATCH: usize = 128 * 1024;

/// Appends a container's output to its log. One per log at a time.
///
/// Every call writes what is complete, in one `write` as a rule, so that nothing waits in memory beside a line without
/// its end. The file is never left with a part of a batch: where only a part fits, it is cut off again.
#[derive(Debug)]
pub struct Writer {
    sink: Sink,
    stdout: Lines,
    stderr: Lines,
}

/// The file, and what goes there next.
#[derive(Debug)]
struct Sink {
    base: PathBuf,
    config: Config,
    format: Format,
    file: File,
    /// Bytes in the file.
    size: u64,
    batch: Vec<u8>,
    /// Lines in the batch.
    lines: u64,
    /// Lines that could not be written and are not told yet.
    dropped: u64,
    /// The batch begins with the note that tells of them.
    told: bool,
    /// Of the line encoded next: all of a batch get the batch's time, and a nanosecond more each, to stay in order.
    time: Timestamp,
}

impl Writer {
    /// Opens the log at `path` (see [`Config::path`]) for appending, and makes it and its directory where missing.
    ///
    /// # Errors
    /// What the file system says; `NotImplemented` for the driver that keeps nothing.
    pub fn open(path: &Path, config: &Config) -> Result<Self> {
        let format = Format::of(config.driver)?;
        let file = open_in_directory(path).context(|| format!("open log {}", path.display()))?;
        let size = file.metadata().context(|| format!("look at log {}", path.display()))?.len();
        let mut sink = Sink {
            base: path.to_owned(),
            config: config.clone(),
            format,
            file,
            size,
            batch: Vec::new(),
            lines: 0,
            dropped: 0,
            told: false,
            time: Timestamp::default(),
        };
        sink.begin_file();
        Ok(Self { sink, stdout: Lines::default(), stderr: Lines::default() })
    }

    /// Logs what was read from a stream. A line that is not complete waits for its rest.
    pub fn write(&mut self, stream: Stream, bytes: &[u8]) {
        self.sink.begin_batch();
        let lines = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        lines.add(bytes, |line| self.sink.line(stream, line));
        self.sink.flush();
    }

    /// Logs lines that wait for their rest as they are: nothing more comes.
    pub fn finish(&mut self) {
        self.sink.begin_batch();
        self.stdout.finish(|line| self.sink.line(Stream::Stdout, line));
        self.stderr.finish(|line| self.sink.line(Stream::Stderr, line));
        self.sink.flush();
    }

    /// How many lines could not be written and are not told in the log yet.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.sink.dropped
    }
}

fn open_in_directory(path: &Path) -> io::Result<File> {
    match files::open_current(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))?;
            files::open_current(path)
        }
        result => result,
    }
}

impl Sink {
    fn begin_batch(&mut self) {
        self.time = Timestamp::now();
        if self.dropped > 0 {
            let note = format!("dhow: {} lines were lost here because they could not be written\n", self.dropped);
            self.told = true;
            self.append(Kind::Note, note.as_bytes());
        }
    }

    /// A fresh file gets its header with the first entries.
    fn begin_file(&mut self) {
        if self.size == 0 {
            self.batch.extend_from_slice(self.format.header());
        }
    }

    fn line(&mut self, stream: Stream, line: &[u8]) {
        self.append(Kind::Output(stream), line);
        self.lines += 1;
    }

    fn append(&mut self, kind: Kind, line: &[u8]) {
        let before = self.batch.len();
        self.format.encode(&mut self.batch, kind, self.time, line);
        self.time.0 += 1;
        let limit = self.config.max_size.unwrap_or(u64::MAX);
        let first = self.size + before as u64 <= self.format.header().len() as u64;
        if self.size + self.batch.len() as u64 > limit && !first {
            self.rotate(before);
        } else if self.batch.len() > BATCH {
            self.flush();
        }
    }

    /// Writes the batch up to `end` to the present file and goes on with the rest in a new one.
    fn rotate(&mut self, end: usize) {
        let rest = self.batch.split_off(end);
        self.flush();
        // Without room for a new file the old one grows over its limit until there is some.
        if let Ok(file) = files::rotate(&self.base, self.config.max_file) {
            self.file = file;
            self.size = 0;
            self.begin_file();
        }
        self.batch.extend_from_slice(&rest);
    }

    fn flush(&mut self) {
        // A header alone waits for its first entry.
        if self.batch.len() <= self.format.header().len() && self.size == 0 {
            return;
        }
        match self.file.write_all(&self.batch) {
            Ok(()) => {
                self.size += self.batch.len() as u64;
                if self.told {
                    self.dropped = 0;
                }
            }
            Err(_) => {
                self.dropped += self.lines;
                // If this fails as well, the reader finds a damaged record and skips it.
                let _ = self.file.set_len(self.size);
            }
        }
        self.lines = 0;
        self.told = false;
        self.batch.clear();
        self.batch.shrink_to(BATCH + BATCH / 2);
        if self.size == 0 {
            self.begin_file();
        }
    }
}
