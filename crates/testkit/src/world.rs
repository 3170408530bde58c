//! A private engine and the commands that talk to it.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::thread;

use rustix::process::{Pid, Signal};
use tempfile::TempDir;

use crate::census::Census;
use crate::disk::Disk;
use crate::engine::Engine;
use crate::{Outcome, busybox_tar, eventually_none, finish, finish_with_input, leftovers};

/// One test's world: folder, engine, images. See the crate's documentation.
#[derive(Debug)]
pub struct World {
    binary: PathBuf,
    engine: Engine,
    /// Where the data root is, if on a disk of its own.
    disk: Option<Disk>,
    // Dropped last: the engine lives in it.
    folder: TempDir,
}

/// The binary under test: the one that was built, or that of `DHOW_BINARY` where the tests run elsewhere (in a virtual
/// machine).
#[must_use]
pub fn binary(built: &Path) -> PathBuf {
    std::env::var_os("DHOW_BINARY").map_or_else(|| built.to_owned(), PathBuf::from)
}

impl World {
    /// A world with a running engine of that binary, and nothing in it.
    #[must_use]
    pub fn new(binary: impl AsRef<Path>) -> Self {
        Self::with_flags(binary, &[])
    }

    /// The same, with further flags for `dhow daemon`.
    #[must_use]
    pub fn with_flags(binary: impl AsRef<Path>, flags: &[&str]) -> Self {
        crate::isolation::enter();
        let folder = tempfile::Builder::new().prefix("dhow-").tempdir().expect("a temporary folder");
        let binary = crate::binary(binary.as_ref());
        let mut engine = Engine::new(&binary, folder.path(), flags);
        engine.start();
        Self { binary, engine, disk: None, folder }
    }

    /// A world whose data root is a disk of its own, of so many megabytes.
    #[must_use]
    pub fn on_small_disk(binary: impl AsRef<Path>, megabytes: u32) -> Self {
        Self::on_disk(binary, |folder| Some(Disk::at(folder, megabytes))).expect("a tmpfs can always be had")
    }

    /// A world whose data root can share blocks between files (`FICLONE`); `None` where the host has no such disk.
    #[must_use]
    pub fn on_disk_that_shares(binary: impl AsRef<Path>) -> Option<Self> {
        Self::on_disk(binary, Disk::with_shared_blocks)
    }

    fn on_disk(binary: impl AsRef<Path>, disk: impl FnOnce(&Path) -> Option<Disk>) -> Option<Self> {
        let mut world = Self::new(binary);
        world.stop_engine();
        world.disk = Some(disk(&world.data_root())?);
        world.start_engine();
        Some(world)
    }

    /// Leaves no byte free on the disk of the data root.
    pub fn fill_disk(&self) {
        self.disk.as_ref().expect("a world on a small disk").fill();
    }

    /// Frees what [`fill_disk`](Self::fill_disk) took.
    pub fn relieve_disk(&self) {
        self.disk.as_ref().expect("a world on a small disk").relieve();
    }

    /// A world whose engine has the image `busybox`, and its exec root in memory, where `/run` is on machines that people
    /// have: for measurements.
    #[must_use]
    pub fn as_installed(binary: impl AsRef<Path>) -> Self {
        let mut world = Self::new(binary);
        world.stop_engine();
        world.disk = Some(Disk::at(&world.exec_root(), 256));
        world.start_engine();
        world.import_busybox("busybox");
        world
    }

    /// A world whose engine has the image `busybox`.
    #[must_use]
    pub fn with_busybox(binary: impl AsRef<Path>) -> Self {
        let world = Self::new(binary);
        world.import_busybox("busybox");
        world
    }

    /// Imports busybox under a name.
    pub fn import_busybox(&self, name: &str) {
        static TAR: OnceLock<Vec<u8>> = OnceLock::new();
        let tar = TAR.get_or_init(busybox_tar).clone();
        let import = finish_with_input(&mut self.command(&["import", "-c", "CMD [\"sh\"]", "-", name]), tar);
        import.exits(0);
    }

