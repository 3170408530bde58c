//! The files that are written: appended to, rotated, compressed.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dhow_errdefs::{Result, ResultExt};

use crate::compress::Packing;
use crate::files::{self, Kept};
use crate::format::{Format, Kind};
use crate::{Config, Stream, Timestamp};

/// Entries are collected up to this many bytes before they are written; a read of the shim's size fits with its frames.
const BATCH: usize = 128 * 1024;

/// Bytes that are kept beyond the limit for a reader that follows and is slow.
const SPARE: u64 = 100 * 1000 * 1000;

/// Bytes that a file may grow beyond its limit because somebody opens files, however small the limit.
const PATIENCE: u64 = 1 << 20;

/// How long the end of a container waits for a file to be compressed.
const FAREWELL: Duration = Duration::from_millis(200);

/// The current file, and what goes there next.
#[derive(Debug)]
pub(crate) struct Sink {
    base: PathBuf,
    format: Format,
    attributes: Vec<u8>,
    max_size: u64,
    /// Bytes at which it is rotated: more than `max_size` while a rotation had to be put off.
    limit: u64,
    kept: Kept,
    file: File,
    /// Of the current file, counted from 1.
    number: u32,
    /// Bytes in the file.
    size: u64,
    batch: Vec<u8>,
    /// Bytes of the batch before its first entry.
    header: usize,
    /// Lines in the batch.
    lines: u64,
    /// Lines that could not be written, ever.
    lost: u64,
    /// Of those, what is not told in the log yet.
    untold: u64,
    /// The batch begins with the note that tells of them.
    told: bool,
    /// Of the entry that is next: all of a batch get the batch's time, and a nanosecond more each, to stay in order.
    time: Timestamp,
    packer: Option<Packer>,
}

/// Files that are to be compressed.
#[derive(Debug)]
struct Packer {
    /// Ages, the oldest first.
    waiting: VecDeque<u32>,
    now: Option<Packing>,
}

impl Sink {
    pub(crate) fn open(path: &Path, config: &Config) -> Result<Self> {
        let format = Format::of(config.driver)?;
        let file = open_in_directory(path).context(|| format!("open log {}", path.display()))?;
        let size = file.metadata().context(|| format!("look at log {}", path.display()))?.len();
        let mut beginning = [0; Format::HEADER];
        // A number that cannot be read is unknown.
        let _ = file.read_exact_at(&mut beginning, 0);
        let max_size = config.max_size.unwrap_or(u64::MAX);
        let mut sink = Self {
            base: path.to_owned(),
            format,
            attributes: format.attributes(&config.attributes),
            max_size,
            limit: max_size,
            kept: Kept { files: config.max_file, spare: (SPARE / max_size.max(1)).clamp(1, 2000) as u32 },
            file,
            number: if size == 0 { 1 } else { format.read_header(&beginning).1 },
            size,
            batch: Vec::new(),
            header: 0,
            lines: 0,
            lost: 0,
            untold: 0,
            told: false,
            time: Timestamp::default(),
            packer: config.compress.then(|| Packer::left_by(path, config.max_file)),
        };
        sink.begin_file();
        Ok(sink)
    }

    pub(crate) fn lost(&self) -> u64 {
        self.lost
    }

    /// Lines that did not come as far as this are told of, too. Whoever has lost them counts them.
    pub(crate) fn miss(&mut self, lines: u64) {
        self.untold += lines;
    }

    /// The time of the next entry, if it was not given with the batch.
    pub(crate) fn at(&mut self, time: Timestamp) {
        self.time = self.time.max(time);
    }

    pub(crate) fn begin_batch(&mut self, time: Timestamp) {
        self.time = time;
        if self.untold > 0 {
            let note = format!("dhow: {} lines were lost here because they could not be written\n", self.untold);
            self.told = true;
            self.note(note.as_bytes());
        }
    }

    /// A fresh file gets its header with the first entries.
    fn begin_file(&mut self) {
        self.header = 0;
        if self.size == 0 {
            self.format.begin(&mut self.batch, self.number);
            self.header = self.batch.len();
        }
    }

    pub(crate) fn line(&mut self, stream: Stream, line: &[u8]) {
        self.append(Kind::Output(stream), line);
        self.lines += 1;
    }

    /// A remark about the log.
    pub(crate) fn note(&mut self, line: &[u8]) {
        self.append(Kind::Note, line);
    }

