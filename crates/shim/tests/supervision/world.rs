//! A container's world: directories, a shim, and the test in the engine's place.

use std::fs;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use dhow_cgroups::{Cgroup, Hierarchy};
use dhow_errdefs::Error;
use dhow_logs::{Config, Query, Reader, Step};
use dhow_oci::runtime::Spec;
use dhow_shim::protocol::{Answer, Attach, Event, Exec, Exit, Launch, Op, Rootfs};
use dhow_shim::{Connection, Spawned, spawn_command};
use serde_json::json;
use tempfile::TempDir;

/// A busybox, unpacked once for all tests; containers get an overlay over it.
static LOWER: OnceLock<PathBuf> = OnceLock::new();

/// Where the tests' cgroups are.
const CGROUPS: &str = "/dhow-shim-test";

/// What all tests share.
pub(crate) struct Shared(TempDir);

impl Shared {
    pub(crate) fn make() -> Self {
        let dir = tempfile::tempdir().unwrap();
        dhow_testkit::busybox_rootfs(dir.path());
        LOWER.set(dir.path().to_owned()).unwrap();
        Self(dir)
    }

    pub(crate) fn unmake(self) {
        self.0.close().unwrap();
        if let Ok(cgroup) = Cgroup::open(&Hierarchy::detect().unwrap(), CGROUPS) {
            cgroup.delete().unwrap();
        }
        // runc joins systemd's tree too, which has no controller, and leaves the parent there.
        let _ = fs::remove_dir(Path::new("/sys/fs/cgroup/systemd").join(&CGROUPS[1..]));
    }
}

/// One container.
pub(crate) struct World {
    pub(crate) dir: TempDir,
    pub(crate) launch: Launch,
    pub(crate) spawned: Spawned,
    pub(crate) engine: Connection,
}

impl World {
    /// A shim, and the launch of a shell script that it has not been told yet.
    pub(crate) fn new(script: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let launch = launch(&dir, script);
        let spawned = spawn_command(Command::new(std::env::current_exe().unwrap()).arg("shim")).unwrap();
        let engine = Connection::new(spawned.control.try_clone().unwrap());
        Self { dir, launch, spawned, engine }
    }

    /// The same, running.
    pub(crate) fn running(script: &str) -> Self {
        let mut world = Self::new(script);
        world.start().unwrap();
        world
    }

    pub(crate) fn start(&mut self) -> Result<i32, Error> {
        match self.engine.call(Op::Launch(Box::new(self.launch.clone())), &[])? {
            Answer::Started { pid, .. } => Ok(pid),
            answer => panic!("{answer:?}"),
        }
    }

    /// Attaches a client; the number is that of the request, which is answered when the client is done.
    pub(crate) fn attach(&mut self, attach: Attach) -> (UnixStream, u64) {
        let (near, far) = UnixStream::pair().unwrap();
        let seq = self.engine.send(Op::Attach(attach), &[far.as_fd()]).unwrap();
        (near, seq)
    }

    pub(crate) fn call(&mut self, op: Op) -> Result<Answer, Error> {
        self.engine.call(op, &[])
    }

    /// Waits for the end, and sees that everything is undone.
    pub(crate) fn exit(&mut self) -> Exit {
        let exit = loop {
            match self.engine.next_event().unwrap() {
                Some(Event::Exited(exit)) => break exit,
                Some(_) => {}
                None => panic!("the shim went away without telling the end"),
            }
        };
        let record: Exit = serde_json::from_slice(&fs::read(self.dir.path().join("exit.json")).unwrap()).unwrap();
        assert_eq!(record, exit);
        exit
    }

    /// Waits until the shim has undone everything.
    pub(crate) fn gone(&mut self) {
        while self.engine.next_event().unwrap().expect("Gone is told") != Event::Gone {}
        self.assert_nothing_left();
    }

    /// The whole ordinary end.
    pub(crate) fn end(mut self) -> (Exit, String) {
        let exit = self.exit();
        self.gone();
        let log = self.log();
        self.reap();
        (exit, log)
    }

    /// Ends the shim's process entry; blocks until the shim has ended.
    pub(crate) fn reap(self) {
        drop(self.engine);
        let Spawned { pidfd, control, .. } = self.spawned;
        drop(control);
        dhow_shim::reap(&pidfd).unwrap();
    }

