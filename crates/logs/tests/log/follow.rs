//! Readers that wait for more.

use super::*;

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
fn who_does_not_follow_reads_what_was_there() {
    let world = World::new(Driver::Local);
    world.write("one\n");
    let mut reader = world.reader(Query::default());
    world.write("two\n");
    assert_eq!(text(&all(&mut reader)), "one\n");
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
