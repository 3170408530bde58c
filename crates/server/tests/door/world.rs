//! One test's engine behind its own door.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use dhow_engine::spec::LogSpec;
use dhow_engine::{Config, Engine, ListOptions, RemoveOptions};
use dhow_image::ImportOptions;
use dhow_oci::Reference;
use dhow_server::Listener;
use dhow_sys::exe::ProtectedExe;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::client::{Answer, Client};

/// An engine that answers on a socket. Dropping it ends the server and removes every container.
pub(crate) struct World {
    runtime: Option<Runtime>,
    engine: Arc<Engine>,
    end: Option<oneshot::Sender<()>>,
    served: Option<JoinHandle<dhow_engine::Result<()>>>,
    folder: TempDir,
}

impl World {
    /// An engine without images.
    pub(crate) fn empty() -> Self {
        dhow_testkit::isolate();
        let folder = tempfile::Builder::new().prefix("dhow-door-").tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let engine = runtime.block_on(Engine::open(config(&folder))).unwrap();
        let (end, ended) = oneshot::channel::<()>();
        let listener = {
            let _entered = runtime.enter();
            UnixListener::bind(folder.path().join("socket")).unwrap()
        };
        let shutdown = async { drop(ended.await) };
        let served = runtime.spawn(dhow_server::serve(Arc::clone(&engine), vec![Listener::Unix(listener)], shutdown));
        Self { runtime: Some(runtime), engine, end: Some(end), served: Some(served), folder }
    }

    /// An engine that has the image `busybox`.
    pub(crate) fn new() -> Self {
        let world = Self::empty();
        let options = ImportOptions {
            reference: Some(Reference::parse("busybox").unwrap().with_default_tag()),
            ..ImportOptions::default()
        };
        world.engine.images().import(Cursor::new(dhow_testkit::busybox_tar()), &options).unwrap();
        world
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    /// A connection of its own.
    pub(crate) fn connect(&self) -> Client {
        Client::connect(&self.socket())
    }

    /// One request on a connection of its own.
    pub(crate) fn request(&self, method: &str, path: &str, body: &str) -> Answer {
        let mut client = self.connect();
        client.send_request(method, path, &["Connection: close"], body.as_bytes());
        client.answer()
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.request("GET", path, "")
    }

    pub(crate) fn post(&self, path: &str) -> Answer {
        self.request("POST", path, "")
    }

    /// Makes a container of a JSON configuration, whose image and network are filled in.
    pub(crate) fn create(&self, config: &str) -> String {
        let mut config: Value = serde_json::from_str(config).unwrap();
        config["Image"] = "busybox".into();
        config["HostConfig"]["NetworkMode"] = "none".into();
        let created = self.request("POST", "/v1.51/containers/create", &config.to_string());
        assert_eq!(created.status, 201, "{created:?}");
        created.json()["Id"].as_str().unwrap().to_owned()
    }

    /// Makes and starts a container that runs a line of shell.
    pub(crate) fn run(&self, line: &str) -> String {
        let id = self.create(&serde_json::json!({ "Cmd": ["sh", "-c", line] }).to_string());
        self.start(&id);
        id
    }

    pub(crate) fn start(&self, id: &str) {
        let started = self.post(&format!("/containers/{id}/start"));
        assert_eq!(started.status, 204, "{started:?}");
    }

    /// Waits until it does not run.
    pub(crate) fn ended(&self, id: &str) -> i64 {
        self.post(&format!("/containers/{id}/wait")).json()["StatusCode"].as_i64().unwrap()
    }

    pub(crate) fn inspect(&self, id: &str) -> Value {
        self.get(&format!("/containers/{id}/json")).json()
    }

    /// Ends the server and waits for it.
    pub(crate) fn end(&mut self) {
        drop(self.end.take());
        if let Some(served) = self.served.take() {
            self.runtime.as_ref().unwrap().block_on(served).unwrap().unwrap();
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.end();
        let runtime = self.runtime.take().unwrap();
        runtime.block_on(async {
            let all = ListOptions { all: true, ..ListOptions::default() };
            for container in self.engine.list(all).await.unwrap_or_default() {
                drop(self.engine.remove(&container.id, RemoveOptions { force: true, volumes: true }).await);
            }
            self.engine.close().await;
        });
        drop(runtime);
        let cgroups = dhow_cgroups::Hierarchy::detect().unwrap();
        if let Ok(parent) = dhow_cgroups::Cgroup::open(&cgroups, &parent(&self.folder)) {
            drop(parent.delete());
        }
    }
}

fn parent(folder: &TempDir) -> String {
    format!("/{}", folder.path().file_name().unwrap().to_str().unwrap())
}

fn config(folder: &TempDir) -> Config {
    let executable: OwnedFd = ProtectedExe::open().unwrap().into();
    Config {
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
        version: "1.2.3".to_owned(),
    }
}
