//! Remote targets, played by sockets of the test's own.

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dhow_logs::{Address, Config, Driver, Layout, Losses, Query, Reader, Step, Stream, Syslog, Target, Writer};
use rustix::event::{PollFd, PollFlags, Timespec};
use tempfile::TempDir;

struct World {
    dir: TempDir,
    config: Config,
}

impl World {
    fn new(target: Target) -> Self {
        let driver = if matches!(target, Target::Syslog { .. }) { Driver::Syslog } else { Driver::Journald };
        Self { dir: tempfile::tempdir().unwrap(), config: Config { target: Some(target), ..Config::of(driver) } }
    }

    fn syslog(address: Address, format: Layout) -> Self {
        let layout = Syslog { facility: 3, format, counted: false };
        Self::new(Target::Syslog { address, layout, tag: "box".into(), hostname: "host".into() })
    }

    fn non_blocking(mut self, buffer: u64) -> Self {
        self.config.buffer = Some(buffer);
        self
    }

    fn path(&self) -> PathBuf {
        self.config.path(self.dir.path(), "4f5e").unwrap()
    }

    fn writer(&self) -> Writer {
        Writer::open(Some(&self.path()), &self.config).unwrap()
    }

    /// The local copy: lines and notes.
    fn copy(&self) -> (String, Vec<String>) {
        let mut reader = Reader::open(&self.path(), &self.config, Query::default()).unwrap();
        let (mut text, mut notes) = (String::new(), Vec::new());
        while let Step::Entry(entry) = reader.read().unwrap() {
            let line = String::from_utf8(entry.line).unwrap();
            if entry.note { notes.push(line) } else { text += &line }
        }
        (text, notes)
    }
}

/// What a shim does between two reads.
fn serve_until(writer: &mut Writer, mut done: impl FnMut(&Writer) -> bool) {
    while !done(writer) {
        let fd = writer.poll_fd().unwrap();
        let second = Timespec { tv_sec: 1, tv_nsec: 0 };
        rustix::event::poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::IN)], Some(&second)).unwrap();
        writer.on_ready();
    }
}

fn tcp() -> (TcpListener, Address) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, Address::Tcp(vec![address]))
}

fn lines(count: usize) -> String {
    (0..count).map(|number| format!("line {number}\n")).collect()
}

#[test]
fn a_syslog_server_gets_every_line_over_tcp_and_a_copy_stays_here() {
    let (listener, address) = tcp();
    let world = World::syslog(address, Layout::Rfc5424Micro);
    let mut writer = world.writer();
    let (mut server, _) = listener.accept().unwrap();
    writer.write(Stream::Stdout, b"one\ntwo");
    writer.write(Stream::Stderr, b"oh\n");
    writer.finish();
    let losses = writer.losses();
    drop(writer);
    let mut received = String::new();
    server.read_to_string(&mut received).unwrap();
    let lines: Vec<&str> = received.lines().collect();
    assert_eq!(lines.len(), 3, "{received}");
    assert!(lines[0].starts_with("<30>1 ") && lines[0].ends_with(" - one") && lines[0].contains("Z host box "));
    assert!(lines[1].starts_with("<27>1 ") && lines[1].ends_with(" - oh"));
    assert!(lines[2].ends_with(" - two"));
    assert_eq!(losses, Losses::default());
    assert_eq!(world.copy(), ("one\noh\ntwo".to_owned(), Vec::new()));
}

#[test]
fn datagrams_carry_a_message_each() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let server = UnixDatagram::bind(&path).unwrap();
    let world = World::syslog(Address::Unixgram(path), Layout::Unix);
    let mut writer = world.writer();
    writer.write(Stream::Stdout, b"one\ntwo\n");
    let mut buffer = [0; 1000];
    for line in ["one", "two"] {
        let count = server.recv(&mut buffer).unwrap();
        let message = std::str::from_utf8(&buffer[..count]).unwrap();
        assert!(message.starts_with("<30>") && message.ends_with(&format!("]: {line}\n")), "{message}");
    }
}

