//! Doors beside the unix socket: TCP with TLS on both sides, loopback without, sockets from systemd, ssh.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;
use std::process::{Command, Stdio};

use dhow_testkit::{Outcome, World, eventually, finish, finish_with_input, isolate};
use rustix::process::{Pid, Signal, kill_process};

use crate::DHOW;
use crate::certificates::Certificates;

/// A port that was free a moment ago.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port()
}

/// An engine behind TLS, with busybox.
struct Guarded {
    world: World,
    certificates: Certificates,
    address: String,
}

impl Guarded {
    fn new() -> Self {
        let certificates = Certificates::new();
        let address = format!("tcp://127.0.0.1:{}", free_port());
        let mut flags = vec!["--host".to_owned(), address.clone()];
        flags.extend(Certificates::flags(&certificates.path("engine")));
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let world = World::with_flags(DHOW, &flags);
        world.import_busybox("busybox");
        Self { world, certificates, address }
    }

    /// A client that comes over TLS, by flags.
    fn command(&self, program: &str, who: &str, args: &[&str]) -> Command {
        let mut command = self.plain(program, &["--host", &self.address]);
        command.args(Certificates::flags(&self.certificates.path(who))).args(args);
        command
    }

    fn plain(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(args).env("HOME", self.world.path());
        for name in ["DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"] {
            command.env_remove(name);
        }
        command
    }

    fn run(&self, program: &str, args: &[&str]) -> Outcome {
        finish(&mut self.command(program, "client", args))
    }
}

#[test]
fn both_clients_work_over_tls_as_over_the_socket() {
    let guarded = Guarded::new();
    for program in [DHOW, "docker"] {
        assert_eq!(guarded.run(program, &["run", "--rm", "busybox", "echo", "hi"]).ok(), "hi");
        guarded.run(program, &["run", "--rm", "busybox", "sh", "-c", "exit 9"]).exits(9);
        let big = vec![b'x'; 3 << 20];
        let cat = &mut guarded.command(program, "client", &["run", "-i", "--rm", "busybox", "cat"]);
        assert!(finish_with_input(cat, big.clone()).exits(0).stdout_bytes() == big, "every byte comes back");
        guarded.run(program, &["run", "-d", "--name", "box", "busybox", "sleep", "1000"]).exits(0);
        assert_eq!(guarded.run(program, &["exec", "box", "echo", "inside"]).ok(), "inside");
        assert_eq!(guarded.run(program, &["rm", "-f", "box"]).ok(), "box");
        let archive = guarded.run(program, &["save", "busybox"]).exits(0).stdout_bytes().to_vec();
        let load = &mut guarded.command(program, "client", &["load", "-q"]);
        finish_with_input(load, archive).exits(0);
    }
}

#[test]
fn the_environment_names_certificates_too() {
    let guarded = Guarded::new();
    for program in [DHOW, "docker"] {
        let mut command = guarded.plain(program, &["ps", "-q"]);
        command.env("DOCKER_HOST", &guarded.address).env("DOCKER_TLS_VERIFY", "1");
        command.env("DOCKER_CERT_PATH", guarded.certificates.path("client"));
        finish(&mut command).exits(0);
        // Not verified, but still with a certificate of our own.
        let unverified = finish(guarded.plain(program, &["--host", &guarded.address, "--tls"]).args([
            "--tlscacert",
            &guarded.certificates.path("client/ca.pem").display().to_string(),
            "--tlscert",
            &guarded.certificates.path("client/cert.pem").display().to_string(),
            "--tlskey",
            &guarded.certificates.path("client/key.pem").display().to_string(),
            "ps",
            "-q",
        ]));
        unverified.exits(0);
    }
}

