//! One test's engine, data root and image.

use std::collections::BTreeMap;
use std::io::{Cursor, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use dhow_engine::spec::{ContainerSpec, LogSpec};
use dhow_engine::{
    AttachOptions, ClientStream, Config, CreateRequest, Engine, ListOptions, LogOptions, RemoveOptions, StateView,
    WaitCondition,
};
use dhow_image::ImportOptions;
use dhow_oci::Reference;
use dhow_sys::exe::ProtectedExe;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

/// An engine and everything it needs. Dropping it removes every container and looks for leftovers.
pub(crate) struct World {
    runtime: Option<Runtime>,
    engine: Option<Arc<Engine>>,
    pub(crate) folder: TempDir,
}

impl World {
    /// An engine that has the image `busybox`.
    pub(crate) fn new() -> Self {
        dhow_testkit::isolate();
        let folder = tempfile::Builder::new().prefix("dhow-engine-").tempdir().unwrap();
        let (runtime, engine) = open(&folder);
        let options = ImportOptions {
            reference: Some(Reference::parse("busybox").unwrap().with_default_tag()),
            changes: vec!["CMD [\"sh\"]".to_owned()],
            ..ImportOptions::default()
        };
        engine.images().import(Cursor::new(dhow_testkit::busybox_tar()), &options).unwrap();
        Self { runtime: Some(runtime), engine: Some(engine), folder }
    }

    /// Runs something asynchronous to its end.
    pub(crate) fn wait_for<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.as_ref().unwrap().block_on(work)
    }

    /// Ends the engine as a crash does, without telling anybody, and opens the data root again.
    pub(crate) fn crash(&mut self) {
        self.shut_down();
        let (runtime, engine) = open(&self.folder);
        (self.runtime, self.engine) = (Some(runtime), Some(engine));
    }

    /// The engine ends; what happens now it does not see.
    pub(crate) fn crash_while(&mut self, meanwhile: impl FnOnce()) {
        self.shut_down();
        meanwhile();
        let (runtime, engine) = open(&self.folder);
        (self.runtime, self.engine) = (Some(runtime), Some(engine));
    }

    fn shut_down(&mut self) {
        self.wait_for(self.engine().close());
        // Tasks die where they are, and what they hold is closed.
        drop(self.runtime.take());
        self.engine.take();
    }

    /// Begins something asynchronous on the engine's own threads.
    pub(crate) fn spawn<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        self.runtime.as_ref().unwrap().spawn(work)
    }

    /// The engine, for who outlives the call.
    pub(crate) fn shared_engine(&self) -> Arc<Engine> {
        Arc::clone(self.engine.as_ref().unwrap())
    }

    /// The engine.
    pub(crate) fn engine(&self) -> &Engine {
        self.engine.as_ref().unwrap()
    }

    pub(crate) fn create(&self, spec: ContainerSpec) -> String {
        self.wait_for(self.engine().create(CreateRequest { spec, ..CreateRequest::default() })).unwrap().id
    }

    /// Creates and starts.
    pub(crate) fn run(&self, spec: ContainerSpec) -> String {
        let id = self.create(spec);
        self.wait_for(self.engine().start(&id)).unwrap();
        id
    }

    /// Runs a line of shell to its end: exit code and output.
    pub(crate) fn sh(&self, line: &str) -> (i32, String) {
        self.output(sh(line))
    }

    /// Runs a container to its end: exit code and output.
    pub(crate) fn output(&self, spec: ContainerSpec) -> (i32, String) {
        let id = self.create(spec);
        let client =
            self.attach(&id, AttachOptions { stream: true, stdout: true, stderr: true, ..AttachOptions::default() });
        let ended = self.wait_for(self.engine().wait(&id, WaitCondition::NextExit)).unwrap();
        self.wait_for(self.engine().start(&id)).unwrap();
        let output = demultiplexed(&client.rest());
        (self.wait_for(ended.status()).unwrap().code, output)
    }

    /// Attaches a client.
    pub(crate) fn attach(&self, id: &str, options: AttachOptions) -> Client {
        let (client, stream) = Client::pair();
        self.wait_for(self.engine().attach(id, options, stream, ())).unwrap();
        client
    }

    /// Waits until it does not run.
    pub(crate) fn ended(&self, id: &str) -> i32 {
        self.wait_for(async {
            let wait = self.engine().wait(id, WaitCondition::NotRunning).await.unwrap();
            wait.status().await.unwrap().code
        })
    }

    /// All containers.
    pub(crate) fn list(&self) -> Vec<dhow_engine::Summary> {
        self.wait_for(self.engine().list(ListOptions { all: true, ..ListOptions::default() })).unwrap()
    }

    pub(crate) fn state(&self, id: &str) -> StateView {
        self.wait_for(self.engine().inspect(id, false)).unwrap().state
    }

    pub(crate) fn logs(&self, id: &str, options: LogOptions) -> String {
        self.wait_for(async {
            let mut entries = self.engine().logs(id, options).await.unwrap();
            let mut text = String::new();
            while let Some(entry) = entries.recv().await {
                text.push_str(&String::from_utf8_lossy(&entry.unwrap().line));
            }
            text
        })
    }

    pub(crate) fn remove(&self, id: &str) -> dhow_engine::Result<()> {
        self.wait_for(self.engine().remove(id, RemoveOptions { force: true, volumes: true }))
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let all = ListOptions { all: true, ..ListOptions::default() };
        for container in self.wait_for(self.engine().list(all)).unwrap_or_default() {
            let _ = self.remove(&container.id);
        }
        let left: Vec<_> = ["run/containers", "data/containers"]
            .into_iter()
            .flat_map(|dir| std::fs::read_dir(self.folder.path().join(dir)).into_iter().flatten().flatten())
            .map(|entry| entry.path())
            .collect();
        self.wait_for(self.engine().close());
        drop(self.runtime.take());
        let cgroups = dhow_cgroups::Hierarchy::detect().unwrap();
        if let Ok(parent) = dhow_cgroups::Cgroup::open(&cgroups, &parent(&self.folder)) {
            parent.delete().unwrap();
        }
        if !std::thread::panicking() {
            assert!(left.is_empty(), "left behind: {left:?}");
        }
    }
}

