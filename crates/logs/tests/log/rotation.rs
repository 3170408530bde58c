//! Logs of several files.

use super::*;

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