#[test]
fn udp_and_unix_streams_are_served_as_well() {
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let world = World::syslog(Address::Udp(vec![udp.local_addr().unwrap()]), Layout::Rfc3164);
    world.writer().write(Stream::Stdout, b"hello\n");
    let mut buffer = [0; 1000];
    let count = udp.recv(&mut buffer).unwrap();
    assert!(buffer[..count].ends_with(b"]: hello\n"));

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("stream");
    let listener = UnixListener::bind(&path).unwrap();
    let world = World::syslog(Address::Unix(path), Layout::Unix);
    let mut writer = world.writer();
    writer.write(Stream::Stdout, b"hello\n");
    let mut line = String::new();
    BufReader::new(listener.accept().unwrap().0).read_line(&mut line).unwrap();
    assert!(line.ends_with("]: hello\n"));
}

#[test]
fn nobody_at_the_udp_port_stops_nothing() {
    let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let world = World::syslog(Address::Udp(vec![port]), Layout::Unix);
    let mut writer = world.writer();
    for _ in 0..10 {
        writer.write(Stream::Stdout, b"x\n");
    }
    writer.finish();
    assert_eq!(world.copy().0, "x\n".repeat(10));
}

#[test]
fn the_journal_gets_fields() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("socket");
    let journal = UnixDatagram::bind(&socket).unwrap();
    let fields = [("CONTAINER_NAME".to_owned(), "box".to_owned())].into();
    let world = World::new(Target::Journald { socket, fields });
    let mut writer = world.writer();
    writer.write(Stream::Stderr, b"oh\n");
    writer.write(Stream::Stdout, &[vec![b'x'; 16_384], b"end\n".to_vec()].concat());
    let mut buffer = vec![0; 100_000];
    let mut message = || {
        let count = journal.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..count].to_vec()).unwrap()
    };
    let first = message();
    for field in ["CONTAINER_NAME=box\n", "MESSAGE=oh\n", "PRIORITY=3\n", "CONTAINER_LOG_ORDINAL=1\n"] {
        assert!(first.contains(field), "{first}");
    }
    assert!(message().contains("CONTAINER_PARTIAL_MESSAGE=true\n"));
    assert!(message().contains("MESSAGE=end\nPRIORITY=6\n"));
}

#[test]
fn a_target_that_is_not_there_is_an_error_at_the_start() {
    let (listener, address) = tcp();
    let port = listener.local_addr().unwrap();
    drop(listener);
    let world = World::syslog(address, Layout::Unix);
    let error = Writer::open(None, &world.config).unwrap_err().to_string();
    assert!(error.starts_with(&format!("failed to initialize logging driver: dial tcp {port}: connect: ")), "{error}");
    let target = Target::Journald { socket: Path::new("/nowhere/socket").to_owned(), fields: Default::default() };
    let error = Writer::open(None, &World::new(target).config).unwrap_err().to_string();
    assert_eq!(error, "failed to initialize logging driver: journald is not enabled on this host");
}

/// A server that takes nothing, and lines until it takes no more.
fn stalled(world: &World, listener: &TcpListener) -> (Writer, std::net::TcpStream, usize) {
    let mut writer = world.writer();
    let (server, _) = listener.accept().unwrap();
    let mut written = 0;
    while !writer.is_full() && writer.losses().remote == 0 {
        writer.write(Stream::Stdout, lines(1000).as_bytes());
        written += 1000;
    }
    (writer, server, written)
}

fn read_all(server: std::net::TcpStream) -> std::thread::JoinHandle<usize> {
    std::thread::spawn(move || BufReader::new(server).lines().map_while(Result::ok).count())
}

