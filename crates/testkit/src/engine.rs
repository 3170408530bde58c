//! One engine process with roots of its own.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::{Door, eventually};

/// Where one engine keeps everything.
#[derive(Debug)]
pub(crate) struct Engine {
    binary: PathBuf,
    root: PathBuf,
    cgroup_parent: String,
    extra: Vec<String>,
    /// How many files it may have open, the soft and the hard limit; `None`: as many as the test.
    files: Option<(u32, u32)>,
    child: Option<Child>,
}

impl Engine {
    pub(crate) fn new(binary: &Path, root: &Path, extra: &[&str]) -> Self {
        let name = root.file_name().expect("a world has a folder").to_string_lossy().into_owned();
        Self {
            binary: binary.to_owned(),
            root: root.to_owned(),
            cgroup_parent: format!("/dhow-test-{}", name.trim_start_matches('.')),
            extra: extra.iter().map(|&word| word.to_owned()).collect(),
            files: None,
            child: None,
        }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.root.join("dhow.sock")
    }

    pub(crate) fn data_root(&self) -> PathBuf {
        self.root.join("data")
    }

    pub(crate) fn exec_root(&self) -> PathBuf {
        self.root.join("exec")
    }

    pub(crate) fn cgroup_parent(&self) -> &str {
        &self.cgroup_parent
    }

    /// The next start is with so many open files at most.
    pub(crate) fn limit_files(&mut self, files: Option<(u32, u32)>) {
        self.files = files;
    }

    /// The next start is of that binary.
    pub(crate) fn run_from(&mut self, binary: &Path) {
        self.binary = binary.to_owned();
    }

    /// The next start has these flags, too; of a flag that is given twice the last counts.
    pub(crate) fn add_flags(&mut self, flags: &[&str]) {
        self.extra.extend(flags.iter().map(|&word| word.to_owned()));
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.root.join("engine.log")).unwrap_or_default()
    }

    pub(crate) fn pidfile(&self) -> PathBuf {
        self.root.join("dhow.pid")
    }

    fn command(&self) -> Command {
        let mut command = match self.files {
            Some((soft, hard)) => {
                let mut shell = Command::new("sh");
                shell
                    .args(["-c", &format!("ulimit -Sn {soft}; ulimit -Hn {hard}; exec \"$@\""), "sh"])
                    .arg(&self.binary);
                shell
            }
            None => Command::new(&self.binary),
        };
        command
            .arg("daemon")
            .arg("--data-root")
            .arg(self.data_root())
            .arg("--exec-root")
            .arg(self.exec_root())
            .arg("--pidfile")
            .arg(self.pidfile())
            .arg("--host")
            .arg(format!("unix://{}", self.socket().display()))
            .arg("--config-file")
            .arg(self.root.join("daemon.toml"))
            .arg("--cgroup-parent")
            .arg(&self.cgroup_parent)
            .args(&self.extra);
        command
    }

    /// A line of shell that starts this engine in the background and returns when it answers.
    pub(crate) fn start_line(&self) -> String {
        let command = self.command();
        let words: Vec<String> = std::iter::once(command.get_program())
            .chain(command.get_args())
            .map(|word| format!("'{}'", word.to_string_lossy()))
            .collect();
        let (log, socket) = (self.root.join("engine.log"), self.socket());
        format!(
            "rm -f '{socket}'; setsid {words} >>'{log}' 2>&1 </dev/null & until [ -S '{socket}' ]; do sleep 0.01; done",
            socket = socket.display(),
            log = log.display(),
            words = words.join(" ")
        )
    }

    /// Starts the engine and returns when it answers.
    pub(crate) fn start(&mut self) {
        if let Err(said) = self.try_start() {
            panic!("the engine ended:\n{said}");
        }
    }

    /// Starts the engine and returns when it answers, or with what it said when it gave up.
    pub(crate) fn try_start(&mut self) -> Result<(), String> {
        assert!(self.child.is_none(), "the engine runs already");
        let log = File::options().create(true).append(true).open(self.root.join("engine.log")).expect("a log file");
        // Not to be told by the file of the machine; one that a test has written stays.
        File::options().create(true).append(true).open(self.root.join("daemon.toml")).expect("a configuration file");
        let mut command = self.command();
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the log file can be shared"))
            .stderr(log)
            .process_group(0);
        let before = self.log().len();
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut ended = false;
        eventually("the engine answers", || {
            ended = child.try_wait().is_ok_and(|status| status.is_some());
            ended || self.answers()
        });
        if ended {
            return Err(self.log().split_off(before));
        }
        self.child = Some(child);
        Ok(())
    }

    /// Whether this engine answers. That somebody takes connections says nothing: a child that the one before was making
    /// when it was killed has its socket for a moment.
    fn answers(&self) -> bool {
        let door = Door::open(&self.socket()).and_then(|door| door.patient_for(Duration::from_secs(1)));
        door.and_then(|mut door| door.ask("GET", "/_ping", "")).is_ok()
    }

    /// Ends the engine that somebody else started in this one's place, told by the pid file, and reaps our own.
    pub(crate) fn end_successor(&mut self) {
        let written = std::fs::read_to_string(self.pidfile()).ok().and_then(|text| text.trim().parse().ok());
        let ours = self.pid().and_then(|pid| i32::try_from(pid).ok());
        if let Some(pid) = written.filter(|&pid| Some(pid) != ours).and_then(Pid::from_raw) {
            kill_process(pid, Signal::TERM).expect("the pid file names the engine of this world");
            eventually("the engine ended", || rustix::process::test_kill_process(pid).is_err());
            if let Some(mut child) = self.child.take() {
                child.wait().expect("the engine is our child");
            }
        }
    }

    /// Ends the engine with a signal and returns when it is gone.
    pub(crate) fn end(&mut self, signal: Signal) {
        let Some(mut child) = self.child.take() else { return };
        let pid = Pid::from_child(&child);
        kill_process(pid, signal).expect("the engine is our child, so its pid cannot be another's");
        child.wait().expect("the engine is our child");
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.end(Signal::TERM);
    }
}
