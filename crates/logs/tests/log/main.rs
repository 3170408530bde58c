//! A log as its two processes use it: written on one side, read on the other.

mod damage;
mod disk;
mod follow;
mod rotation;

use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use dhow_logs::{Config, Driver, Entry, Query, Reader, Step, Stream, Timestamp, Writer};
use proptest::prelude::*;
use tempfile::TempDir;

const BOTH: [Driver; 2] = [Driver::Local, Driver::JsonFile];

/// A log in a directory of its own.
struct World {
    _dir: TempDir,
    path: PathBuf,
    config: Config,
}

impl World {
    fn new(driver: Driver) -> Self {
        Self::with(Config { max_size: None, ..Config::of(driver) })
    }

    fn with(config: Config) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = config.path(dir.path(), "4f5e").unwrap();
        Self { _dir: dir, path, config }
    }

    fn writer(&self) -> Writer {
        Writer::open(Some(&self.path), &self.config).unwrap()
    }

    fn reader(&self, query: Query) -> Reader {
        Reader::open(&self.path, &self.config, query).unwrap()
    }

    fn read(&self, query: Query) -> Vec<Entry> {
        all(&mut self.reader(query))
    }

    fn text(&self, query: Query) -> String {
        text(&self.read(query))
    }

    fn write(&self, text: &str) {
        let mut writer = self.writer();
        writer.write(Stream::Stdout, text.as_bytes());
        writer.finish();
    }

    /// Lines that are each written and stamped on their own.
    fn write_lines(&self, numbers: std::ops::Range<u32>) {
        let mut writer = self.writer();
        for number in numbers {
            writer.write(Stream::Stdout, format!("{number}\n").as_bytes());
        }
    }
}

/// What is there up to the end, or to where one would wait.
fn all(reader: &mut Reader) -> Vec<Entry> {
    let mut entries = Vec::new();
    while let Step::Entry(entry) = reader.read().unwrap() {
        entries.push(entry);
    }
    entries
}

fn text(entries: &[Entry]) -> String {
    String::from_utf8(entries.iter().flat_map(|entry| entry.line.clone()).collect()).unwrap()
}

fn lines(numbers: std::ops::Range<u32>) -> String {
    numbers.map(|number| format!("{number}\n")).collect()
}

fn tail(lines: u64) -> Query {
    Query { tail: Some(lines), ..Query::default() }
}

fn follow() -> Query {
    Query { follow: true, ..Query::default() }
}

#[test]
fn streams_times_and_parts_come_back() {
    for driver in BOTH {
        let world = World::new(driver);
        let before = Timestamp::now();
        let mut writer = world.writer();
        writer.write(Stream::Stdout, b"out\nunfini");
        writer.write(Stream::Stderr, b"err\n");
        writer.write(Stream::Stdout, b"shed\n");
        writer.write(Stream::Stdout, &[b'x'; 20_000]);
        writer.finish();
        let entries = world.read(Query::default());
        let found: Vec<_> = entries.iter().map(|entry| (entry.stream, entry.line.len(), entry.partial)).collect();
        let (out, err) = (Stream::Stdout, Stream::Stderr);
        let wanted = [(out, 4, false), (err, 4, false), (out, 11, false), (out, 16_384, true), (out, 3_616, true)];
        assert_eq!(found, wanted);
        assert!(entries.is_sorted_by_key(|entry| entry.time));
        assert!(entries[0].time >= before && entries[4].time <= Timestamp::now());
        let only_stderr = world.text(Query { stdout: false, ..Query::default() });
        assert_eq!(only_stderr, "err\n");
    }
}

#[test]
fn a_json_file_is_what_docker_writes() {
    let world = World::new(Driver::JsonFile);
    world.write("a<b>&\tc\n");
    let text = fs::read_to_string(&world.path).unwrap();
    let time = world.read(Query::default())[0].time;
    assert_eq!(
        text,
        format!("{{\"log\":\"a\\u003cb\\u003e\\u0026\\u0009c\\n\",\"stream\":\"stdout\",\"time\":\"{time}\"}}\n")
    );
}

