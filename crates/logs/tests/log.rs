//! A log as its two processes use it: written on one side, read on the other.

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
fn rotation_keeps_the_newest_and_reads_them_in_order() {
    for driver in BOTH {
        let world = World::with(Config { max_size: Some(10_000), max_file: 3, ..Config::of(driver) });
        world.write_lines(0..2_000);
        let text = world.text(Query::default());
        assert!(lines(0..2_000).ends_with(&text) && text.len() > 500, "{driver:?} {}", text.len());
        assert_eq!(fs::read_dir(world.path.parent().unwrap()).unwrap().count(), 3);
        for file in fs::read_dir(world.path.parent().unwrap()).unwrap() {
            assert!(file.unwrap().metadata().unwrap().len() <= 10_000);
        }
        let many = world.text(tail(150));
        assert_eq!(many, lines(1_850..2_000));
        let since = world.read(tail(200))[0].time;
        assert_eq!(world.text(Query { since: Some(since), ..Query::default() }), lines(1_800..2_000));
    }
}

#[test]
fn a_batch_larger_than_a_file_is_spread_over_files() {
    let world = World::with(Config { max_size: Some(1_000), max_file: 100, ..Config::default() });
    world.write(&lines(0..1_000));
    assert_eq!(world.text(Query::default()), lines(0..1_000));
}

#[test]
fn following_goes_on_through_rotations_until_the_log_is_complete() {
    for driver in BOTH {
        let world = World::with(Config { max_size: Some(5_000), max_file: 4, ..Config::of(driver) });
        let mut reader = world.reader(follow());
        assert_eq!(reader.read().unwrap(), Step::Wait);
        let mut seen = String::new();
        for round in 0..40 {
            world.write_lines(round * 50..round * 50 + 50);
            seen += &text(&all(&mut reader));
        }
        assert_eq!(seen, lines(0..2_000));
        assert_eq!(reader.read().unwrap(), Step::Wait);
        world.write("last\n");
        reader.finish();
        assert_eq!(text(&all(&mut reader)), "last\n");
        assert_eq!(reader.read().unwrap(), Step::End);
    }
}

#[test]
fn a_file_that_is_empty_yet_is_no_damage() {
    for driver in BOTH {
        let world = World::new(driver);
        let mut writer = world.writer();
        let mut reader = world.reader(follow());
        assert_eq!(reader.read().unwrap(), Step::Wait);
        writer.write(Stream::Stdout, b"hello\n");
        assert_eq!(text(&all(&mut reader)), "hello\n");
    }
}

