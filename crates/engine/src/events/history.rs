//! Events on disk: `events.log` in the data root, and `events.log.1`, the one before.
//!
//! The first line names the format. Each further line is one event: its number, its time in nanoseconds since 1970, and
//! the rest as JSON. A line is written with one call and never synced: a killed engine loses nothing, a power cut the
//! last ones. A damaged line costs that line. When a file is full the one before is thrown away.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use dhow_errdefs::{Result, ResultExt};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Event, EventKind};

/// The first line.
const FORMAT: &str = "dhow events 1\n";
/// Bytes of one file; there are two. About 2,500 events.
const LIMIT: u64 = 1 << 20;
/// The longest line that is read, and so the longest that is written. Events are cut long before.
const LONGEST: u64 = 256 * 1024;

/// The writing end.
#[derive(Debug)]
pub(super) struct History {
    path: PathBuf,
    /// `None` after a failure to make it; the next event tries again.
    file: Option<File>,
    size: u64,
    /// The failure was told.
    warned: bool,
}

/// The reading end, as of now: later changes of the files do not disturb it.
#[derive(Debug)]
pub(super) struct Reader(Vec<File>);

/// An event as it is written, without number and time.
#[derive(Serialize, Deserialize)]
struct Line<'a> {
    kind: EventKind,
    #[serde(borrow)]
    action: Cow<'a, str>,
    #[serde(borrow)]
    id: Cow<'a, str>,
    attributes: Cow<'a, BTreeMap<String, String>>,
}

impl History {
    /// Opens the history and tells the number of the next event. Another version's is put aside.
    pub(super) fn open(data_root: &Path) -> Result<(Self, u64)> {
        let path = data_root.join("events.log");
        let mut history = Self { path, file: None, size: 0, warned: false };
        let last = history.resume().context(|| format!("open {}", history.path.display()))?;
        let older = Reader(File::open(history.older()).into_iter().collect());
        Ok((history, last.or_else(|| older.last()).map_or(0, |last| last + 1)))
    }

    /// Takes up the file there is; gives the number of its last event.
    fn resume(&mut self) -> io::Result<Option<u64>> {
        let mut file = match File::options().read(true).append(true).open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return self.begin().map(|()| None),
            Err(error) => return Err(error),
        };
        let mut head = [0; FORMAT.len()];
        let ours = file.read_exact(&mut head).is_ok() && head == FORMAT.as_bytes();
        let last = Reader(vec![file.try_clone()?]).last();
        if !ours {
            self.begin()?;
            return Ok(last);
        }
        self.size = file.seek(SeekFrom::End(0))?;
        // After a cut the last line may be half there; it ends here.
        file.seek(SeekFrom::End(-1))?;
        let mut end = [0];
        file.read_exact(&mut end)?;
        if end != *b"\n" {
            file.write_all(b"\n")?;
            self.size += 1;
        }
        self.file = Some(file);
        Ok(last)
    }

    /// Begins a file; the one there is becomes the one before.
    fn begin(&mut self) -> io::Result<()> {
        use std::os::unix::fs::OpenOptionsExt;
        self.file = None;
        match fs::rename(&self.path, self.older()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = File::options().read(true).append(true).create_new(true).mode(0o600).open(&self.path)?;
        file.write_all(FORMAT.as_bytes())?;
        (self.file, self.size) = (Some(file), FORMAT.len() as u64);
        Ok(())
    }

    fn older(&self) -> PathBuf {
        self.path.with_extension("log.1")
    }

    /// Writes an event down. What cannot be written (a full disk) was told to who listens all the same.
    pub(super) fn append(&mut self, number: u64, event: &Event) {
        match self.try_append(number, event) {
            Ok(()) => self.warned = false,
            Err(error) if !self.warned => {
                self.warned = true;
                tracing::warn!(%error, "events cannot be written down");
            }
            Err(_) => {}
        }
    }

    fn try_append(&mut self, number: u64, event: &Event) -> io::Result<()> {
        let mut line = Vec::with_capacity(512);
        write!(line, "{number} {} ", event.time.as_nanosecond())?;
        let rest = Line {
            kind: event.kind,
            action: Cow::Borrowed(&event.action),
            id: Cow::Borrowed(&event.id),
            attributes: Cow::Borrowed(&event.attributes),
        };
        serde_json::to_writer(&mut line, &rest)?;
        line.push(b'\n');
        if line.len() as u64 > LONGEST {
            return Err(io::Error::other(format!("one of {} bytes could not be read again", line.len())));
        }
        if self.file.is_none() || self.size + line.len() as u64 > LIMIT {
            self.begin()?;
        }
        if let Some(file) = &mut self.file {
            file.write_all(&line)?;
            self.size += line.len() as u64;
        }
        Ok(())
    }

    /// For reading what is written now.
    pub(super) fn reader(&self) -> Reader {
        let paths = [self.older(), self.path.clone()];
        Reader(paths.iter().filter_map(|path| File::open(path).ok()).collect())
    }
}

impl Reader {
    /// The events with these numbers that are not older than `since`: the first so many.
    pub(super) fn read(self, numbers: Range<u64>, since: Option<Timestamp>, most: usize) -> Vec<(u64, Event)> {
        let since = since.map_or(i128::MIN, Timestamp::as_nanosecond);
        let mut found = Vec::new();
        self.each_line(0, |line| {
            let Some((number, nanos, rest)) = split(line) else { return true };
            if numbers.contains(&number)
                && nanos >= since
                && let Some(event) = parse(nanos, rest)
            {
                found.push((number, event));
            }
            found.len() < most
        });
        found
    }

