//! Disks that are full or hang.

use super::*;

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
