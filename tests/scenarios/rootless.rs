//! The lifecycle once more, as an ordinary user: engine on demand, no set-up, with one user id or a range of them.
//!
//! As root the tests become a user without name and rights of any kind; as an ordinary user they stay that user.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::Duration;

use dhow_testkit::{Outcome, busybox_tar, eventually, finish, finish_with_input, in_network_of, isolate};
use rustix::net::{self, AddressFamily, SocketType};
use rustix::process::{Pid, Signal, geteuid, kill_process, test_kill_process};
use tempfile::TempDir;

/// No machine has a user of that number.
const NOBODY_IN_PARTICULAR: u32 = 54_321;

/// The first of the ids that a user with ranges has beside its own, and how many there are; no user of this machine is
/// among them.
const RANGE: (u32, u32) = (500_000, 65_536);

/// Becomes the user in a mount namespace with an `/etc` of its own, in which the user has a name and ranges.
const IN_AN_ETC_OF_ITS_OWN: &str = "mount --bind \"$HOME/etc\" /etc && \
     exec setpriv --reuid \"$0\" --regid \"$0\" --clear-groups -- \"$@\"";

/// The same with a device for links of programs that everybody may use, as distributions have it.
const WITH_A_TUN_DEVICE: &str = "mknod \"$HOME/tun\" c 10 200 2>/dev/null; chmod 666 \"$HOME/tun\" && \
     mount --bind \"$HOME/tun\" /dev/net/tun && exec setpriv --reuid \"$0\" --regid \"$0\" --clear-groups -- \"$@\"";

/// The home of an ordinary user, with the XDG folders in it. Its path is longer than that of most: the sockets in it are
/// beyond what fits into an address (unix(7)).
struct Home {
    folder: TempDir,
    /// A copy of the binary: the build's own folder may be closed to others.
    binary: PathBuf,
    /// How root becomes the user in a mount namespace of its own, if that is needed.
    becomes: Option<&'static str>,
    path: PathBuf,
}

