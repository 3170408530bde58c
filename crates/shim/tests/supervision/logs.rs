//! The container's log: targets that stall, disks that are full, readers that do not read.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;

use dhow_logs::{Address, Config, Driver, Layout, Losses, Syslog, Target};
use dhow_shim::protocol::{Answer, Event, Kill, Op};
use rustix::mount::{MountFlags, UnmountFlags};

use crate::Test;
use crate::world::{World, interactive, output, read_all, send};

pub(crate) const TESTS: &[Test] = &[
    ("a_reader_that_does_not_read_never_blocks_the_container", a_reader_that_does_not_read_never_blocks_the_container),
    ("a_syslog_server_gets_the_output_and_a_copy_stays", a_syslog_server_gets_the_output_and_a_copy_stays),
    ("a_paused_log_server_stops_no_answer_and_no_end", a_paused_log_server_stops_no_answer_and_no_end),
    (
        "a_paused_log_server_stops_the_container_for_a_while_only",
        a_paused_log_server_stops_the_container_for_a_while_only,
    ),
    ("non_blocking_drops_are_counted_and_told", non_blocking_drops_are_counted_and_told),
    ("a_full_disk_costs_lines_and_nothing_else", a_full_disk_costs_lines_and_nothing_else),
    ("rotated_logs_are_compressed_beside_the_work", rotated_logs_are_compressed_beside_the_work),
];

fn a_reader_that_does_not_read_never_blocks_the_container() {
    let mut world = World::new("seq 400000");
    let (client, _) = world.attach(output());
    world.start().unwrap();
    // It ends although nobody has read a byte.
    world.exit();
    let text = read_all(client);
    world.gone();
    assert!(text == world.log() && text.ends_with("\n400000\n"), "{}", text.len());
    world.reap();
}

/// A log server of the test's own, which takes connections when it is asked to.
fn syslog(world: &mut World) -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = Address::Tcp(vec![listener.local_addr().unwrap()]);
    let layout = Syslog { facility: 3, format: Layout::Unix, counted: false };
    let target = Target::Syslog { address, layout, tag: "box".into(), hostname: "host".into() };
    world.launch.log = Config { target: Some(target), ..Config::of(Driver::Syslog) };
    listener
}

fn a_syslog_server_gets_the_output_and_a_copy_stays() {
    let mut world = World::new("seq 1000; echo oh >&2");
    let listener = syslog(&mut world);
    world.start().unwrap();
    let server = BufReader::new(listener.accept().unwrap().0);
    let messages: Vec<String> = server.lines().map(Result::unwrap).collect();
    let (exit, log) = world.end();
    assert_eq!(messages.len(), 1001);
    assert_eq!(messages.iter().filter(|message| message.starts_with("<27>") && message.ends_with(": oh")).count(), 1);
    assert_eq!(log.lines().count(), 1001);
    assert_eq!(exit.log_losses, Losses::default());
}

fn a_paused_log_server_stops_no_answer_and_no_end() {
    let mut world = World::new("yes");
    let _listener = syslog(&mut world);
    world.start().unwrap();
    for _ in 0..50 {
        assert!(matches!(world.call(Op::State).unwrap(), Answer::State(_)));
    }
    world.call(Op::Pause).unwrap();
    world.call(Op::Resume).unwrap();
    let (_, socket) = world.exec("e", "echo hello", Some(output())).unwrap();
    assert_eq!(read_all(socket), "hello\n");
    world.call(Op::Kill(Kill { signal: 9, all: true })).unwrap();
    let (exit, _) = world.end();
    assert!(exit.code == 137 && exit.log_losses.remote > 0, "{exit:?}");
}

fn a_paused_log_server_stops_the_container_for_a_while_only() {
    let mut world = World::new("seq 600000");
    let _listener = syslog(&mut world);
    world.start().unwrap();
    let (exit, log) = world.end();
    assert!(exit.code == 0 && exit.log_losses.remote > 0, "{exit:?}");
    let lines = log.lines().filter(|line| !line.starts_with("dhow: ")).count();
    assert_eq!(lines, 600_000);
    assert!(log.contains("takes no more") && log.contains(" lines did not reach syslog tcp://"));
}

fn non_blocking_drops_are_counted_and_told() {
    let mut world = World::new("seq 600000; read wait");
    world.launch.stdin_open = true;
    let _listener = syslog(&mut world);
    world.launch.log.buffer = Some(100_000);
    world.start().unwrap();
    let told = loop {
        match world.engine.next_event().unwrap() {
            Some(Event::LogLosses(losses)) => break losses,
            event => assert!(event.is_some(), "the shim lives"),
        }
    };
    assert!(told.remote > 0 && told.disk == 0, "{told:?}");
    let Answer::State(state) = world.call(Op::State).unwrap() else { panic!("no state") };
    assert!(state.log_losses.remote >= told.remote);
    world.call(Op::CloseStdin).unwrap();
    let (exit, log) = world.end();
    assert!(exit.log_losses.remote >= told.remote);
    assert_eq!(log.lines().filter(|line| !line.starts_with("dhow: ")).count(), 600_000);
}

fn a_full_disk_costs_lines_and_nothing_else() {
    let mut world = World::new("while read size; do head -c $size /dev/zero | tr '\\0' x; echo; done");
    world.launch.stdin_open = true;
    let logs = world.dir.path().join("log");
    fs::create_dir(&logs).unwrap();
    rustix::mount::mount("tmpfs", &logs, "tmpfs", MountFlags::empty(), Some(c"size=262144")).unwrap();
    fs::write(logs.join("ballast"), [0; 131_072]).unwrap();
    let (mut client, _) = world.attach(interactive());
    world.start().unwrap();
    send(&mut client, "10\n500000\n");
    let told = loop {
        match world.engine.next_event().unwrap() {
            Some(Event::LogLosses(losses)) => break losses,
            event => assert!(event.is_some(), "the shim lives"),
        }
    };
    assert!(told.disk > 0 && told.remote == 0, "{told:?}");
    // It goes on, and works again when there is room.
    fs::remove_file(logs.join("ballast")).unwrap();
    send(&mut client, "20\n");
    world.call(Op::CloseStdin).unwrap();
    drop(client);
    let exit = world.exit();
    assert!(exit.code == 0 && exit.log_losses.disk >= told.disk, "{exit:?}");
    let log = world.log();
    assert!(log.starts_with("xxxxxxxxxx\n") && log.ends_with("xxxxxxxxxxxxxxxxxxxx\n"), "{} bytes", log.len());
    assert!(log.contains("lines were lost here because they could not be written\n"));
    rustix::mount::unmount(&logs, UnmountFlags::DETACH).unwrap();
    world.gone();
    world.reap();
}

fn rotated_logs_are_compressed_beside_the_work() {
    let mut world = World::new("seq 50000; read wait");
    world.launch.stdin_open = true;
    world.launch.log = Config { max_size: Some(100_000), max_file: 100, compress: true, ..Config::default() };
    world.start().unwrap();
    let packed = || {
        let files = fs::read_dir(world.dir.path().join("log")).into_iter().flatten().flatten();
        files.filter(|file| file.file_name().to_string_lossy().ends_with("0.gz")).count()
    };
    dhow_testkit::eventually("files of the log are compressed", || packed() >= 1);
    world.call(Op::CloseStdin).unwrap();
    assert!(world.end().1.lines().eq((1..=50_000).map(|number| number.to_string())));
}