#[test]
fn a_follower_is_woken() {
    let world = World::new(Driver::Local);
    let mut reader = world.reader(follow());
    assert_eq!(reader.read().unwrap(), Step::Wait);
    let writer = std::thread::scope(|scope| {
        scope.spawn(|| world.write("hello\n"));
        let mut fds =
            [rustix::event::PollFd::from_borrowed_fd(reader.poll_fd().unwrap(), rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut fds, None).unwrap();
        loop {
            match reader.read().unwrap() {
                Step::Entry(entry) => break entry,
                Step::Wait => continue,
                Step::End => panic!("the log is not complete"),
            }
        }
    });
    assert_eq!(writer.line, b"hello\n");
}

#[test]
fn a_log_that_does_not_exist_is_empty() {
    let dir = tempfile::tempdir().unwrap();
    let mut reader = Reader::open(&dir.path().join("x.log"), &Config::default(), Query::default()).unwrap();
    assert_eq!(reader.read().unwrap(), Step::End);
    let none = Reader::open(&dir.path().join("x"), &Config::of(Driver::None), Query::default()).unwrap_err();
    assert_eq!(none.to_string(), "configured logging driver does not support reading");
}

#[test]
fn who_does_not_follow_reads_what_was_there() {
    let world = World::new(Driver::Local);
    world.write("one\n");
    let mut reader = world.reader(Query::default());
    world.write("two\n");
    assert_eq!(text(&all(&mut reader)), "one\n");
}

#[test]
fn an_entry_that_was_being_written_is_no_damage() {
    for driver in BOTH {
        let world = World::new(driver);
        world.write_lines(1..3);
        let whole = fs::read(&world.path).unwrap();
        fs::write(&world.path, &whole[..whole.len() - 5]).unwrap();
        let mut cut = world.reader(Query::default());
        let mut written_on = world.reader(Query::default());
        assert!(text(&all(&mut cut)).starts_with("1\ndhow: "), "{driver:?}");
        OpenOptions::new().append(true).open(&world.path).unwrap().write_all(&whole[whole.len() - 5..]).unwrap();
        assert_eq!(text(&all(&mut written_on)), "1\n", "{driver:?}");
        assert_eq!(world.text(Query::default()), "1\n2\n", "{driver:?}");
    }
}

#[test]
fn a_damaged_record_costs_itself() {
    for driver in BOTH {
        let world = World::new(driver);
        world.write("first\nsecond\nthird\n");
        let bytes = fs::read(&world.path).unwrap();
        let at = bytes.windows(6).position(|window| window == b"second").unwrap() as u64;
        let file = OpenOptions::new().write(true).open(&world.path).unwrap();
        // In json-file the quote before is hit, so that the line is no JSON any more.
        file.write_all_at(b"xx", at - u64::from(driver == Driver::JsonFile)).unwrap();
        let entries = world.read(Query::default());
        let notes: Vec<_> = entries.iter().map(|entry| entry.note).collect();
        assert_eq!(notes, [false, true, false], "{driver:?}");
        assert_eq!((&entries[0].line[..], &entries[2].line[..]), (&b"first\n"[..], &b"third\n"[..]));
        assert_eq!(text(&world.read(tail(1))), "third\n");
    }
}

#[test]
fn an_entry_cut_in_the_middle_hides_nothing_behind_it() {
    for driver in BOTH {
        let world = World::new(driver);
        world.write("first\nsecond\n");
        let file = OpenOptions::new().write(true).open(&world.path).unwrap();
        file.set_len(fs::metadata(&world.path).unwrap().len() - 3).unwrap();
        assert_eq!(world.read(Query::default()).len(), 2);
        world.write("third\nfourth\n");
        let entries = world.read(Query::default());
        assert!(text(&entries).ends_with("fourth\n"), "{driver:?}: {entries:?}");
        assert_eq!(entries.iter().filter(|entry| entry.note).count(), 1);
    }
}

#[test]
fn a_log_of_a_log_is_not_taken_for_the_log() {
    let world = World::new(Driver::Local);
    world.write("inner\n");
    let inner = fs::read(&world.path).unwrap();
    let mut writer = world.writer();
    for _ in 0..20 {
        writer.write(Stream::Stderr, &inner);
    }
    writer.finish();
    for lines in 1..40 {
        let entries = world.read(tail(lines));
        assert!(entries.iter().all(|entry| entry.line != b"inner\n" || entry.stream == Stream::Stdout));
    }
}

#[test]
fn a_full_disk_drops_lines_tells_so_and_goes_on() {
    let Some(small) = small_file_system() else {
        eprintln!("SKIPPED: a file system of its own needs CAP_SYS_ADMIN");
        return;
    };
    let config = Config { max_size: None, ..Config::default() };
    let path = small.path.join("x.log");
    let mut writer = Writer::open(Some(&path), &config).unwrap();
    writer.write(Stream::Stdout, b"before\n");
    for _ in 0..10 {
        writer.write(Stream::Stdout, format!("{}\n", "x".repeat(15_000)).repeat(4).as_bytes());
    }
    let dropped = writer.losses().disk;
    assert!(dropped > 4, "{dropped}");
    fs::remove_file(small.path.join("ballast")).unwrap();
    writer.write(Stream::Stdout, b"after\n");
    assert_eq!(writer.losses().disk, dropped);
    let entries = all(&mut Reader::open(&path, &config, Query::default()).unwrap());
    let [.., note, last] = &entries[..] else { panic!("{}", entries.len()) };
    assert_eq!(last.line, b"after\n");
    assert!(note.note && text(&entries[entries.len() - 2..]).contains(&format!(" {dropped} lines ")));
}

/// A file that takes 64 KiB and then nothing, until somebody reads it.
fn pipe() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.log");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    (dir, path)
}