    pub(crate) fn assert_nothing_left(&self) {
        assert!(!self.launch.run_dir.exists(), "the run directory is left");
        let path = self.launch.cgroup.as_deref().unwrap();
        let hierarchy = Hierarchy::detect().unwrap();
        assert!(Cgroup::open(&hierarchy, path).is_err(), "the cgroup {path} is left");
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(self.dir.path().to_str().unwrap()), "a mount is left");
    }

    pub(crate) fn log(&self) -> String {
        let path = self.launch.log.path(self.dir.path(), &self.launch.id).unwrap();
        let mut reader = Reader::open(&path, &self.launch.log, Query::default()).unwrap();
        let mut text = Vec::new();
        while let Step::Entry(entry) = reader.read().unwrap() {
            text.extend(entry.line);
        }
        String::from_utf8(text).unwrap()
    }

    /// Runs a script beside the first process, connected to the returned socket.
    pub(crate) fn exec(&mut self, id: &str, script: &str, attach: Option<Attach>) -> Result<(i32, UnixStream), Error> {
        let (near, far) = UnixStream::pair().unwrap();
        let process = process(script);
        let fds = if attach.is_some() { vec![far.as_fd()] } else { Vec::new() };
        let exec = Exec { id: id.to_owned(), process, attach, unconfined: false, until: None };
        match self.engine.call(Op::Exec(Box::new(exec)), &fds)? {
            Answer::Started { pid, .. } => Ok((pid, near)),
            answer => panic!("{answer:?}"),
        }
    }

    /// The exit code of an exec.
    pub(crate) fn exec_exit(&mut self, id: &str) -> i32 {
        loop {
            match self.engine.next_event().unwrap().expect("the shim lives") {
                Event::ExecExited { exec, code } if exec == id => return code,
                _ => {}
            }
        }
    }

    /// How an attachment ended.
    pub(crate) fn detached(&mut self, seq: u64) -> bool {
        match self.engine.answer_to(seq).unwrap() {
            Answer::Detached { early } => early,
            answer => panic!("{answer:?}"),
        }
    }
}

pub(crate) fn process(script: &str) -> dhow_oci::runtime::Process {
    serde_json::from_value(json!({
        "user": { "uid": 0, "gid": 0 },
        "args": ["sh", "-c", script],
        "env": ["PATH=/bin"],
        "cwd": "/",
    }))
    .unwrap()
}

fn launch(dir: &TempDir, script: &str) -> Launch {
    let upper = dir.path().join("upper");
    let work = dir.path().join("work");
    fs::create_dir_all(&upper).unwrap();
    fs::create_dir_all(&work).unwrap();
    let id = dir.path().file_name().unwrap().to_str().unwrap().trim_start_matches('.').to_owned();
    Launch {
        spec: spec(script),
        rootfs: Rootfs::Overlay {
            lower: vec![LOWER.get().expect("made in main").clone()],
            upper,
            work,
            options: Vec::new(),
        },
        container_dir: dir.path().to_owned(),
        run_dir: dir.path().join("run").join("with a long name ".repeat(8)),
        cgroup: Some(format!("{CGROUPS}/{id}")),
        bare_cgroup: None,
        id,
        seccomp: None,
        init: false,
        stdin_open: false,
        stdin_once: false,
        tty: false,
        log: Config::default(),
        external_runtime: None,
    }
}

fn spec(script: &str) -> Spec {
    serde_json::from_value(json!({
        "ociVersion": "1.2.0",
        "process": process(script),
        "root": { "path": "rootfs" },
        "hostname": "test",
        "mounts": [
            { "destination": "/proc", "type": "proc", "source": "proc" },
            { "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"] },
            { "destination": "/dev/pts", "type": "devpts", "source": "devpts",
              "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"] },
        ],
        "linux": {
            "namespaces": [
                { "type": "pid" }, { "type": "mount" }, { "type": "ipc" }, { "type": "uts" }, { "type": "network" },
            ],
        },
    }))
    .unwrap()
}

/// What a client wants that shows everything.
pub(crate) fn output() -> Attach {
    Attach { stdout: true, stderr: true, ..Attach::default() }
}

/// And sends input.
pub(crate) fn interactive() -> Attach {
    Attach { stdin: true, ..output() }
}

/// Reads until the other end closes.
pub(crate) fn read_all(mut client: UnixStream) -> String {
    let mut text = String::new();
    client.read_to_string(&mut text).unwrap();
    text
}

/// Reads until the text has come.
pub(crate) fn read_until(client: &mut UnixStream, wanted: &str) -> String {
    let mut text = Vec::new();
    let mut byte = [0];
    while !String::from_utf8_lossy(&text).contains(wanted) {
        assert_eq!(client.read(&mut byte).unwrap(), 1, "it ended after {:?}", String::from_utf8_lossy(&text));
        text.push(byte[0]);
    }
    String::from_utf8(text).unwrap()
}

pub(crate) fn send(client: &mut UnixStream, text: &str) {
    client.write_all(text.as_bytes()).unwrap();
}

pub(crate) fn half_close(client: &UnixStream) {
    client.shutdown(std::net::Shutdown::Write).unwrap();
}