#[test]
fn strangers_are_kept_out_and_impostors_are_not_believed() {
    let guarded = Guarded::new();
    let others = Certificates::new();
    for program in [DHOW, "docker"] {
        // No certificate at all; one of another authority; an engine that another authority vouches for; no TLS.
        finish(&mut guarded.plain(program, &["--host", &guarded.address, "--tls", "ps"])).exits(1);
        let ca = guarded.certificates.path("ca.pem").display().to_string();
        let mut stranger = guarded.plain(program, &["--host", &guarded.address, "--tlsverify", "--tlscacert", &ca]);
        for (flag, file) in [("--tlscert", "client/cert.pem"), ("--tlskey", "client/key.pem")] {
            stranger.arg(flag).arg(others.path(file));
        }
        finish(stranger.arg("ps")).exits(1);
        let mut deceived = guarded.plain(program, &["--host", &guarded.address]);
        finish(deceived.args(Certificates::flags(&others.path("client"))).arg("ps")).exits(1);
        finish(&mut guarded.plain(program, &["--host", &guarded.address, "ps"])).exits(1);
    }
    finish(&mut guarded.plain(DHOW, &["--host", &guarded.address, "--tls", "ps"])).says("CertificateRequired");
    // Those who only stand in the door are in nobody's way.
    let port = guarded.address.rsplit_once(':').expect("a port").1.parse::<u16>().expect("a number");
    let silent: Vec<TcpStream> =
        (0..200).map(|_| TcpStream::connect(("127.0.0.1", port)).expect("the door is open")).collect();
    guarded.run(DHOW, &["ps"]).exits(0);
    drop(silent);
}

#[test]
fn certificates_and_log_level_are_read_again_at_a_hangup() {
    let guarded = Guarded::new();
    guarded.run(DHOW, &["ps"]).exits(0);
    let others = Certificates::new();
    for file in ["ca.pem", "cert.pem", "key.pem"] {
        fs::copy(others.path("engine").join(file), guarded.certificates.path("engine").join(file)).expect("copied");
    }
    fs::write(guarded.world.path().join("daemon.toml"), "log-level = \"debug\"\ninit = true\n").expect("written");
    let pid = Pid::from_raw(guarded.world.engine_pid().expect("it runs").try_into().expect("a pid")).expect("not 0");
    kill_process(pid, Signal::HUP).expect("our engine");
    eventually("the configuration was read again", || {
        guarded.world.engine_log().contains("the configuration was read again")
    });
    guarded.run(DHOW, &["ps"]).exits(1);
    let mut known = guarded.plain(DHOW, &["--host", &guarded.address]);
    finish(known.args(Certificates::flags(&others.path("client"))).arg("ps")).exits(0);
    assert!(guarded.world.engine_log().contains("init has changed in the configuration"));
    // A broken file changes nothing.
    fs::write(guarded.certificates.path("engine/cert.pem"), "broken").expect("written");
    kill_process(pid, Signal::HUP).expect("our engine");
    eventually("it was refused", || guarded.world.engine_log().contains("the configuration stays as it was"));
    let mut known = guarded.plain(DHOW, &["--host", &guarded.address]);
    finish(known.args(Certificates::flags(&others.path("client"))).arg("ps")).exits(0);
}

/// `dhow daemon` with roots of its own, which is expected to give up.
fn refused(flags: &[&str]) -> Outcome {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(DHOW);
    command.args(["daemon", "--config-file", "/dev/null"]);
    for (flag, name) in [("--data-root", "data"), ("--exec-root", "exec"), ("--pidfile", "pid")] {
        command.arg(flag).arg(folder.path().join(name));
    }
    finish(command.args(flags))
}

