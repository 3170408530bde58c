//! What a disk or a crash did to a log costs that, and nothing else.

use super::*;

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
fn the_tail_of_a_log_full_of_zeros_is_found_too() {
    for driver in BOTH {
        let world = World::new(driver);
        world.write("first\n");
        OpenOptions::new().write(true).open(&world.path).unwrap().set_len(1_000_000_000).unwrap();
        world.write(&lines(0..100));
        assert_eq!(world.text(tail(50)), lines(50..100));
    }
}