    /// The folder of this world, for files of the test's own.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The engine's data root.
    #[must_use]
    pub fn data_root(&self) -> PathBuf {
        self.engine.data_root()
    }

    /// The engine's exec root.
    #[must_use]
    pub fn exec_root(&self) -> PathBuf {
        self.engine.exec_root()
    }

    /// The shims of this world's containers.
    #[must_use]
    pub fn shims(&self) -> Vec<i32> {
        leftovers::shims(self.path()).into_iter().map(|(pid, _)| pid).collect()
    }

    /// The shim of a container that runs: the parent of its first process.
    #[must_use]
    #[track_caller]
    pub fn shim_of(&self, container: &str) -> Pid {
        let first = self.inspect(container, "{{.State.Pid}}");
        let status = std::fs::read_to_string(format!("/proc/{first}/status")).expect("it runs");
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:")).expect("every process has one");
        Pid::from_raw(parent.trim().parse().expect("a number")).expect("not 0")
    }

    /// The shims of this world that wait for the next start.
    #[must_use]
    pub fn spare_shims(&self) -> Vec<i32> {
        leftovers::spares(self.path()).into_iter().map(|(pid, _)| pid).collect()
    }

    /// Waits until every process, cgroup, mount and file of this world belongs to an object that the engine lists, and
    /// every listed object is whole.
    #[track_caller]
    pub fn is_in_order(&self) {
        eventually_none("everything belongs to a listed object", || {
            let census = self.census();
            [census.astray(), census.incomplete()].concat()
        });
    }

    /// Starts the engine again on the same roots, if it can.
    ///
    /// # Errors
    /// What it said when it gave up.
    pub fn try_start_engine(&mut self) -> Result<(), String> {
        self.engine.try_start()
    }

    /// The next start has these flags, too; of a flag that is given twice the last counts.
    pub fn add_flags(&mut self, flags: &[&str]) {
        self.engine.add_flags(flags);
    }

    /// As [`try_start_engine`](Self::try_start_engine), with these limits of open files.
    ///
    /// # Errors
    /// What it said when it gave up.
    pub fn try_start_engine_with_files(&mut self, soft: u32, hard: u32) -> Result<(), String> {
        self.engine.limit_files(Some((soft, hard)));
        let started = self.engine.try_start();
        self.engine.limit_files(None);
        started
    }