#[test]
fn without_tls_the_network_is_refused_and_loopback_only_opened_on_demand() {
    for address in ["tcp://127.0.0.1:1", "tcp://0.0.0.0:1", "tcp://[::]:1"] {
        refused(&["--host", address]).exits(1).says("refusing to listen on tcp://").says("--tlsverify");
    }
    refused(&["--host", "tcp://0.0.0.0:1", "--insecure-tcp-on-loopback"]).exits(1).says("refusing to listen");
    refused(&["--host", "tcp://127.0.0.1:1", "--tls"]).exits(1).says("lets every client in");
    refused(&["--host", "tcp://127.0.0.1:1", "--tlsverify", "--tlscacert=/nowhere"]).exits(1).says("/nowhere");
    refused(&["--host", "fd://"]).exits(1).says("no sockets found");
    let address = format!("tcp://127.0.0.1:{}", free_port());
    let world = World::with_flags(DHOW, &["--host", &address, "--insecure-tcp-on-loopback"]);
    world.import_busybox("busybox");
    for command in [&mut world.command(&[]), &mut world.stock_command(&[])] {
        let ran = finish(command.env("DOCKER_HOST", &address).args(["run", "--rm", "busybox", "echo", "hi"]));
        assert_eq!(ran.ok(), "hi");
    }
}

#[test]
fn the_socket_belongs_to_its_group() {
    let world = World::with_flags(DHOW, &["--group", "12345"]);
    let found = fs::metadata(world.socket()).expect("it is there");
    assert_eq!((found.gid(), found.permissions().mode() & 0o777), (12345, 0o660));
}

#[test]
fn systemd_opens_the_socket_and_is_told_how_it_goes() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let listener = UnixListener::bind(path("sock")).expect("a socket");
    let notified = UnixDatagram::bind(path("notify")).expect("a socket");
    // A first client may come before the engine is there.
    let mut early = Command::new(DHOW)
        .args(["version", "--format", "{{.Server.APIVersion}}"])
        .env("DOCKER_HOST", format!("unix://{}", path("sock").display()))
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let script = "exec 3<&0 0</dev/null; export LISTEN_PID=$$ LISTEN_FDS=1; exec \"$@\"";
    let mut engine = Command::new("sh");
    engine.args(["-c", script, "sh", DHOW, "daemon", "--host", "fd://", "--config-file"]).arg(path("daemon.toml"));
    for (flag, name) in [("--data-root", "data"), ("--exec-root", "exec"), ("--pidfile", "pid")] {
        engine.arg(flag).arg(path(name));
    }
    fs::write(path("daemon.toml"), "").expect("written");
    let mut engine = engine
        .env("NOTIFY_SOCKET", path("notify"))
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(listener)))
        .stderr(Stdio::null())
        .spawn()
        .expect("starts");
    let told = || {
        let mut text = [0; 200];
        let length = notified.recv(&mut text).expect("a datagram");
        String::from_utf8_lossy(&text[..length]).into_owned()
    };
    assert_eq!(told(), "READY=1");
    assert!(early.wait().expect("ends").success());
    kill_process(Pid::from_child(&engine), Signal::HUP).expect("our child");
    assert!(told().starts_with("RELOADING=1\nMONOTONIC_USEC="));
    assert_eq!(told(), "READY=1");
    kill_process(Pid::from_child(&engine), Signal::TERM).expect("our child");
    assert_eq!(told(), "STOPPING=1");
    assert!(engine.wait().expect("ends").success());
    assert!(path("sock").exists(), "the socket is systemd's");
}

/// A program `ssh` that runs the command here, in a place where `dhow` and `docker` are ours; and the path to find it by.
fn ssh_in(folder: &Path, refuse: bool) -> String {
    let (near, far) = (folder.join("near"), folder.join("far"));
    for place in [&near, &far] {
        fs::create_dir_all(place).expect("made");
    }
    for program in ["dhow", "docker"] {
        symlink(DHOW, far.join(program)).expect("linked");
    }
    let end = match refuse {
        true => "echo 'me@box: Permission denied (publickey).' >&2; exit 255".to_owned(),
        false => format!("exec env -u DOCKER_HOST PATH={}:/usr/bin:/bin sh -c \"$*\"", far.display()),
    };
    let log = folder.join("ssh.log");
    let skip = "while [ \"$1\" != -- ]; do shift; done; shift 2";
    let script = format!("#!/bin/sh\necho \"$@\" >>{}\n{skip}\n{end}\n", log.display());
    fs::write(near.join("ssh"), script).expect("written");
    fs::set_permissions(near.join("ssh"), fs::Permissions::from_mode(0o755)).expect("executable");
    format!("{}:{}", near.display(), std::env::var("PATH").expect("a path"))
}