fn parent(folder: &TempDir) -> String {
    format!("/{}", folder.path().file_name().unwrap().to_str().unwrap())
}

fn open(folder: &TempDir) -> (Runtime, Arc<Engine>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let executable: OwnedFd = ProtectedExe::open().unwrap().into();
    let config = Config {
        data_root: folder.path().join("data"),
        exec_root: folder.path().join("run"),
        executable: Arc::new(executable),
        runtimes: BTreeMap::new(),
        default_runtime: "dhow".to_owned(),
        log: LogSpec { driver: "local".to_owned(), ..LogSpec::default() },
        cgroup_parent: parent(folder),
        rootless: false,
        outlet: Err(dhow_engine::NoOutlet::default()),
        firewall: dhow_engine::FirewallPolicy::Own,
        forwarding: true,
        init: false,
        default_ulimits: Vec::new(),
        default_shm_size: 0,
        plugins: dhow_engine::PluginSettings::default(),
        labels: Vec::new(),
        embedded: BTreeMap::new(),
        registries: dhow_engine::RegistrySettings::default(),
        policy: Arc::default(),
        usual: dhow_engine::Usual::default(),
        device_folders: None,
        version: "test".to_owned(),
    };
    let engine = runtime.block_on(Engine::open(config)).unwrap();
    (runtime, engine)
}

/// A container of busybox that runs a line of shell.
pub(crate) fn sh(line: &str) -> ContainerSpec {
    command(&["sh", "-c", line])
}

/// A container of busybox with these words.
pub(crate) fn command(words: &[&str]) -> ContainerSpec {
    let mut spec = ContainerSpec {
        image: "busybox".to_owned(),
        cmd: Some(words.iter().map(ToString::to_string).collect()),
        ..ContainerSpec::default()
    };
    spec.host.network_mode = "none".to_owned();
    spec
}

/// The client's end of an attached stream.
pub(crate) struct Client(UnixStream);

impl Client {
    /// The client's end, and what an engine is given.
    pub(crate) fn pair() -> (Self, ClientStream) {
        let (near, far) = UnixStream::pair().unwrap();
        (Self(near), ClientStream { fd: far.into(), leftover: Vec::new() })
    }

    pub(crate) fn send(&self, text: &str) {
        (&self.0).write_all(text.as_bytes()).unwrap();
    }

    /// The client has said everything.
    pub(crate) fn close_input(&self) {
        self.0.shutdown(Shutdown::Write).unwrap();
    }

    /// Everything until the end.
    pub(crate) fn rest(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        (&self.0).read_to_end(&mut bytes).unwrap();
        bytes
    }

    /// Reads until a text has come.
    pub(crate) fn until(&self, text: &str) -> String {
        let mut seen = Vec::new();
        let mut chunk = [0; 4096];
        while !String::from_utf8_lossy(&seen).contains(text) {
            let count = (&self.0).read(&mut chunk).unwrap();
            assert!(count > 0, "the stream ended with {:?}", String::from_utf8_lossy(&seen));
            seen.extend(&chunk[..count]);
        }
        String::from_utf8_lossy(&seen).into_owned()
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The payload of Docker's frames, both streams together.
pub(crate) fn demultiplexed(mut frames: &[u8]) -> String {
    let mut text = Vec::new();
    while let Some((head, rest)) = frames.split_first_chunk::<8>() {
        let length = u32::from_be_bytes([head[4], head[5], head[6], head[7]]) as usize;
        text.extend(&rest[..length]);
        frames = &rest[length..];
    }
    String::from_utf8(text).unwrap()
}
