//! What all parts of an engine share.

use std::collections::HashMap;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dhow_errdefs::{Result, ResultExt};
use dhow_image::{Images, Registries};
use dhow_runtime::seccomp;
use dhow_shim::protocol::Exit;
use dhow_store::{Metadata, Store};
use dhow_sys::folder_lock::FolderLock;
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::container::Container;
use crate::create::{Defaults, Facts};
use crate::events::Events;
use crate::exec::Execs;
use crate::host::Host;
use crate::index::Index;
use crate::launch::Identity;
use crate::link::PATIENCE;
use crate::networks::Networks;
use crate::shims::Shims;
use crate::stats::Sampler;
use crate::volumes::Volumes;
use crate::{BUILT_IN_RUNTIMES, Config};

/// The engine without its tasks.
#[derive(Debug)]
pub(crate) struct Core {
    pub config: Config,
    pub host: Host,
    pub store: Arc<Store>,
    pub images: Images,
    pub registries: Registries,
    pub volumes: Volumes,
    pub networks: Networks,
    /// What the kernel has of networks.
    pub kernel: Arc<dhow_network::Networks>,
    pub events: Events,
    pub execs: Execs,
    pub filters: seccomp::Cache,
    pub identities: Identities,
    pub sampler: Sampler,
    pub shims: Arc<Shims>,
    containers: Mutex<Index<Container>>,
    /// An engine takes what is in its exec root and of no container it knows for leftovers, so it must be the only one.
    exec_root: FolderLock,
    /// Every owner holds a receiver, so that it is known when all have ended.
    closing: watch::Sender<bool>,
}

/// How many are remembered, whoever asks for whatever users.
const IDENTITIES: usize = 1_000;

/// Identities that were looked up in images, by image and what was asked for.
#[derive(Debug, Default)]
pub(crate) struct Identities(Mutex<HashMap<IdentityKey, Identity>>);

/// The topmost layer, the user and the groups that were asked for.
pub(crate) type IdentityKey = (String, String, Vec<String>);

impl Identities {
    /// The identity for that key, looked up by `find` the first time.
    pub(crate) fn get(&self, key: IdentityKey, find: impl FnOnce() -> Result<Identity>) -> Result<Identity> {
        if let Some(identity) = self.lock().get(&key) {
            return Ok(identity.clone());
        }
        let identity = find()?;
        let mut known = self.lock();
        if known.len() >= IDENTITIES {
            known.clear();
        }
        known.insert(key, identity.clone());
        Ok(identity)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IdentityKey, Identity>> {
        // Whole after each statement, whoever panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lock_exec_root(path: &Path) -> Result<FolderLock> {
    std::fs::create_dir_all(path).context(|| format!("create {}", path.display()))?;
    FolderLock::take(path)?.map_err(|taken| dhow_store::in_use("exec root", path, &taken, "--exec-root"))
}

impl Core {
    /// Opens the data root and looks at the host; blocks. Needs a tokio runtime.
    pub(crate) fn open(config: Config) -> Result<Self> {
        config.log.check()?;
        let host = Host::detect(&config)?;
        let exec_root = lock_exec_root(&config.exec_root)?;
        let store = Arc::new(Store::open(&config.data_root)?);
        for note in store.notes() {
            tracing::warn!("{note}");
        }
        let kernel = crate::networks::kernel(&config);
        let bridge = crate::networks::default_network(&config, &kernel)?;
        Ok(Self {
            host,
            images: Images::open(Arc::clone(&store)).under(Arc::clone(&config.policy)),
            registries: Registries::new(config.registries.clone(), Handle::current()),
            volumes: Volumes::open(&config, &store)?,
            networks: Networks::open(store.metadata(), &bridge)?,
            kernel: Arc::new(kernel),
            events: Events::open(&config.data_root)?,
            store,
            config,
            execs: Execs::default(),
            filters: seccomp::Cache::default(),
            identities: Identities::default(),
            sampler: Sampler::default(),
            shims: Arc::default(),
            containers: Mutex::default(),
            exec_root,
            closing: watch::Sender::new(false),
        })
    }

    /// Says to other engines that want these roots where this one is reached.
    pub(crate) fn say_where(&self, address: &str) -> Result<()> {
        self.store.say_where(address).and(self.exec_root.say(address))
    }

    /// The index of containers. Never held across an await or a system call.
    pub(crate) fn containers(&self) -> MutexGuard<'_, Index<Container>> {
        self.containers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets every owner end and waits for that, but not for one that waits for a dead disk itself. What runs, runs on under
    /// its shim.
    pub(crate) async fn close(&self) {
        self.containers().clear();
        self.sampler.close();
        self.closing.send_replace(true);
        if tokio::time::timeout(PATIENCE, self.closing.closed()).await.is_err() {
            tracing::warn!(
                "containers are left in the middle of something; the next engine finds out what became of it"
            );
        }
        if let Err(error) = tokio::task::block_in_place(|| self.shims.close()) {
            tracing::warn!(%error, "a shim that no container has taken");
        }
        if !self.has_cgroups_elsewhere() {
            self.host.leave();
        }
    }

    /// Whether a container that goes on may have its cgroup elsewhere than most: nobody sees that it is shown what the host
    /// would take away.
    fn has_cgroups_elsewhere(&self) -> bool {
        let elsewhere = |run_dir: PathBuf| {
            dhow_shim::cgroup_in(&run_dir).is_some_and(|path| !Path::new(&path).starts_with(&self.host.cgroup_parent))
        };
        match std::fs::read_dir(self.run_dirs()) {
            Ok(left) => left.flatten().any(|entry| elsewhere(entry.path())),
            Err(error) => error.kind() != std::io::ErrorKind::NotFound,
        }
    }

    /// Tells an owner that it has to end.
    pub(crate) fn closing(&self) -> watch::Receiver<bool> {
        self.closing.subscribe()
    }

    /// Our own binary as a path to execute.
    pub(crate) fn program(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.config.executable.as_raw_fd()))
    }