impl Home {
    fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("dhow-home-").tempdir().expect("a folder");
        let binary = folder.path().join("dhow-binary");
        // By another process: a child that a test beside this one starts meanwhile would hold a file open for writing that
        // we wrote, and such a file cannot be executed.
        finish(Command::new("cp").arg(env!("CARGO_BIN_EXE_dhow")).arg(&binary)).exits(0);
        fs::create_dir(folder.path().join("run")).expect("made");
        fs::set_permissions(folder.path().join("run"), fs::Permissions::from_mode(0o700)).expect("set");
        if geteuid().is_root() {
            for path in [folder.path().to_owned(), binary.clone(), folder.path().join("run")] {
                chown(path, Some(NOBODY_IN_PARTICULAR), Some(NOBODY_IN_PARTICULAR)).expect("given away");
            }
        }
        Self { folder, binary, becomes: None, path: "/usr/bin:/bin".into() }
    }

    /// Of a user who may map a range of ids. Only root can make one up.
    fn with_ranges() -> Option<Self> {
        if !geteuid().is_root() {
            eprintln!("SKIPPED: only root can give a user ranges of ids");
            return None;
        }
        let mut home = Self::new();
        home.becomes = Some(IN_AN_ETC_OF_ITS_OWN);
        let etc = home.folder.path().join("etc");
        fs::create_dir(&etc).expect("made");
        let (first, count) = RANGE;
        for (file, text) in [
            (
                "passwd",
                format!("root:x:0:0::/:/bin/sh\nsailor:x:{NOBODY_IN_PARTICULAR}:{NOBODY_IN_PARTICULAR}::/:/bin/sh\n"),
            ),
            ("subuid", format!("sailor:{first}:{count}\n")),
            ("subgid", format!("sailor:{first}:{count}\n")),
        ] {
            fs::write(etc.join(file), text).expect("written");
        }
        home.import_busybox();
        Some(home)
    }

    /// Of a user whose engine connects networks with that program.
    fn with_outlet(program: &str) -> Option<Self> {
        if !geteuid().is_root() {
            eprintln!("SKIPPED: only root can give a user a device for links of programs");
            return None;
        }
        let mut home = Self::new();
        home.becomes = Some(WITH_A_TUN_DEVICE);
        let programs = home.folder.path().join("programs");
        fs::create_dir(&programs).expect("made");
        for tool in [program, "sh", "setpriv", "mknod", "chmod", "mount"] {
            let found = ["/usr/bin", "/bin"].map(|folder| PathBuf::from(folder).join(tool));
            let found = found.into_iter().find(|path| path.exists()).expect("installed");
            std::os::unix::fs::symlink(found, programs.join(tool)).expect("linked");
        }
        home.path = programs;
        home.import_busybox();
        Some(home)
    }

    /// Processes of the holder of this home's networks and of what connects them.
    fn holders(&self) -> Vec<String> {
        let folder = self.folder.path().join("run/dhow/network").display().to_string();
        let lines = fs::read_dir("/proc").expect("there").flatten().filter_map(|process| {
            let line = fs::read_to_string(process.path().join("cmdline")).ok()?.replace('\0', " ");
            line.contains(&folder).then_some(line)
        });
        lines.collect()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = if let Some(script) = self.becomes {
            let mut command = Command::new("/usr/bin/unshare");
            command.args(["--mount", "/bin/sh", "-c", script]).arg(NOBODY_IN_PARTICULAR.to_string());
            command.arg(&self.binary);
            command
        } else {
            Command::new(&self.binary)
        };
        command.args(args).current_dir(self.folder.path()).env_clear().env("PATH", &self.path);
        command.env("HOME", self.folder.path()).env("XDG_RUNTIME_DIR", self.folder.path().join("run"));
        if geteuid().is_root() && self.becomes.is_none() {
            command.uid(NOBODY_IN_PARTICULAR).gid(NOBODY_IN_PARTICULAR);
        }
        command
    }

    fn dhow(&self, args: &[&str]) -> Outcome {
        finish(&mut self.command(args))
    }

    fn with_busybox() -> Self {
        let home = Self::new();
        home.import_busybox();
        home
    }

    fn import_busybox(&self) {
        finish_with_input(&mut self.command(&["import", "-", "busybox"]), busybox_tar()).exits(0);
    }

    /// SIGKILL to the engine, as a crash; the next command starts another one.
    fn crash_engine(&self) {
        let engine = self.engine().expect("it runs");
        kill_process(engine, Signal::KILL).expect("the engine of this home");
        eventually("the engine is gone", || test_kill_process(engine).is_err());
    }

    fn engine(&self) -> Option<Pid> {
        let text = fs::read_to_string(self.folder.path().join("run/dhow/dhow.pid")).ok()?;
        Pid::from_raw(text.trim().parse().ok()?)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        for id in self.dhow(&["ps", "-aq"]).stdout().lines() {
            self.dhow(&["rm", "-f", id]);
        }
        if let Some(engine) = self.engine() {
            kill_process(engine, Signal::TERM).expect("the pid file names the engine of this home");
            eventually("the engine ended", || test_kill_process(engine).is_err());
        }
        eventually("nothing is left of its networks", || self.holders().is_empty());
    }
}

#[test]
fn hello_world_without_root_and_without_set_up() {
    let home = Home::new();
    assert!(home.dhow(&["run", "--rm", "hello-world"]).ok().contains("Hello from dhow!"));
    assert!(home.folder.path().join(".local/share/dhow/metadata.db").exists());
}

