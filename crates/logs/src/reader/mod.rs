//! The engine's side: read, tail, follow.

mod cursor;
mod search;
mod watch;

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use dhow_errdefs::{Result, ResultExt};

use crate::format::{Format, Kind};
use crate::{Config, Entry, Stream, Timestamp, files};
use cursor::{Cursor, Found};
use watch::Watch;

/// Which entries are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Only the last so many lines; `None`: all. Counted before the other conditions are looked at, as Docker does.
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

impl Query {
    fn wants(&self, entry: &Entry) -> bool {
        let stream = match entry.stream {
            Stream::Stdout => self.stdout,
            Stream::Stderr => self.stderr,
        };
        stream && self.since.is_none_or(|since| entry.time >= since)
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
pub struct Reader {
    base: PathBuf,
    format: Format,
    query: Query,
    watch: Option<Watch>,
    cursor: Option<Cursor>,
    /// Newer files than the cursor's, the oldest first.
    files: VecDeque<Cursor>,
    /// Of the file before the cursor's, 0 where it is not known: what is missing between them was removed unread.
    number: u32,
    /// The cursor's file was removed before the next one was found: there may have been others between them.
    gap: bool,
    /// Nothing is written any more.
    complete: bool,
    ended: bool,
    /// Of the last entry, for notes.
    time: Timestamp,
}

impl Reader {
    /// Opens the log at `path` (see [`Config::path`]). A log that does not exist yet is empty, and can be followed.
    ///
    /// # Errors
    /// What the file system says; `NotImplemented` for the driver that keeps nothing, in Docker's words.
    pub fn open(path: &Path, config: &Config, query: Query) -> Result<Self> {
        let format = Format::of(config.driver)?;
        // Watching begins before the first look, so that nothing falls between.
        let watch = query.follow.then(|| Watch::new(path)).transpose()?;
        let files = files::open_all(path, query.follow).context(|| format!("open log {}", path.display()))?;
        let mut reader = Self {
            base: path.to_owned(),
            format,
            query,
            watch,
            cursor: None,
            files: VecDeque::new(),
            number: 0,
            gap: false,
            complete: false,
            ended: false,
            time: Timestamp::default(),
        };
        reader.add(files)?;
        search::seek(&mut reader.files, format, &reader.query)?;
        Ok(reader)
    }

    fn add(&mut self, files: Vec<files::Found>) -> Result<()> {
        let last = files.len().saturating_sub(1);
        let directory = self.base.parent().unwrap_or(Path::new("/"));
        for (index, file) in files.into_iter().enumerate() {
            // Who does not follow reads what is there now, however fast more is written.
            let bounded = !self.query.follow && index == last;
            self.files.push_back(Cursor::new(file, self.format, bounded, directory)?);
        }
        Ok(())
    }

    /// The next entry. Never blocks for longer than the disk takes.
    ///
    /// # Errors
    /// What the file system says. Damage is no error: it is skipped and told with an [`Entry`] marked as a note.
    pub fn read(&mut self) -> Result<Step> {
        if let Some(watch) = &self.watch {
            watch.empty()?;
        }
        while !self.ended {
            match self.next_in_files()? {
                Some(entry) if self.query.until.is_some_and(|until| entry.time > until) => self.ended = true,
                Some(entry) if self.query.wants(&entry) => return Ok(Step::Entry(entry)),
                Some(_) => {}
                None if self.find_newer()? => {}
                None if self.query.follow && !self.complete => return Ok(Step::Wait),
                None => match self.leave_cursor()? {
                    Some(note) => return Ok(Step::Entry(note)),
                    None => self.ended = true,
                },
            }
        }
        Ok(Step::End)
    }

    /// The next entry of the present file or of those known to be newer.
    fn next_in_files(&mut self) -> Result<Option<Entry>> {
        loop {
            if let Some(cursor) = &mut self.cursor {
                match cursor.next()? {
                    Found::Record(entry) => {
                        self.time = entry.time;
                        return Ok(Some(entry));
                    }
                    Found::Damage(bytes) => return Ok(Some(self.damage(bytes))),
                    Found::End if self.files.is_empty() => return Ok(None),
                    Found::End => {}
                }
                if let Some(note) = self.leave_cursor()? {
                    return Ok(Some(note));
                }
            }
            let Some(next) = self.files.pop_front() else {
                self.cursor = None;
                return Ok(None);
            };
            if let Some(note) = self.enter(next)? {
                return Ok(Some(note));
            }
        }
    }

    /// Goes on with the next file; with a note where one was removed before it was read.
    fn enter(&mut self, mut next: Cursor) -> Result<Option<Entry>> {
        let number = next.number()?;
        let before = std::mem::replace(&mut self.number, number);
        let gap = std::mem::take(&mut self.gap);
        self.cursor = Some(next);
        if before == 0 || number == 0 {
            let text = "dhow: files of this log may have been removed before they could be read here\n";
            return Ok(gap.then(|| self.note(text.to_owned())));
        }
        let missing = number.saturating_sub(before).saturating_sub(1);
        let text = || format!("dhow: {missing} files of this log were removed before they could be read here\n");
        Ok((missing > 0).then(|| self.note(text())))
    }

    /// What is left in a file that nobody writes to any more is damaged, but whole entries may follow in it.
    fn leave_cursor(&mut self) -> Result<Option<Entry>> {
        let left = self.cursor.as_mut().map_or(Ok(0), Cursor::give_up)?;
        Ok((left > 0).then(|| self.damage(left)))
    }

    /// Looks for files that were made since; the present one is read to its end once more before they are.
    fn find_newer(&mut self) -> Result<bool> {
        if !self.query.follow {
            return Ok(false);
        }
        let context = || format!("follow log {}", self.base.display());
        if let Some(present) = &self.cursor
            && files::is_current(&self.base, present.identity()).context(context)?
        {
            return Ok(false);
        }
        let present = self.cursor.as_ref().map(Cursor::whereabouts).transpose()?;
        let newer = files::open_newer(&self.base, present).context(context)?;
        self.gap = present.is_some() && !newer.reached;
        self.add(newer.files)?;
        Ok(!self.files.is_empty())
    }

    fn damage(&self, bytes: u64) -> Entry {
        self.note(format!("dhow: {bytes} bytes of this log are damaged and were skipped\n"))
    }

    fn note(&self, text: String) -> Entry {
        Entry { stream: Stream::Stderr, time: self.time, line: text.into_bytes(), partial: false, note: true }
    }

    /// Readable when there may be something new; `None` when not following. The reader empties it itself.
    #[must_use]
    pub fn poll_fd(&self) -> Option<BorrowedFd<'_>> {
        self.watch.as_ref().map(AsFd::as_fd)
    }

    /// Tells that the container has ended and its log is complete: from now on the end is [`Step::End`], not
    /// [`Step::Wait`].
    pub fn finish(&mut self) {
        self.complete = true;
    }
}

impl From<crate::format::Record<'_>> for Entry {
    fn from(record: crate::format::Record<'_>) -> Self {
        let (stream, note) = match record.kind {
            Kind::Output(stream) => (stream, false),
            Kind::Note => (Stream::Stderr, true),
        };
        let line = record.line.into_owned();
        Self { stream, time: record.time, partial: !line.ends_with(b"\n"), line, note }
    }
}