    /// Where a container's shim lives.
    pub(crate) fn run_dir(&self, id: &str) -> PathBuf {
        self.run_dirs().join(id)
    }

    fn run_dirs(&self) -> PathBuf {
        self.config.exec_root.join("containers")
    }

    /// Has a shim for the next start, if there is none. Blocks.
    pub(crate) fn refill_shims(&self) {
        self.shims.refill(&self.program(), &self.run_dirs());
    }

    /// The folder behind /dev/shm of a container that shares it.
    pub(crate) fn shm_dir(&self, id: &str) -> PathBuf {
        self.config.exec_root.join("shm").join(id)
    }

    /// The cgroup that the container gets at its start, if this engine can make one.
    pub(crate) fn cgroup_of(&self, container: &Container) -> Option<String> {
        self.host.cgroup(&container.view().spec.host.resources.cgroup_parent, &container.id)
    }

    /// The cgroup that a container has which runs: it may have been started by an engine that had its cgroups elsewhere.
    pub(crate) fn present_cgroup_of(&self, container: &Container) -> Option<String> {
        dhow_shim::cgroup_in(&self.run_dir(&container.id)).or_else(|| self.cgroup_of(container))
    }

    /// How a container ended, as its shim wrote it down.
    pub(crate) fn read_exit(&self, id: &str) -> Option<Exit> {
        let text = std::fs::read(self.store.snapshots().dir(id).join("exit.json")).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Writes to the database. Images are on the disk when that returns, and while one is being put there every other
    /// write waits; so what else this thread has to do is given to another one meanwhile.
    pub(crate) fn record<T>(&self, write: impl FnOnce(&Metadata) -> Result<T>) -> Result<T> {
        tokio::task::block_in_place(|| write(self.store.metadata()))
    }

    /// Gives a container another name, in the index and on disk.
    pub(crate) fn rename(&self, id: &Arc<str>, old: &str, new: &str) -> Result<()> {
        self.containers().reserve(new, id)?;
        if let Err(error) = self.record(|metadata| metadata.rename_container(id, new)) {
            self.containers().release(new, id);
            return Err(error);
        }
        self.containers().release(old, id);
        Ok(())
    }

    /// A container that was removed.
    pub(crate) fn forget(&self, id: &str) {
        self.containers().remove(id);
        self.execs.forget_container(id);
        self.sampler.forget(id);
    }

    /// What validation has to know.
    pub(crate) fn facts(&self) -> Facts {
        let mut runtimes: Vec<String> = self.config.runtimes.keys().cloned().collect();
        runtimes.push(self.config.default_runtime.clone());
        runtimes.extend(BUILT_IN_RUNTIMES.map(str::to_owned));
        Facts {
            cpus: self.host.cpus,
            last_node: self.host.last_node,
            limits: self.host.limits,
            modules: self.host.platform.modules,
            runtimes,
            no_bridges: self.config.no_bridges().map(|no| no.why.clone()),
            default_network: self.config.usual.bridge.is_wanted(),
        }
    }

    pub(crate) fn defaults(&self) -> Defaults {
        let config = &self.config;
        Defaults {
            runtime: config.default_runtime.clone(),
            log: config.log.clone(),
            shm_size: config.default_shm_size,
            ulimits: config.default_ulimits.clone(),
            init: config.init,
            private_cgroup_namespace: self.host.platform.unified_cgroups,
            usual: config.usual.clone(),
        }
    }

    /// Something happened to a container, told by somebody else than its owner.
    pub(crate) fn container_event(&self, container: &Container, action: impl Into<String>, more: &[(&str, String)]) {
        let view = container.view();
        self.events.container(action, (&container.id, &view.name), &view.spec, more);
    }

    /// The shim tells the end of an exec.
    pub(crate) fn exec_ended(&self, exec: &str, code: i32) {
        let Some(ended) = self.execs.ended(exec, code) else { return };
        let Ok(container) = self.containers().find(&ended.container) else { return };
        let view = container.view();
        let more = [("execID", exec.to_owned()), ("exitCode", code.to_string())];
        self.events.container("exec_die", (&container.id, &view.name), &view.spec, &more);
    }

    /// The container has ended, and every exec in it.
    pub(crate) fn execs_ended(&self, container: &str) {
        self.execs.container_ended(container);
    }
}