#[test]
fn a_disk_that_hangs_holds_nobody_back_who_does_not_want_to_wait() {
    let (_dir, path) = pipe();
    let config = Config { max_size: None, buffer: Some(100_000), ..Config::of(Driver::JsonFile) };
    // Somebody has it open who does not read yet.
    let mut reader = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let mut writer = Writer::open(Some(&path), &config).unwrap();
    let line = format!("{}\n", "x".repeat(999));
    for _ in 0..1000 {
        writer.write(Stream::Stdout, line.as_bytes());
    }
    let lost = writer.losses().disk;
    assert!((800..1000).contains(&lost), "{lost} of 1,000 lines of 1 kB, with room for 100 kB");
    // Now it takes again.
    let reading = std::thread::spawn(move || {
        let (mut text, mut piece) = (Vec::new(), [0; 1 << 16]);
        while !String::from_utf8_lossy(&text).contains("the end") {
            let length = std::io::Read::read(&mut reader, &mut piece).unwrap();
            text.extend_from_slice(&piece[..length]);
        }
        String::from_utf8(text).unwrap()
    });
    let told = |text: &str| text.contains("lines were lost here because they could not be written");
    writer.write(Stream::Stdout, b"the end\n");
    while writer.losses().disk > lost && !reading.is_finished() {
        // It was still too early for that one.
        std::thread::yield_now();
        writer.write(Stream::Stdout, b"the end\n");
    }
    let text = reading.join().unwrap();
    writer.finish();
    assert!(told(&text), "{}", &text[text.len() - 500..]);
    assert!(text.matches("xxx\\n").count() as u64 + lost == 1000);
}

#[test]
fn what_waits_for_no_disk_is_all_there_in_the_end() {
    for driver in BOTH {
        let world =
            World::with(Config { max_size: Some(200_000), max_file: 5, buffer: Some(1 << 20), ..Config::of(driver) });
        let mut writer = world.writer();
        for number in 0..5000 {
            writer
                .write(if number % 2 == 0 { Stream::Stdout } else { Stream::Stderr }, format!("{number}\n").as_bytes());
        }
        writer.finish();
        assert_eq!(writer.losses().disk, 0);
        let entries = world.read(Query::default());
        assert!(entries.is_sorted_by_key(|entry| entry.time));
        let text: Vec<String> =
            entries.iter().map(|entry| String::from_utf8_lossy(&entry.line).trim().to_owned()).collect();
        assert_eq!(text, (0..5000).map(|number| number.to_string()).collect::<Vec<_>>());
    }
}

#[test]
fn zeros_in_the_middle_cost_their_records_and_since_is_still_right() {
    // moby#53631: with dockerd everything behind the damage is missing, without a word.
    for driver in BOTH {
        let world = World::new(driver);
        world.write_lines(0..30_000);
        let all = world.read(Query::default());
        let length = fs::metadata(&world.path).unwrap().len();
        let file = OpenOptions::new().write(true).open(&world.path).unwrap();
        file.write_all_at(&[0; 100], length / 2).unwrap();
        let entries = world.read(Query::default());
        let (notes, lines): (Vec<_>, Vec<_>) = entries.into_iter().partition(|entry| entry.note);
        assert_eq!(notes.len(), 1, "{driver:?}");
        assert!(text(&notes).contains("are damaged and were skipped"));
        let missing = all.len() - lines.len();
        assert!((1..=5).contains(&missing), "{driver:?}: {missing}");
        assert!(lines.iter().all(|line| all.contains(line)));
        for from in [5_000, 14_000, 25_000] {
            let since = Query { since: Some(all[from].time), ..Query::default() };
            let found: Vec<_> = world.read(since).into_iter().filter(|entry| !entry.note).collect();
            let wanted: Vec<_> = lines.iter().filter(|line| line.time >= all[from].time).cloned().collect();
            assert_eq!(found.len(), wanted.len(), "{driver:?} since {from}");
        }
        assert_eq!(text(&world.read(tail(10))).lines().count(), 10);
    }
}