#[test]
fn the_tail_is_found_from_the_end() {
    for driver in BOTH {
        let world = World::new(driver);
        world.write(&lines(0..50_000));
        assert_eq!(world.text(tail(3)), "49997\n49998\n49999\n");
        assert_eq!(world.text(tail(30_000)), lines(20_000..50_000));
        assert_eq!(world.text(tail(0)), "");
        assert_eq!(world.text(tail(99_999)), lines(0..50_000));
        world.write("unfinished");
        assert_eq!(world.text(tail(2)), "49999\nunfinished");
    }
}

/// Bytes that this thread has read from files (proc_pid_io(5)).
fn bytes_read() -> u64 {
    let io = fs::read_to_string("/proc/thread-self/io").unwrap();
    io.lines().find_map(|line| line.strip_prefix("rchar: ")?.parse().ok()).unwrap()
}

/// moby#21265.
#[test]
fn the_tail_of_a_huge_log_is_read_without_the_rest() {
    for driver in BOTH {
        let world = World::new(driver);
        world.write("first\n");
        // 50 GB that take no room on the disk.
        OpenOptions::new().write(true).open(&world.path).unwrap().set_len(50_000_000_000).unwrap();
        world.write(&lines(0..1_000));
        let before = bytes_read();
        assert_eq!(world.text(tail(100)), lines(900..1_000));
        let read = bytes_read() - before;
        assert!((1_000..1_000_000).contains(&read), "{driver:?}: {read} bytes");
    }
}

#[test]
fn a_long_line_is_one_line_of_the_tail() {
    for driver in BOTH {
        let world = World::new(driver);
        world.write(&format!("one\ntwo\n{}\n", "x".repeat(100_000)));
        assert_eq!(world.text(tail(1)).len(), 100_001);
        assert_eq!(world.text(tail(2)).len(), 100_005);
    }
}

#[test]
fn since_and_until_cut_by_time() {
    for driver in BOTH {
        let world = World::new(driver);
        world.write_lines(0..20_000);
        let times: Vec<_> = world.read(Query::default()).iter().map(|entry| entry.time).collect();
        let cut = Query { since: Some(times[15_000]), until: Some(times[15_004]), ..Query::default() };
        assert_eq!(world.text(cut), lines(15_000..15_005));
        let late = Query { since: Some(Timestamp(i64::MAX)), ..Query::default() };
        assert_eq!(world.text(late), "");
        let both = Query { since: Some(times[19_999]), tail: Some(5), ..Query::default() };
        assert_eq!(world.text(both), "19999\n");
    }
}

#[test]
fn a_log_that_does_not_exist_is_empty() {
    let dir = tempfile::tempdir().unwrap();
    let mut reader = Reader::open(&dir.path().join("x.log"), &Config::default(), Query::default()).unwrap();
    assert_eq!(reader.read().unwrap(), Step::End);
    let none = Reader::open(&dir.path().join("x"), &Config::of(Driver::None), Query::default()).unwrap_err();
    assert_eq!(none.to_string(), "configured logging driver does not support reading");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_written_is_read(pieces: Vec<(bool, Vec<u8>)>) {
        let world = World::new(Driver::Local);
        let mut writer = world.writer();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        for (to_stdout, bytes) in &pieces {
            writer.write(if *to_stdout { Stream::Stdout } else { Stream::Stderr }, bytes);
            if *to_stdout { out.extend_from_slice(bytes) } else { err.extend_from_slice(bytes) }
        }
        writer.finish();
        let entries = world.read(Query::default());
        for (stream, wanted) in [(Stream::Stdout, out), (Stream::Stderr, err)] {
            let found: Vec<u8> = entries.iter().filter(|e| e.stream == stream).flat_map(|e| e.line.clone()).collect();
            prop_assert_eq!(found, wanted);
        }
    }

    #[test]
    fn no_damage_makes_the_reader_fail(hits in prop::collection::vec((0_usize..3_000, any::<u8>()), 1..30), json: bool) {
        let world = World::new(BOTH[usize::from(json)]);
        world.write(&lines(0..100));
        let mut file = OpenOptions::new().write(true).open(&world.path).unwrap();
        let length = file.metadata().unwrap().len() as usize;
        for (at, byte) in hits {
            file.seek(SeekFrom::Start((at % length) as u64)).unwrap();
            file.write_all(&[byte]).unwrap();
        }
        world.read(Query::default());
        for query in [tail(10), Query { since: Some(Timestamp::now()), ..Query::default() }] {
            world.read(query);
        }
    }
}