#[test]
fn both_clients_come_over_ssh_through_dial_stdio() {
    let world = crate::busybox();
    let path = ssh_in(world.path(), false);
    let host = format!("ssh://me@box:2222{}", world.socket().display());
    for mut command in [world.command(&[]), world.stock_command(&[])] {
        command.env("DOCKER_HOST", &host).env("PATH", &path).args(["run", "-i", "--rm", "busybox", "cat"]);
        assert_eq!(finish_with_input(&mut command, b"over and back".to_vec()).ok(), "over and back");
    }
    let said = fs::read_to_string(world.path().join("ssh.log")).expect("it was called");
    assert!(said.contains("-l me -p 2222 -- box"), "{said}");
}

#[test]
fn what_ssh_says_is_told() {
    let world = World::new(DHOW);
    let path = ssh_in(world.path(), true);
    let mut command = world.command(&["ps"]);
    let failed = finish(command.env("DOCKER_HOST", "ssh://box").env("PATH", &path));
    failed.exits(1).says("make sure the URL is valid").says("Permission denied (publickey)");
    // Also where the engine would be asked for its version before.
    let log = world.path().join("ssh.log");
    for args in [&["volume", "ls"][..], &["system", "df"], &["run", "--init", "busybox"]] {
        fs::remove_file(&log).expect("it was called");
        let mut command = world.command(args);
        let failed = finish(command.env("DOCKER_HOST", "ssh://box").env("PATH", &path));
        failed.says("Permission denied (publickey)");
        assert_eq!(fs::read_to_string(&log).expect("it was called").lines().count(), 1, "{args:?}");
    }
    let mut command = world.command(&["ps"]);
    finish(command.env("DOCKER_HOST", "npipe:////./pipe/x")).exits(1).says("named pipes are of Windows");
}

#[test]
fn what_is_printed_comes_through_the_network_past_the_end_of_an_engine() {
    isolate();
    let address = format!("tcp://127.0.0.1:{}", free_port());
    let mut world = World::with_flags(DHOW, &["--host", &address, "--insecure-tcp-on-loopback"]);
    world.import_busybox("busybox");
    let script = "i=0; while [ $i -lt 100 ]; do echo $i; echo e$i >&2; i=$((i+1)); sleep 0.02; done; exit 7";
    world.dhow(&["create", "--name", "started", "busybox", "sh", "-c", script]).exits(0);
    world.dhow(&["create", "-t", "--name", "terminal", "busybox", "sh", "-c", script]).exits(0);
    let clients: Vec<_> = [
        &["run", "--name", "run", "busybox", "sh", "-c", script][..],
        &["start", "-a", "started"],
        &["start", "-a", "terminal"],
    ]
    .map(|args| world.command(args).env("DOCKER_HOST", &address).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn())
    .into_iter()
    .map(|child| child.expect("it starts"))
    .collect();
    for name in ["run", "started", "terminal"] {
        eventually("it prints", || world.dhow(&["logs", name]).stdout().lines().any(|line| line.trim() == "9"));
    }
    world.crash_engine();
    world.start_engine();
    let numbers = |prefix: &str| (0..100).map(|number| format!("{prefix}{number}\n")).collect::<String>();
    for client in clients {
        let output = client.wait_with_output().expect("it ends");
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(7), "{err}");
        // A terminal has one stream for both.
        let (lines, errors): (Vec<&str>, Vec<&str>) =
            out.lines().map(str::trim).partition(|line| !line.starts_with('e'));
        assert_eq!(lines.join("\n") + "\n", numbers(""));
        let errors = if errors.is_empty() { err.into_owned() } else { errors.join("\n") + "\n" };
        assert_eq!(errors, numbers("e"));
    }
}