#[test]
fn a_record_of_nothing_but_zeros_hides_no_neighbour() {
    for driver in BOTH {
        let world = World::new(driver);
        world.write("first\n");
        let (begin, rest) = (fs::metadata(&world.path).unwrap().len(), "second\nthird\n");
        world.write("lost\n");
        let end = fs::metadata(&world.path).unwrap().len();
        world.write(rest);
        let file = OpenOptions::new().write(true).open(&world.path).unwrap();
        file.write_all_at(&vec![0; (end - begin) as usize], begin).unwrap();
        let entries = world.read(Query::default());
        let notes: Vec<_> = entries.iter().map(|entry| entry.note).collect();
        assert_eq!(notes, [false, true, false, false], "{driver:?}");
        assert_eq!(text(&entries[2..]), rest);
    }
}

#[test]
fn rotated_files_that_are_compressed_are_read_like_others() {
    for driver in BOTH {
        let config = Config { max_size: Some(20_000), max_file: 5, compress: true, ..Config::of(driver) };
        let world = World::with(config);
        let mut writer = world.writer();
        for number in 0..5_000 {
            writer.write(Stream::Stdout, format!("{number}\n").as_bytes());
            while writer.work() {}
        }
        writer.finish();
        let names = || {
            let files = fs::read_dir(world.path.parent().unwrap()).unwrap();
            files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(names().iter().filter(|name| name.ends_with(".gz")).count(), 4, "{driver:?}: {:?}", names());
        assert_eq!(names().len(), 5);
        let all = world.read(Query::default());
        assert!(lines(0..5_000).ends_with(&text(&all)) && all.len() > 500, "{driver:?}");
        assert_eq!(world.text(tail(400)), lines(4_600..5_000));
        let since = all[all.len() - 700].time;
        assert_eq!(world.text(Query { since: Some(since), ..Query::default() }), lines(4_300..5_000));
    }
}

#[test]
fn a_log_of_stock_docker_is_read_with_its_rotated_and_compressed_files() {
    let world = World::new(Driver::JsonFile);
    let line = |text: &str, second: u32| {
        format!(
            "{{\"log\":\"{text}\\n\",\"stream\":\"stderr\",\"attrs\":{{\"tag\":\"x\"}},\
             \"time\":\"2024-05-01T12:00:0{second}.123456789Z\"}}\n"
        )
    };
    fs::create_dir_all(world.path.parent().unwrap()).unwrap();
    let sibling = |suffix: &str| PathBuf::from(format!("{}{suffix}", world.path.display()));
    let gzip = fs::File::create(sibling(".2.gz")).unwrap();
    let mut encoder = flate2::write::GzEncoder::new(gzip, flate2::Compression::default());
    encoder.write_all(line("oldest", 1).as_bytes()).unwrap();
    encoder.finish().unwrap();
    fs::write(sibling(".1"), line("older", 2)).unwrap();
    fs::write(&world.path, line("a \\u003cb\\u003e", 3)).unwrap();
    let entries = world.read(Query::default());
    assert_eq!(text(&entries), "oldest\nolder\na <b>\n");
    assert_eq!(entries[2].time.to_string(), "2024-05-01T12:00:03.123456789Z");
    assert!(entries.iter().all(|entry| entry.stream == Stream::Stderr));
    assert_eq!(world.text(tail(3)), "oldest\nolder\na <b>\n");
    // A container goes on with it.
    world.write("ours\n");
    assert_eq!(world.text(tail(2)), "a <b>\nours\n");
}

#[test]
fn a_rotated_file_that_somebody_removed_is_told() {
    for driver in BOTH {
        let world = World::with(Config { max_size: Some(5_000), max_file: 10, ..Config::of(driver) });
        world.write_lines(0..600);
        fs::remove_file(format!("{}.2", world.path.display())).unwrap();
        let entries = world.read(Query::default());
        assert!(text(&entries).ends_with("599\n"));
        assert!(entries[0].line == b"0\n" && entries.len() < 601, "{driver:?}");
        // Docker's format has no place for a number.
        let notes = entries.iter().filter(|entry| entry.note).count();
        assert_eq!(notes, usize::from(driver == Driver::Local));
    }
}

#[test]
fn a_follower_that_is_slow_loses_nothing_through_a_thousand_rotations() {
    for compress in [false, true] {
        for driver in BOTH {
            let config = Config { max_size: Some(1_000), max_file: 2, compress, ..Config::of(driver) };
            let world = World::with(config);
            let mut writer = world.writer();
            let mut reader = world.reader(follow());
            let (mut seen, mut rotations) = (String::new(), 0);
            for number in 0..25_000 {
                writer.write(Stream::Stdout, format!("{number}\n").as_bytes());
                while writer.work() {}
                // It comes to it every now and then only.
                if number % 1_000 == 999 {
                    seen += &text(&all(&mut reader));
                    rotations += 1;
                }
            }
            drop(writer);
            reader.finish();
            seen += &text(&all(&mut reader));
            assert_eq!(rotations, 25);
            assert!(seen == lines(0..25_000), "{driver:?}: {} lines", seen.lines().count());
        }
    }
}

#[test]
fn a_follower_that_is_too_slow_is_told_what_it_missed() {
    let world = World::with(Config { max_size: Some(20_000_000), max_file: 2, ..Config::default() });
    let mut writer = world.writer();
    let mut reader = world.reader(follow());
    writer.write(Stream::Stdout, b"first\n");
    assert_eq!(text(&all(&mut reader)), "first\n");
    let line = [vec![b'x'; 16_000], b"\n".to_vec()].concat().repeat(4);
    for _ in 0..4_000 {
        writer.write(Stream::Stdout, &line);
    }
    let entries = all(&mut reader);
    assert!(entries.iter().any(|entry| entry.note && text(std::slice::from_ref(entry)).contains("were removed")));
}

#[test]
fn a_log_that_was_emptied_by_hand_is_followed_on() {
    // moby#37646: `truncate -s 0` on the file of a running container.
    for driver in BOTH {
        let world = World::new(driver);
        let mut writer = world.writer();
        let mut reader = world.reader(follow());
        writer.write(Stream::Stdout, b"one\ntwo\n");
        assert_eq!(text(&all(&mut reader)), "one\ntwo\n");
        OpenOptions::new().write(true).open(&world.path).unwrap().set_len(0).unwrap();
        assert_eq!(reader.read().unwrap(), Step::Wait);
        writer.write(Stream::Stdout, b"three\n");
        assert_eq!(text(&all(&mut reader)), "three\n", "{driver:?}");
        assert_eq!(world.text(Query::default()), "three\n");
        writer.write(Stream::Stdout, b"four\n");
        assert_eq!(world.text(tail(1)), "four\n");
    }
}

#[test]
fn the_tail_of_a_log_full_of_zeros_is_found_too() {
    for driver in BOTH {
        let world = World::new(driver);
        world.write("first\n");
        OpenOptions::new().write(true).open(&world.path).unwrap().set_len(1_000_000_000).unwrap();
        world.write(&lines(0..100));
        assert_eq!(world.text(tail(50)), lines(50..100));
    }
}

/// A tmpfs of 256 KiB that is attached nowhere; half of it is taken by a file named `ballast`.
struct SmallFileSystem {
    _mount: std::os::fd::OwnedFd,
    path: PathBuf,
}

fn small_file_system() -> Option<SmallFileSystem> {
    use rustix::mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen,
    };
    use std::os::fd::AsRawFd;
    let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC).ok()?;
    fsconfig_set_string(&context, "size", "262144").ok()?;
    fsconfig_create(&context).ok()?;
    let mount = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty()).ok()?;
    let path = Path::new("/proc/self/fd").join(mount.as_raw_fd().to_string());
    fs::write(path.join("ballast"), [0; 131_072]).unwrap();
    Some(SmallFileSystem { _mount: mount, path })
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