#[test]
fn a_life_without_root() {
    let home = Home::with_busybox();
    home.dhow(&["run", "--rm", "busybox", "sh", "-c", "exit 9"]).exits(9);
    assert_eq!(home.dhow(&["run", "--rm", "busybox", "id", "-u"]).ok(), "0");
    home.dhow(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"]).exits(0);
    home.dhow(&["exec", "box", "sh", "-c", "echo kept > /file"]).exits(0);
    home.dhow(&["stop", "-t", "0", "box"]).exits(0);
    home.dhow(&["start", "box"]).exits(0);
    assert_eq!(home.dhow(&["exec", "box", "cat", "/file"]).ok(), "kept");
    home.dhow(&["kill", "box"]).exits(0);
    assert_eq!(home.dhow(&["wait", "box"]).ok(), "137");
    home.dhow(&["rm", "box"]).exits(0);
}

#[test]
fn streams_and_logs_without_root() {
    let home = Home::with_busybox();
    let data: Vec<u8> = (0..200_000u32).map(|n| (n >> 4) as u8).collect();
    let echoed = finish_with_input(&mut home.command(&["run", "-i", "--rm", "busybox", "cat"]), data.clone());
    assert!(echoed.stdout_bytes() == data);
    home.dhow(&["run", "--name", "said", "busybox", "sh", "-c", "echo out; echo err >&2"]).exits(0);
    let logs = home.dhow(&["logs", "said"]);
    assert_eq!((logs.stdout().as_str(), logs.stderr().as_str()), ("out\n", "err\n"));
}

#[test]
fn volumes_without_root() {
    let home = Home::with_busybox();
    let bind = home.folder.path().join("bind").display().to_string();
    fs::create_dir(&bind).expect("made");
    fs::set_permissions(&bind, PermissionsExt::from_mode(0o777)).expect("ours");
    let run =
        |flags: &[&str], script: &str| home.dhow(&[&["run", "--rm"], flags, &["busybox", "sh", "-c", script]].concat());
    // The image's content comes into an empty volume, once.
    run(&["-v", "data:/etc"], "rm /etc/passwd; echo kept > /etc/file; test -s /etc/group").exits(0);
    assert_eq!(run(&["-v", "data:/etc"], "cat /etc/file").ok(), "kept");
    home.dhow(&["volume", "snapshot", "data", "before"]).exits(0);
    run(&["-v", "data:/d"], "rm /d/file").exits(0);
    home.dhow(&["volume", "restore", "data", "before"]).exits(0);
    home.dhow(&["volume", "clone", "data", "copy"]).exits(0);
    let tar = home.folder.path().join("tar").display().to_string();
    home.dhow(&["volume", "backup", "-o", &tar, "copy"]).exits(0);
    home.dhow(&["volume", "import", "imported", &tar]).exits(0);
    assert_eq!(run(&["--mount", "src=imported,dst=/d/f,volume-subpath=file,readonly"], "cat /d/f").ok(), "kept");
    // Volumes that have to be mounted are mounted by whom the user is in a namespace of their own.
    let bound = format!("device={bind}");
    for options in [["type=tmpfs", "device=tmpfs", "o=size=1m"], ["type=none", &bound, "o=bind"]] {
        let flags: Vec<&str> = options.iter().flat_map(|option| ["-o", option]).collect();
        home.dhow(&[&["volume", "create"], &flags[..], &["mounted"]].concat()).exits(0);
        run(&["-v", "mounted:/m"], "echo x > /m/file").exits(0);
        home.dhow(&["volume", "rm", "mounted"]).exits(0);
    }
    assert_eq!(fs::read_to_string(format!("{bind}/file")).expect("bound"), "x\n");
    run(&["-v", &format!("{bind}:/b:ro")], "touch /b/new").exits(1).says("Read-only");
    assert_eq!(run(&["--mount", "type=image,src=busybox,dst=/i"], "ls -d /i/bin").ok(), "/i/bin");
    // A container that does not run is put together in a namespace, too.
    home.dhow(&["create", "--name", "stands", "-v", "data:/d", "busybox", "true"]).exits(0);
    home.dhow(&["cp", &tar, "stands:/d/tar"]).exits(0);
    home.dhow(&["rm", "-v", "stands"]).exits(0);
    let found = run(&["-v", "data:/d"], "ls -d /d/file /d/group /d/tar /d/passwd");
    assert_eq!(found.exits(1).stdout(), "/d/file\n/d/group\n/d/tar\n");
    home.crash_engine();
    home.dhow(&["volume", "prune", "-a", "-f"]).exits(0);
    assert_eq!(home.dhow(&["volume", "ls", "-q"]).ok(), "before");
}

#[test]
fn networks_none_and_host_without_root() {
    let home = Home::with_busybox();
    let host = fs::read_link("/proc/self/ns/net").expect("a namespace").display().to_string();
    let inside = |network: &str| {
        home.dhow(&["run", "--rm", "--network", network, "busybox", "readlink", "/proc/self/ns/net"]).ok()
    };
    assert_eq!(inside("host"), host);
    assert_ne!(inside("none"), host);
}

#[test]
fn limits_that_cannot_be_set_are_said_and_do_not_stop_the_container() {
    let home = Home::with_busybox();
    let output = home.dhow(&["run", "--rm", "-m", "64m", "busybox", "echo", "runs"]);
    assert_eq!(output.stdout(), "runs\n");
    // Where the cgroup is delegated the limit is set, and there is nothing to say.
    assert!(output.code() == 0, "{output:?}");
}

#[test]
fn containers_survive_the_engine_without_root() {
    let home = Home::with_busybox();
    home.dhow(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"]).exits(0);
    home.crash_engine();
    assert_eq!(home.dhow(&["inspect", "-f", "{{.State.Status}}", "box"]).ok(), "running");
    assert_eq!(home.dhow(&["exec", "box", "sh", "-c", "id -u; exit 3"]).exits(3).stdout(), "0\n");
    home.dhow(&["stop", "-t", "0", "box"]).exits(0);
    assert_eq!(home.dhow(&["inspect", "-f", "{{.State.ExitCode}}", "box"]).ok(), "137");
    home.dhow(&["rm", "-f", "box"]).exits(0);
}

/// Where nothing was delegated there is no cgroup that would list what a killed shim leaves, and a next run would mount the
/// writable layer a second time.
#[test]
fn a_killed_shim_leaves_no_process_without_root() {
    let home = Home::with_busybox();
    for flags in [&["--restart", "always"][..], &["--pid", "host"]] {
        let script = "sleep 1000 & exec sleep 1000";
        home.dhow(&[&["run", "-d", "--name", "box"], flags, &["busybox", "sh", "-c", script]].concat()).exits(0);
        let pid = home.dhow(&["inspect", "-f", "{{.State.Pid}}", "box"]).ok();
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
        let shim = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok());
        let namespace = fs::read_link(format!("/proc/{pid}/ns/mnt")).expect("a namespace");
        kill_process(shim.and_then(Pid::from_raw).expect("its parent"), Signal::KILL).expect("the shim");
        eventually("its processes have ended", || {
            let processes = fs::read_dir("/proc").expect("procfs").flatten();
            let inside = |path: PathBuf| fs::read_link(path.join("ns/mnt")).is_ok_and(|found| found == namespace);
            !processes.map(|entry| entry.path()).any(inside)
        });
        home.dhow(&["rm", "-f", "box"]).exits(0);
    }
}

#[test]
fn ports_that_cannot_be_published_are_said() {
    let mut home = Home::new();
    home.path = PathBuf::from("/nowhere");
    home.import_busybox();
    let outcome = home.dhow(&["run", "--rm", "-p", "8099:80", "busybox", "true"]);
    outcome.exits(0).says(
        "Published ports are discarded: an engine without root has no bridges here: neither pasta nor slirp4netns is",
    );
    home.dhow(&["network", "create", "mine"])
        .exits(1)
        .says("an engine without root has no networks of its own here: neither pasta nor slirp4netns is installed");
    home.dhow(&["info"])
        .exits(0)
        .says("WARNING: containers have no bridges and publish no ports: neither pasta nor slirp4netns is installed")
        .says("WARNING: containers have only one user id: install newuidmap");
}

/// Serves its own name, and tells whoever asks who that is.
const SERVE: &str = "mkdir -p /www/cgi-bin; hostname > /www/name
printf '#!/bin/sh\necho; echo $REMOTE_ADDR\n' > /www/cgi-bin/who; chmod 755 /www/cgi-bin/who
exec busybox httpd -f -h /www -p 80";

/// A host that is connected with another one at [`ELSEWHERE`].
fn connected_host() {
    isolate();
    for command in [
        "link add eth9 type veth peer name eth8",
        "link set eth8 up",
        "address add 10.77.0.1/24 dev eth9",
        "link set eth9 up",
        "route add default via 10.77.0.254",
        "address add 10.88.0.5/32 dev lo",
    ] {
        finish(Command::new("ip").args(command.split(' '))).exits(0);
    }
}

/// An address that no network of an engine's has: no program copies it.
const ELSEWHERE: [u8; 4] = [10, 88, 0, 5];

/// What a server at a published port says to whoever has that address.
fn page(from: [u8; 4], port: u16, path: &str) -> Option<String> {
    let socket = net::socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
    net::bind(&socket, &SocketAddr::from((from, 0))).expect("an address of ours");
    let to = if from[0] == 127 { [127, 0, 0, 1] } else { [10, 77, 0, 1] };
    net::connect(&socket, &SocketAddr::from((to, port))).ok()?;
    let mut stream = TcpStream::from(socket);
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    // The server takes both families at one socket, and writes an address of the older one accordingly.
    let line = answer.lines().last()?;
    Some(line.trim_matches(['[', ']']).trim_start_matches("::ffff:").to_owned())
}

/// Answers when the question is there: what is said and closed while the other side ends its own half is lost in old
/// versions of pasta (Debian 12's), and the other side waits for ever.
fn greet(client: TcpStream) -> io::Result<()> {
    let mut question = BufReader::new(client);
    let mut line = String::new();
    while question.read_line(&mut line)? > 0 && line != "\r\n" {
        line.clear();
    }
    question.get_mut().write_all(b"HTTP/1.0 200 OK\r\n\r\nhello\n")
}

fn networks_without_root(outlet: &str) {
    connected_host();
    let Some(home) = Home::with_outlet(outlet) else { return };
    home.dhow(&["network", "create", "mine"]).exits(0);
    let web = ["run", "-d", "--name", "web", "--hostname", "web", "--network", "mine", "-p", "18431:80"];
    home.dhow(&[&web[..], &["busybox", "sh", "-c", SERVE]].concat()).exits(0);
    let answers = |from, path, wanted: &str| {
        eventually(&format!("{path} tells {wanted}"), || page(from, 18431, path).as_deref() == Some(wanted));
    };
    let inside =
        |network: &str, script: &str| home.dhow(&["run", "--rm", "--network", network, "busybox", "sh", "-c", script]);
    answers([127, 0, 0, 1], "/name", "web");
    answers(ELSEWHERE, "/cgi-bin/who", "10.88.0.5");
    assert_eq!(inside("mine", "busybox wget -q -O - http://web/name").ok(), "web");
    let web_address = home.dhow(&["inspect", "-f", "{{.NetworkSettings.Networks.mine.IPAddress}}", "web"]).ok();
    let ask = format!("timeout 5 busybox wget -q -O - http://{web_address}/name; exit $?");
    assert_eq!(inside("mine", &ask).ok(), "web");
    assert_ne!(inside("bridge", &ask).code(), 0, "another network");
    // Out, and to a port that is published.
    let server = TcpListener::bind(SocketAddr::from((ELSEWHERE, 18432))).expect("free");
    let greeting = thread::spawn(move || server.accept().and_then(|(client, _)| greet(client)));
    assert_eq!(inside("bridge", "busybox wget -q -O - http://10.88.0.5:18432/").ok(), "hello");
    greeting.join().expect("it ended").expect("somebody came");
    // The engine goes, what it has made stays, and the next one knows it.
    home.crash_engine();
    answers(ELSEWHERE, "/cgi-bin/who", "10.88.0.5");
    assert_eq!(home.dhow(&["port", "web"]).ok(), "80/tcp -> 0.0.0.0:18431\n80/tcp -> [::]:18431");
    assert_eq!(inside("mine", "busybox wget -q -O - http://web/name").ok(), "web");
    home.dhow(&["restart", "-t", "0", "web"]).exits(0);
    answers(ELSEWHERE, "/cgi-bin/who", "10.88.0.5");
    let taken = home.dhow(&["run", "--rm", "-p", "18431:80", "busybox", "true"]);
    taken.exits(125).says("Bind for 0.0.0.0:18431 failed: port is already allocated");
    home.dhow(&["rm", "-f", "web"]).exits(0);
    assert_eq!(page([127, 0, 0, 1], 18431, "/name"), None, "the port is given back");
}

#[test]
fn networks_without_root_by_pasta() {
    networks_without_root("pasta");
}

#[test]
fn networks_without_root_by_slirp4netns() {
    networks_without_root("slirp4netns");
}

/// Serves in a container's network namespace: busybox has no server for datagrams.
fn tell_datagrams_where_they_come_from(home: &Home, container: &str) {
    let pid = home.dhow(&["inspect", "-f", "{{.State.Pid}}", container]).ok();
    let socket = in_network_of(&pid, || UdpSocket::bind("0.0.0.0:53").expect("free"));
    socket.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
    thread::spawn(move || {
        while let Ok((_, client)) = socket.recv_from(&mut [0; 100]) {
            drop(socket.send_to(client.to_string().as_bytes(), client));
        }
    });
}

#[test]
fn datagrams_are_passed_on_without_root_under_the_clients_address() {
    connected_host();
    let Some(home) = Home::with_outlet("pasta") else { return };
    home.dhow(&["run", "-d", "--name", "tell", "-p", "18453:53/udp", "busybox", "sleep", "1000"]).exits(0);
    tell_datagrams_where_they_come_from(&home, "tell");
    let client = UdpSocket::bind(SocketAddr::from((ELSEWHERE, 0))).expect("an address of ours");
    client.set_read_timeout(Some(Duration::from_millis(300))).expect("set");
    let asks = || {
        let mut buffer = [0; 100];
        client.send_to(b"x", "10.77.0.1:18453").ok()?;
        let length = client.recv(&mut buffer).ok()?;
        Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
    };
    let from = client.local_addr().expect("bound").to_string();
    eventually("it answers", || asks().is_some_and(|answer| answer.trim() == from));
    // The same flow, to the next life of the container.
    home.dhow(&["restart", "-t", "0", "tell"]).exits(0);
    tell_datagrams_where_they_come_from(&home, "tell");
    eventually("it answers again", || asks().is_some_and(|answer| answer.trim() == from));
}

#[test]
fn namespaces_are_shared_without_root() {
    let home = Home::with_busybox();
    home.dhow(&["run", "-d", "--name", "first", "--ipc", "shareable", "busybox", "sleep", "1000"]).exits(0);
    let kinds = "for n in pid ipc net; do readlink /proc/self/ns/$n; done";
    let theirs = home.dhow(&["exec", "first", "sh", "-c", kinds]).ok();
    let sharing = ["--pid", "container:first", "--ipc", "container:first", "--network", "container:first"];
    let command = |more: &'static str| [&["run", "--rm"], &sharing[..], &["busybox", "sh", "-c", more]].concat();
    assert_eq!(home.dhow(&command(kinds)).ok(), theirs);
    assert!(home.dhow(&command("ps")).ok().contains("sleep 1000"), "process 1 of the other is seen");
    home.dhow(&command("exit 7")).exits(7);
    home.dhow(&[&["run", "-d", "--name", "second"], &sharing[..], &["busybox", "sleep", "2000"]].concat()).exits(0);
    assert!(home.dhow(&["exec", "second", "ps"]).ok().contains("sleep 1000"));
    home.dhow(&["stop", "-t", "0", "second"]).exits(0);
    assert!(!home.dhow(&["exec", "first", "ps"]).ok().contains("sleep 2000"), "it took nobody with it");
}

#[test]
fn an_exec_without_root_has_a_terminal_and_a_session_of_its_own() {
    let home = Home::with_busybox();
    home.dhow(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"]).exits(0);
    let terminal = home.dhow(&["exec", "-t", "box", "tty"]).ok();
    assert!(terminal.contains("/dev/pts/"), "{terminal}");
    let session = home.dhow(&["exec", "box", "sh", "-c", "cut -d' ' -f1,6 /proc/$$/stat; echo $$"]).ok();
    let (stat, pid) = session.split_once('\n').expect("two lines");
    assert!(stat.ends_with(&format!(" {}", pid.trim())), "who leads the session is the exec itself: {session}");
}

/// Without root an exec is the successor of the process that was made first. What the successor said before its parent knew
/// of it once made the parent take the first for the program: its end was the exec's, with code 0 and without output.
#[test]
fn many_execs_at_once_without_root_lose_neither_output_nor_exit_code() {
    let home = Home::with_busybox();
    home.dhow(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"]).exits(0);
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                for _ in 0..80 {
                    let outcome = home.dhow(&["exec", "box", "sh", "-c", "echo one; echo two; exit 7"]);
                    assert_eq!((outcome.code(), outcome.stdout().as_str()), (7, "one\ntwo\n"));
                }
            });
        }
    });
}