    /// The number of the last event.
    fn last(self) -> Option<u64> {
        let mut last = None;
        self.each_line(LONGEST, |line| {
            last = split(line).map_or(last, |(number, ..)| Some(number));
            true
        });
        last
    }

    /// Every whole line, until `each` has enough; with `tail`, only of the last so many bytes.
    fn each_line(self, tail: u64, mut each: impl FnMut(&[u8]) -> bool) {
        for mut file in self.0 {
            let start = if tail == 0 { 0 } else { file.metadata().map_or(0, |data| data.len().saturating_sub(tail)) };
            let Ok(_) = file.seek(SeekFrom::Start(start)) else { continue };
            let mut lines = BufReader::new(file);
            let mut line = Vec::new();
            // Who cannot be read any further ends like the file.
            while let Ok(1..) = (&mut lines).take(LONGEST).read_until(b'\n', &mut line) {
                if !each(&line) {
                    return;
                }
                line.clear();
            }
        }
    }
}

/// Number, time and the rest; `None` for a line that is none of an event.
fn split(line: &[u8]) -> Option<(u64, i128, &str)> {
    let text = std::str::from_utf8(line).ok()?.strip_suffix('\n')?;
    let (number, text) = text.split_once(' ')?;
    let (nanos, rest) = text.split_once(' ')?;
    Some((number.parse().ok()?, nanos.parse().ok()?, rest))
}

fn parse(nanos: i128, rest: &str) -> Option<Event> {
    let Line { kind, action, id, attributes } = serde_json::from_str(rest).ok()?;
    let time = Timestamp::from_nanosecond(nanos).ok()?;
    Some(Event { kind, action: action.into_owned(), id: id.into_owned(), attributes: attributes.into_owned(), time })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(second: i64, name: &str) -> Event {
        let attributes = BTreeMap::from([("name".to_owned(), name.to_owned())]);
        let time = Timestamp::from_second(second).unwrap();
        Event { kind: EventKind::Container, action: "start".into(), id: "c".into(), attributes, time }
    }

    fn numbers(history: &History, since: Option<i64>) -> Vec<u64> {
        let since = since.map(|second| Timestamp::from_second(second).unwrap());
        history.reader().read(0..u64::MAX, since, usize::MAX).into_iter().map(|(number, _)| number).collect()
    }

    #[test]
    fn what_is_written_is_read_back_also_by_the_next_engine() {
        let folder = tempfile::tempdir().unwrap();
        let (mut history, next) = History::open(folder.path()).unwrap();
        assert_eq!(next, 0);
        history.append(0, &event(10, "quoted \" and\nbroken"));
        history.append(1, &event(20, "b"));
        let (history, next) = History::open(folder.path()).unwrap();
        assert_eq!(next, 2);
        let read = history.reader().read(0..9, None, 9);
        assert_eq!(read, [(0, event(10, "quoted \" and\nbroken")), (1, event(20, "b"))]);
        assert_eq!(numbers(&history, Some(15)), [1]);
        assert_eq!(history.reader().read(0..9, None, 1).len(), 1);
        assert_eq!(history.reader().read(1..2, None, 9).len(), 1);
    }

    #[test]
    fn two_files_are_all_there_ever_is() {
        let folder = tempfile::tempdir().unwrap();
        let (mut history, _) = History::open(folder.path()).unwrap();
        let long = "x".repeat(10_000);
        for number in 0..500 {
            history.append(number, &event(1, &long));
        }
        let left = numbers(&history, None);
        assert!(left.len() > 100 && left.len() < 220, "{}", left.len());
        assert_eq!(left.last(), Some(&499));
        assert!(left.windows(2).all(|pair| pair[0] + 1 == pair[1]));
        let bytes: u64 = fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum();
        assert!(bytes <= 2 * LIMIT, "{bytes}");
        assert_eq!(History::open(folder.path()).unwrap().1, 500);
    }

    #[test]
    fn damage_costs_the_damaged_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.log");
        let (mut history, _) = History::open(folder.path()).unwrap();
        (0..3).for_each(|number| history.append(number, &event(1, "n")));
        let mut bytes = fs::read(&path).unwrap();
        let second = FORMAT.len() + (bytes.len() - FORMAT.len()) / 3;
        bytes[second..second + 9].fill(0);
        // The last line was cut in the middle.
        bytes.truncate(bytes.len() - 5);
        fs::write(&path, bytes).unwrap();
        let (mut history, next) = History::open(folder.path()).unwrap();
        history.append(next, &event(1, "after"));
        assert_eq!(numbers(&history, None), [0, next]);
    }

    #[test]
    fn another_versions_file_is_put_aside() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("events.log"), "dhow events 2\nwho knows\n").unwrap();
        let (mut history, next) = History::open(folder.path()).unwrap();
        history.append(next, &event(1, "n"));
        assert_eq!(numbers(&history, None), [0]);
        assert!(fs::read_to_string(folder.path().join("events.log.1")).unwrap().contains("who knows"));
    }

    #[test]
    fn what_could_not_be_read_again_is_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let (mut history, _) = History::open(folder.path()).unwrap();
        history.append(0, &event(1, "a"));
        (1..3).for_each(|number| history.append(number, &event(1, &"x".repeat(2 << 20))));
        history.append(3, &event(1, "b"));
        assert_eq!(numbers(&history, None), [0, 3]);
    }
}