#[test]
fn blocking_holds_the_container_for_a_while_and_then_goes_on_without_the_target() {
    let (listener, address) = tcp();
    let world = World::syslog(address, Layout::Unix);
    let mut writer = world.writer();
    let (server, _) = listener.accept().unwrap();
    let (begin, mut written) = (Instant::now(), 0);
    while writer.losses().remote == 0 {
        serve_until(&mut writer, |writer| !writer.is_full());
        writer.write(Stream::Stdout, lines(1000).as_bytes());
        written += 1000;
    }
    assert!(begin.elapsed() >= Duration::from_secs(4), "it was held back");
    let lost = writer.losses().remote;
    assert!(lost > 0 && !writer.is_full());
    // Nothing is missing here, and it is told.
    let (text, notes) = world.copy();
    assert_eq!(text.lines().count(), written);
    assert!(notes[0].contains("takes no more"), "{notes:?}");
    // It takes again: the rest arrives, and what did not is told.
    let received = read_all(server);
    writer.finish();
    assert_eq!(writer.losses().remote, lost);
    drop(writer);
    assert_eq!(received.join().unwrap() as u64, written as u64 - lost);
    assert!(world.copy().1.last().unwrap().starts_with(&format!("dhow: {lost} lines did not reach syslog tcp://")));
}

#[test]
fn blocking_loses_nothing_at_a_target_that_is_slow_only() {
    let (listener, address) = tcp();
    let world = World::syslog(address, Layout::Unix);
    let (mut writer, server, mut written) = stalled(&world, &listener);
    let received = read_all(server);
    for _ in 0..50 {
        serve_until(&mut writer, |writer| !writer.is_full());
        writer.write(Stream::Stdout, lines(1000).as_bytes());
        written += 1000;
    }
    writer.finish();
    assert_eq!(writer.losses().remote, 0);
    drop(writer);
    assert_eq!(received.join().unwrap(), written);
}

#[test]
fn non_blocking_never_holds_and_counts_what_it_drops() {
    let (listener, address) = tcp();
    let world = World::syslog(address, Layout::Unix).non_blocking(10_000);
    let (mut writer, server, written) = stalled(&world, &listener);
    assert!(!writer.is_full());
    let lost = writer.losses().remote;
    assert!(lost > 0);
    let received = read_all(server);
    writer.finish();
    drop(writer);
    assert_eq!(received.join().unwrap() as u64, written as u64 - lost);
    let (text, notes) = world.copy();
    assert_eq!(text.lines().count(), written);
    assert!(notes.last().unwrap().contains(&format!("{lost} lines did not reach")), "{notes:?}");
}

#[test]
fn a_server_that_comes_back_is_connected_to_again() {
    let (listener, address) = tcp();
    let world = World::syslog(address, Layout::Unix);
    let mut writer = world.writer();
    let (server, _) = listener.accept().unwrap();
    writer.write(Stream::Stdout, b"first\n");
    let mut line = String::new();
    BufReader::new(&server).read_line(&mut line).unwrap();
    drop(server);
    listener.set_nonblocking(true).unwrap();
    let mut again = None;
    serve_until(&mut writer, |_| {
        again = listener.accept().ok();
        again.is_some()
    });
    writer.write(Stream::Stdout, b"second\n");
    writer.finish();
    drop(writer);
    let mut rest = String::new();
    let (mut server, _): (_, SocketAddr) = again.unwrap();
    server.set_nonblocking(false).unwrap();
    server.read_to_string(&mut rest).unwrap();
    assert!(rest.ends_with("]: second\n"), "{rest}");
}

#[test]
fn the_end_does_not_wait_for_a_target_that_is_stuck() {
    let (listener, address) = tcp();
    let world = World::syslog(address, Layout::Unix);
    let (mut writer, _server, _) = stalled(&world, &listener);
    writer.finish();
    assert!(writer.losses().remote > 0);
    let (_, notes) = world.copy();
    assert!(notes.last().unwrap().contains("lines did not reach"), "{notes:?}");
}

#[test]
fn without_a_copy_lines_are_sent_all_the_same() {
    let (listener, address) = tcp();
    let mut world = World::syslog(address, Layout::Unix);
    world.config.cache_disabled = true;
    assert_eq!(world.config.path(Path::new("/c"), "id"), None);
    let mut writer = Writer::open(None, &world.config).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    writer.write(Stream::Stdout, b"x\n");
    drop(writer);
    let mut received = String::new();
    server.read_to_string(&mut received).unwrap();
    assert!(received.ends_with("]: x\n"));
}