#[test]
fn namespaces_of_the_host_are_shared_without_root() {
    let home = Home::with_busybox();
    for (option, file) in [("--pid", "pid"), ("--ipc", "ipc"), ("--uts", "uts")] {
        let link = format!("/proc/self/ns/{file}");
        let host = fs::read_link(&link).expect("a namespace").display().to_string();
        assert_eq!(home.dhow(&["run", "--rm", option, "host", "busybox", "readlink", &link]).ok(), host);
    }
}

#[test]
fn a_privileged_container_without_root_has_the_hosts_devices_and_terminals_of_its_own() {
    let home = Home::with_busybox();
    let output = home.dhow(&["run", "--rm", "--privileged", "busybox", "sh", "-c", "readlink /dev/ptmx; ls /dev/null"]);
    assert_eq!(output.ok(), "pts/ptmx\n/dev/null");
}

#[test]
fn with_a_range_of_ids_every_user_of_an_image_exists() {
    let Some(home) = Home::with_ranges() else { return };
    let inside = |user: &str, script: &str| home.dhow(&["run", "--rm", "-u", user, "busybox", "sh", "-c", script]).ok();
    assert_eq!(inside("root", "stat -c %u:%g /home/alice /root"), "1000:1000\n0:0");
    assert!(!home.dhow(&["info", "--format", "{{.Warnings}}"]).ok().contains("only one user id"));
    assert_eq!(
        inside("1000", "id -u; id -g; echo mine > /home/alice/file; stat -c %U /home/alice/file"),
        "1000\n1000\nalice"
    );
    assert_eq!(inside("alice", "cat /root/none 2>&1 | grep -c denied"), "1");
    assert_eq!(inside("root", "chown 65534 /tmp; chgrp staff /tmp; stat -c %u:%g /tmp"), "65534:50");
    home.dhow(&["run", "-d", "--name", "box", "-u", "1000", "busybox", "sleep", "1000"]).exits(0);
    let pid = home.dhow(&["inspect", "-f", "{{.State.Pid}}", "box"]).ok();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    // The user's own id is root inside; the first of the range is 1.
    let outside = RANGE.0 + 999;
    assert!(status.contains(&format!("Uid:\t{outside}\t{outside}")), "{status}");
    home.crash_engine();
    assert_eq!(home.dhow(&["exec", "box", "id", "-u"]).ok(), "1000");
    assert_eq!(home.dhow(&["exec", "-u", "0", "box", "id", "-u"]).ok(), "0");
}