    fn append(&mut self, kind: Kind, line: &[u8]) {
        let before = self.batch.len();
        self.format.encode(&mut self.batch, (kind, self.time, line), &self.attributes);
        self.time.0 += 1;
        let first = self.size == 0 && before == self.header;
        if self.size + self.batch.len() as u64 > self.limit && !first {
            self.rotate(before);
        } else if self.batch.len() > BATCH {
            self.flush();
        }
    }

    /// Writes the batch up to `end` to the present file and goes on with the rest in a new one.
    fn rotate(&mut self, end: usize) {
        let rest = self.batch.split_off(end);
        self.flush();
        let urgent = self.limit - self.max_size >= self.max_size.max(PATIENCE);
        if let Ok(Some(file)) = files::rotate(&self.base, self.kept, urgent) {
            self.file = file;
            self.size = 0;
            self.limit = self.max_size;
            self.number = self.number.wrapping_add(1).max(1);
            self.begin_file();
            if let Some(packer) = &mut self.packer {
                packer.on_rotation(self.kept.files);
            }
        } else {
            // Somebody opens files at this moment, or there is no room for a new one: the old one grows.
            self.limit = self.size.saturating_add(rest.len() as u64).saturating_add((self.max_size / 4).max(4096));
        }
        self.batch.extend_from_slice(&rest);
    }

    /// Writes what is collected.
    pub(crate) fn flush(&mut self) {
        // A header alone waits for its first entry.
        if self.batch.len() == self.header {
            return;
        }
        match self.file.write_all(&self.batch) {
            Ok(()) => {
                self.size += self.batch.len() as u64;
                if self.told {
                    self.untold = 0;
                }
            }
            Err(_) => {
                self.lost += self.lines;
                self.untold += self.lines;
                self.cut_off();
            }
        }
        self.lines = 0;
        self.told = false;
        self.batch.clear();
        self.batch.shrink_to(BATCH + BATCH / 2);
        self.begin_file();
    }

    /// Takes the part of a batch away that was written. If this fails as well, the reader finds a damaged record and
    /// skips it.
    fn cut_off(&mut self) {
        // Somebody may have emptied the file meanwhile: it must not become longer by this.
        if self.file.metadata().is_ok_and(|metadata| metadata.len() > self.size) {
            let _ = self.file.set_len(self.size);
        }
    }

    /// Compresses a little; `true`: there is more to be done.
    pub(crate) fn work(&mut self) -> bool {
        let base = &self.base;
        self.packer.as_mut().is_some_and(|packer| packer.step(base))
    }

    /// Nothing more is written: what is being compressed is finished, if that takes no time. Else it is begun again when
    /// the log is opened the next time.
    pub(crate) fn finish(&mut self) {
        let end = Instant::now() + FAREWELL;
        while Instant::now() < end && self.work() {}
        if self.packer.take().is_some_and(|packer| packer.now.is_some()) {
            let _ = fs::remove_file(files::unfinished_path_of(&self.base));
        }
    }
}

impl Packer {
    /// With what a writer before did not come to.
    fn left_by(base: &Path, files: u32) -> Self {
        let plain = (1..files).rev().filter(|age| files::path_of(base, *age).exists());
        Self { waiting: plain.collect(), now: None }
    }

    fn on_rotation(&mut self, files: u32) {
        self.waiting.iter_mut().for_each(|age| *age += 1);
        self.waiting.retain(|age| *age < files);
        self.waiting.push_back(1);
        if let Some(packing) = &mut self.now {
            packing.grow_older();
        }
    }

    /// What goes wrong leaves the file as it is: it can be read all the same.
    fn step(&mut self, base: &Path) -> bool {
        if let Some(packing) = &mut self.now {
            match packing.step(base) {
                Ok(false) => return true,
                Ok(true) => self.now = None,
                Err(_) => {
                    self.now = None;
                    let _ = fs::remove_file(files::unfinished_path_of(base));
                }
            }
            return !self.waiting.is_empty();
        }
        // The file that somebody follows waits for the next rotation.
        let Some(age) = self.waiting.front().copied() else { return false };
        match Packing::begin(base, age) {
            Ok(Some(packing)) => {
                self.waiting.pop_front();
                self.now = Some(packing);
                true
            }
            Ok(None) => false,
            Err(_) => {
                self.waiting.pop_front();
                !self.waiting.is_empty()
            }
        }
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