    fn census(&self) -> Census<'_> {
        let ids = |flags: &[&str]| -> HashSet<String> {
            let list = self.dhow(&[&["ps", "--quiet", "--no-trunc"], flags].concat()).ok();
            list.lines().map(str::to_owned).collect()
        };
        let lines = |args: &[&str]| -> Vec<String> { self.dhow(args).ok().lines().map(str::to_owned).collect() };
        let mut images = Vec::new();
        for id in lines(&["images", "--all", "--quiet", "--no-trunc"]) {
            let layers = lines(&["image", "inspect", "--format", "{{join .RootFS.Layers \"\\n\"}}", &id]);
            images.push((id, layers));
        }
        Census {
            root: self.path(),
            data_root: self.data_root(),
            exec_root: self.exec_root(),
            cgroup_parent: self.cgroup_parent(),
            containers: ids(&["--all"]),
            running: ids(&[]),
            images,
        }
    }

    /// The engine's address, as in `DOCKER_HOST`.
    #[must_use]
    pub fn host(&self) -> String {
        format!("unix://{}", self.engine.socket().display())
    }

    /// The engine's socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.engine.socket()
    }

    /// The cgroup under which this world's containers are.
    #[must_use]
    pub fn cgroup_parent(&self) -> &str {
        self.engine.cgroup_parent()
    }

    /// The engine's pid while it runs.
    #[must_use]
    pub fn engine_pid(&self) -> Option<u32> {
        self.engine.pid()
    }

    /// What the engine wrote into its log.
    #[must_use]
    pub fn engine_log(&self) -> String {
        self.engine.log()
    }

    /// Our command line, not started yet.
    #[must_use]
    pub fn command(&self, args: &[&str]) -> Command {
        self.client(&self.binary, args)
    }

    /// The stock `docker` command line against this world's engine, not started yet.
    #[must_use]
    pub fn stock_command(&self, args: &[&str]) -> Command {
        self.client("docker", args)
    }

    /// A program whose clients talk to this world's engine, not started yet.
    #[must_use]
    pub fn client(&self, program: impl AsRef<OsStr>, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(args).env("DOCKER_HOST", self.host()).env("HOME", self.path()).env_remove("DOCKER_CONTEXT");
        command.env_remove("DOCKER_CONFIG").env_remove("DOCKER_API_VERSION");
        command
    }

    /// Runs `dhow` with these words to its end.
    pub fn dhow(&self, args: &[&str]) -> Outcome {
        finish(&mut self.command(args))
    }

    /// Runs the stock `docker` with these words to its end.
    pub fn docker(&self, args: &[&str]) -> Outcome {
        finish(&mut self.stock_command(args))
    }

    /// One field of `inspect`, by a Go template.
    #[track_caller]
    pub fn inspect(&self, object: &str, template: &str) -> String {
        self.dhow(&["inspect", "--format", template, object]).ok()
    }

    /// The file with the engine's pid.
    #[must_use]
    pub fn pidfile(&self) -> PathBuf {
        self.engine.pidfile()
    }

    /// A line of shell that starts this world's engine in the background, for tests that kill it themselves.
    #[must_use]
    pub fn start_command(&self) -> String {
        self.engine.start_line()
    }

    /// Takes over after a script that killed the engine and started it again: that one is ended, ours is started.
    pub fn adopt_engine(mut self) {
        self.engine.end_successor();
    }

    /// SIGKILL to the engine, as a crash.
    pub fn crash_engine(&mut self) {
        self.engine.end(Signal::KILL);
    }

    /// SIGTERM to the engine, as a package upgrade does.
    pub fn stop_engine(&mut self) {
        self.engine.end(Signal::TERM);
    }

    /// Starts the engine again on the same roots.
    pub fn start_engine(&mut self) {
        self.engine.start();
    }

    /// Puts another file in the place of the binary, as an upgrade does: clients are of that one now, the engine with its next
    /// start. The first time that place is this world's own.
    pub fn upgrade(&mut self) {
        let (place, new) = (self.path().join("dhow"), self.path().join("dhow.new"));
        // By another program: what a thread of ours has open for writing when another one starts a program may not be run.
        finish(Command::new("cp").arg(&self.binary).arg(&new)).exits(0);
        std::fs::rename(&new, &place).expect("there is space");
        self.engine.run_from(&place);
        self.binary = place;
    }

    fn remove_everything(&mut self) {
        if self.engine.pid().is_none() {
            self.engine.start();
        }
        let ids = self.dhow(&["ps", "--all", "--quiet", "--no-trunc"]).stdout();
        let ids: Vec<&str> = ids.lines().collect();
        if !ids.is_empty() {
            self.dhow(&[&["rm", "--force", "--volumes"], ids.as_slice()].concat()).exits(0);
        }
        self.engine.end(Signal::TERM);
        self.disk = None;
        let (root, parent) = (self.path().to_owned(), self.engine.cgroup_parent().to_owned());
        let last = crate::isolation::leave();
        eventually_none("everything of this world is gone", || {
            let links = if last { leftovers::links() } else { Vec::new() };
            [leftovers::find(&root, &parent), links].concat()
        });
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if thread::panicking() {
            // The failure that is under way says more than one about leftovers; still nothing may stay.
            eprintln!("engine log:\n{}", self.engine.log());
            let ids = self.dhow(&["ps", "--all", "--quiet"]).stdout();
            ids.lines().for_each(|id| drop(self.dhow(&["rm", "--force", "--volumes", id])));
            self.engine.end(Signal::TERM);
            // All that there is where no engine runs any more, or one that was damaged on purpose.
            leftovers::end(self.path(), self.engine.cgroup_parent());
            crate::isolation::leave();
            return;
        }
        self.remove_everything();
    }
}
