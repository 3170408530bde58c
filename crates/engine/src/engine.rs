//! The engine's front: one method per request.

use std::sync::Arc;

use dhow_errdefs::{Error, Result};
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::spec::{ExecSpec, Resources, RestartPolicy};
use crate::{
    AttachOptions, ClientStream, Config, CreateRequest, Created, Details, Event, ExecDetails, ExecStartOptions,
    ExitStatus, Info, ListOptions, LogEntry, LogOptions, ProcessTable, RemoveOptions, Summary, WaitCondition,
};

/// A container engine over one data root.
///
/// `reference` is a full id, a full name (with or without the slash) or an unambiguous prefix of an id. All methods
/// that change something run to their end even when the caller goes away.
#[derive(Debug)]
pub struct Engine {
    config: Config,
    events: broadcast::Sender<Event>,
}

/// A registered wait: nothing that happens after it was given out is missed.
#[derive(Debug)]
pub struct WaitHandle(oneshot::Receiver<ExitStatus>);

impl WaitHandle {
    /// Waits for the end. An error only if the engine shuts down meanwhile.
    pub async fn status(self) -> Result<ExitStatus> {
        self.0.await.map_err(|_| Error::unavailable("the engine is shutting down"))
    }
}

impl Engine {
    /// Opens the data root (one engine per root), adopts what runs, cleans what was left half done. Needs a tokio runtime.
    pub async fn open(config: Config) -> Result<Arc<Self>> {
        let (events, _) = broadcast::channel(1024);
        Ok(Arc::new(Self { config, events }))
    }

    /// What the engine was opened with.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Stops the engine's tasks; containers go on under their shims.
    pub async fn close(&self) {}

    /// Makes a container from a local image. Class NotFound with Docker's words if the image is not there.
    pub async fn create(&self, request: CreateRequest) -> Result<Created> {
        Err(later(&request.spec.image))
    }

    /// Starts a container. NotModified if it runs already.
    pub async fn start(&self, reference: &str) -> Result<()> {
        Err(later(reference))
    }

    /// Asks it to end with a signal (`None`: its own stop signal) and kills it after `timeout` seconds (`None`: its own;
    /// negative: never). NotModified if it does not run.
    pub async fn stop(&self, reference: &str, signal: Option<String>, timeout: Option<i64>) -> Result<()> {
        let _ = (signal, timeout);
        Err(later(reference))
    }

    /// Sends a signal by name or number (`None`: SIGKILL).
    pub async fn kill(&self, reference: &str, signal: Option<String>) -> Result<()> {
        let _ = signal;
        Err(later(reference))
    }

    /// Stops as [`stop`](Self::stop) does, if it runs, and starts again.
    pub async fn restart(&self, reference: &str, signal: Option<String>, timeout: Option<i64>) -> Result<()> {
        let _ = (signal, timeout);
        Err(later(reference))
    }

    /// Freezes its processes.
    pub async fn pause(&self, reference: &str) -> Result<()> {
        Err(later(reference))
    }

    /// Lets them go on.
    pub async fn unpause(&self, reference: &str) -> Result<()> {
        Err(later(reference))
    }

    /// Gives it another name.
    pub async fn rename(&self, reference: &str, name: &str) -> Result<()> {
        let _ = name;
        Err(later(reference))
    }

    /// Changes limits and restart policy; zero fields stay as they are. Returns warnings.
    pub async fn update(
        &self,
        reference: &str,
        resources: Resources,
        restart: Option<RestartPolicy>,
    ) -> Result<Vec<String>> {
        let _ = (resources, restart);
        Err(later(reference))
    }

    /// Registers a wait; the answer comes from [`WaitHandle::status`].
    pub async fn wait(&self, reference: &str, condition: WaitCondition) -> Result<WaitHandle> {
        let _ = condition;
        Err(later(reference))
    }

    /// Removes a container. Always ends, whatever happened to its shim, cgroup or files.
    pub async fn remove(&self, reference: &str, options: RemoveOptions) -> Result<()> {
        let _ = options;
        Err(later(reference))
    }

    /// Containers, newest first.
    pub async fn list(&self, options: ListOptions) -> Result<Vec<Summary>> {
        let _ = options;
        Ok(Vec::new())
    }

    /// Everything about one container.
    pub async fn inspect(&self, reference: &str, size: bool) -> Result<Details> {
        let _ = size;
        Err(later(reference))
    }

    /// What it wrote. The channel closes at the end; an error entry is the last one.
    pub async fn logs(&self, reference: &str, options: LogOptions) -> Result<mpsc::Receiver<Result<LogEntry>>> {
        let _ = options;
        Err(later(reference))
    }

    /// Checks that one can attach now and tells whether the container has a terminal (which decides the stream's shape).
    /// To be called before the HTTP upgrade is answered; [`attach`](Self::attach) after it.
    pub async fn attach_ready(&self, reference: &str, options: &AttachOptions) -> Result<bool> {
        let _ = options;
        Err(later(reference))
    }

    /// Hands a client's socket over. To a running container's shim, else kept until it starts. Returns when the socket is
    /// handed over; from then on the caller has nothing to do with it.
    pub async fn attach(&self, reference: &str, options: AttachOptions, stream: ClientStream) -> Result<()> {
        let _ = (options, stream);
        Err(later(reference))
    }

    /// Sets the size of its terminal.
    pub async fn resize(&self, reference: &str, rows: u16, columns: u16) -> Result<()> {
        let _ = (rows, columns);
        Err(later(reference))
    }

    /// Its processes; `arguments` are those of `ps` as far as dhow knows them.
    pub async fn top(&self, reference: &str, arguments: &str) -> Result<ProcessTable> {
        let _ = arguments;
        Err(later(reference))
    }

    /// Prepares a further process; the answer is the exec's id.
    pub async fn exec_create(&self, reference: &str, spec: ExecSpec) -> Result<String> {
        let _ = spec;
        Err(later(reference))
    }

    /// Checks that an exec can be started now and tells whether it has a terminal. To be called before the HTTP upgrade
    /// is answered; [`exec_start`](Self::exec_start) after it.
    pub async fn exec_ready(&self, id: &str) -> Result<bool> {
        Err(later(id))
    }

    /// Starts it. With a stream the client's socket is handed over, and a failure to start is also written into it as
    /// Docker does (the exec's exit code becomes 126 or 127). Returns when the process runs.
    pub async fn exec_start(&self, id: &str, options: ExecStartOptions, stream: Option<ClientStream>) -> Result<()> {
        let _ = (options, stream);
        Err(later(id))
    }

    /// Sets the size of its terminal.
    pub async fn exec_resize(&self, id: &str, rows: u16, columns: u16) -> Result<()> {
        let _ = (rows, columns);
        Err(later(id))
    }

    /// What is known about an exec.
    pub async fn exec_inspect(&self, id: &str) -> Result<ExecDetails> {
        Err(later(id))
    }

    /// What happens from now on. A listener that falls behind loses the oldest.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// Facts about the engine and its host.
    pub async fn info(&self) -> Info {
        Info::default()
    }
}

fn later(reference: &str) -> Error {
    Error::not_found(dhow_errdefs::message::no_such_container(reference))
}
