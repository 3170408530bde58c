//! The engine's front: one method per request.

use std::sync::Arc;

use dhow_errdefs::{Error, Result, message};
use dhow_image::Images;
use dhow_oci::Digest;
use dhow_shim::protocol::{Op, Resize};
use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

use crate::container::{Command, Container, Request, State, Then};
use crate::core::Core;
use crate::networks::{PublishChange, owner_and_alias};
use crate::signal;
use crate::spec::{ExecSpec, Resources, RestartPolicy};
use crate::watch::watched;
use crate::{
    AttachOptions, ClientStream, Config, CreateRequest, Created, Details, EventKind, ExecDetails, ExecStartOptions,
    ExitStatus, Info, ListOptions, Listener, LogEntry, LogOptions, ProcessTable, PruneOptions, Pruned, Reading,
    RemoveOptions, StatsListener, Summary, WaitCondition,
};

/// A container engine over one data root.
///
/// `reference` is a full id, a full name (with or without the slash) or an unambiguous prefix of an id. All methods
/// that change something run to their end even when the caller goes away.
#[derive(Debug)]
pub struct Engine {
    pub(crate) core: Arc<Core>,
}

/// A registered wait: nothing that happens after it was given out is missed.
#[derive(Debug)]
pub struct WaitHandle(oneshot::Receiver<ExitStatus>);

impl WaitHandle {
    /// Waits for the end.
    ///
    /// # Errors
    /// `Unavailable` if the engine shuts down meanwhile.
    pub async fn status(self) -> Result<ExitStatus> {
        self.0.await.map_err(|_| Error::unavailable("the engine is shutting down"))
    }
}

impl Engine {
    /// Opens the data root (one engine per root), adopts what runs, cleans what was left half done. Needs a tokio runtime.
    ///
    /// # Errors
    /// `Conflict` when another engine has the root; what the file system and the database say.
    pub async fn open(config: Config) -> Result<Arc<Self>> {
        let core = blocking(move || Core::open(config)).await?;
        let core = Arc::new(core);
        crate::restore::restore(&core).await?;
        Ok(Arc::new(Self { core }))
    }

    /// What the engine was opened with.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.core.config
    }

    /// Says to other engines that want the roots of this one where it is reached, as in `unix:///run/dhow/dhow.sock`.
    pub fn say_where(&self, address: &str) {
        if let Err(error) = self.core.say_where(address) {
            tracing::warn!(%error, "say in the roots where this engine is reached");
        }
    }

    /// Images. Their methods block.
    #[must_use]
    pub fn images(&self) -> &Images {
        &self.core.images
    }

    /// The containers that use an image, for removing and pruning images.
    #[must_use]
    pub fn image_users(&self, image: &Digest) -> Vec<dhow_image::User> {
        let user = |container: &Arc<Container>| {
            let view = container.view();
            let name = match &container.image {
                Some(own) if own == image => view.spec.image.clone(),
                _ => crate::start::mounted_as(&view.body.mounts, image)?.to_owned(),
            };
            let running = view.state().is_running();
            Some(dhow_image::User { container: container.id.to_string(), image: name, running })
        };
        self.core.containers().all().filter_map(user).collect()
    }

    /// Lets every owner end; containers go on under their shims. Requests that come later find no containers.
    pub async fn close(&self) {
        self.core.close().await;
    }

    /// Makes a container from a local image.
    ///
    /// # Errors
    /// `NotFound` with Docker's words if the image is not there; `InvalidArgument` for what makes no sense.
    pub async fn create(&self, request: CreateRequest) -> Result<Created> {
        let core = Arc::clone(&self.core);
        watched(self.core.volumes.patience(), move |watch| core.create(request, watch)).await
    }

    /// Starts a container.
    ///
    /// # Errors
    /// `NotModified` if it runs already; why the program could not be run.
    pub async fn start(&self, reference: &str) -> Result<()> {
        self.find(reference)?.ask(Command::Start).await
    }

    /// Asks it to end with a signal (`None`: its own stop signal) and kills it after `timeout` seconds (`None`: its own;
    /// negative: never).
    ///
    /// # Errors
    /// `NotModified` if it does not run.
    pub async fn stop(&self, reference: &str, signal: Option<String>, timeout: Option<i64>) -> Result<()> {
        let container = self.find(reference)?;
        to_the_end(Arc::clone(&self.core).stop(container, signal, timeout, Then::Nothing)).await
    }

    /// Sends a signal by name or number (`None`: SIGKILL).
    ///
    /// # Errors
    /// `Conflict` if it does not run.
    pub async fn kill(&self, reference: &str, signal: Option<String>) -> Result<()> {
        // As dockerd: what is no signal is refused whoever it is for.
        let number = signal.as_deref().filter(|text| !text.is_empty()).map_or(Ok(signal::KILL), signal::parse)?;
        let container = self.find(reference)?;
        to_the_end(Arc::clone(&self.core).kill(container, number)).await
    }

    /// Stops as [`stop`](Self::stop) does, if it runs, and starts again.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn restart(&self, reference: &str, signal: Option<String>, timeout: Option<i64>) -> Result<()> {
        let container = self.find(reference)?;
        to_the_end(Arc::clone(&self.core).restart(container, signal, timeout)).await
    }

    /// Freezes its processes.
    ///
    /// # Errors
    /// `Conflict` if it does not run or is paused already.
    pub async fn pause(&self, reference: &str) -> Result<()> {
        self.find(reference)?.ask(Command::Pause).await
    }

    /// Lets them go on.
    ///
    /// # Errors
    /// `Conflict` if it is not paused.
    pub async fn unpause(&self, reference: &str) -> Result<()> {
        self.find(reference)?.ask(Command::Unpause).await
    }

    /// Gives it another name.
    ///
    /// # Errors
    /// `Conflict` if somebody has the name, `InvalidArgument` if it is none.
    pub async fn rename(&self, reference: &str, name: &str) -> Result<()> {
        let container = self.find(reference)?;
        if name.is_empty() || name == "/" {
            return Err(Error::invalid("Neither old nor new names may be empty"));
        }
        let name = crate::create::container_name(name)?.to_owned();
        if name == container.view().name {
            return Err(Error::invalid("Renaming a container with the same name as its current name"));
        }
        container.ask(|reply| Command::Rename(name, reply)).await
    }

    /// Changes limits and restart policy; zero fields stay as they are. Returns warnings.
    ///
    /// # Errors
    /// `InvalidArgument` for limits that contradict each other.
    pub async fn update(
        &self,
        reference: &str,
        resources: Resources,
        restart: Option<RestartPolicy>,
    ) -> Result<Vec<String>> {
        self.find(reference)?.ask(|reply| Command::Update(Box::new(resources), restart, reply)).await
    }

    /// Publishes ports of a container, and takes others back, whether it runs or not.
    ///
    /// # Errors
    /// `InvalidArgument` for what is no port; `NotFound` for what is not published; as a start where a port is taken.
    /// Nothing changes then.
    pub async fn publish(&self, reference: &str, change: PublishChange) -> Result<()> {
        self.find(reference)?.ask(|reply| Command::Publish(Box::new(change), reply)).await
    }

    /// Registers a wait; the answer comes from [`WaitHandle::status`].
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn wait(&self, reference: &str, condition: WaitCondition) -> Result<WaitHandle> {
        let (waiter, status) = oneshot::channel();
        self.find(reference)?.tell(Command::Wait(condition, waiter))?;
        Ok(WaitHandle(status))
    }

    /// Removes a container. Always ends, whatever happened to its shim, cgroup or files.
    ///
    /// # Errors
    /// `Conflict` if it runs and force was not asked for.
    pub async fn remove(&self, reference: &str, options: RemoveOptions) -> Result<()> {
        self.find(reference)?.ask(|reply| Command::Remove(options, reply)).await
    }

    /// Removes a link, named `container/alias`.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` for the name of a container.
    pub async fn remove_link(&self, reference: &str) -> Result<()> {
        let Some((owner, alias)) = owner_and_alias(reference) else {
            self.find(reference)?;
            return Err(Error::conflict("Conflict, cannot remove the default link name of the container"));
        };
        // A link has one name, which begins with the container's name and not with its id.
        let owner = self.find(owner).ok().filter(|container| container.view().name == owner);
        let owner = owner.ok_or_else(|| Error::not_found(message::no_such_container(reference)))?;
        owner.ask(|reply| Command::Unlink(alias.to_owned(), reply)).await
    }

    /// Removes the containers that do not run.
    ///
    /// # Errors
    /// Only if the engine ends meanwhile.
    pub async fn prune(&self, options: PruneOptions) -> Result<Pruned> {
        to_the_end(Arc::clone(&self.core).prune(options)).await
    }

    /// Containers, newest first.
    ///
    /// # Errors
    /// `InvalidArgument` for filters that do not exist.
    pub async fn list(&self, options: ListOptions) -> Result<Vec<Summary>> {
        let core = Arc::clone(&self.core);
        blocking(move || core.list(&options)).await
    }

    /// Everything about one container.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn inspect(&self, reference: &str, size: bool) -> Result<Details> {
        let container = self.find(reference)?;
        let core = Arc::clone(&self.core);
        blocking(move || core.details(&container, size)).await
    }

    /// What it wrote. The channel closes at the end; an error entry is the last one.
    ///
    /// # Errors
    /// `InvalidArgument` without a stream, `NotImplemented` when its log driver keeps nothing.
    pub async fn logs(&self, reference: &str, options: LogOptions) -> Result<mpsc::Receiver<Result<LogEntry>>> {
        self.core.logs(&self.find(reference)?, &options).await
    }

    /// Checks that one can attach now and tells whether the container has a terminal (which decides the stream's shape).
    /// To be called before the HTTP upgrade is answered; [`attach`](Self::attach) after it.
    ///
    /// # Errors
    /// `Conflict` if it is paused or restarting, `InvalidArgument` for detach keys that do not exist.
    pub async fn attach_ready(&self, reference: &str, options: &AttachOptions) -> Result<bool> {
        let view = self.find(reference)?.check(Request::Attach)?;
        crate::attach::detach_keys(options.detach_keys.as_deref())?;
        Ok(view.spec.tty)
    }

    /// Hands a client's socket over. To a running container's shim, else kept until it starts. Returns when the socket is
    /// handed over; from then on the caller has nothing to do with it.
    ///
    /// `announced` is dropped when the socket is handed over, or before that when the client does not read what was
    /// logged: whoever waits for the hand-over must not wait for the client.
    ///
    /// # Errors
    /// As [`attach_ready`](Self::attach_ready).
    pub async fn attach(
        &self,
        reference: &str,
        options: AttachOptions,
        stream: ClientStream,
        announced: impl Send + 'static,
    ) -> Result<()> {
        let container = self.find(reference)?;
        to_the_end(Arc::clone(&self.core).attach(container, options, stream, announced)).await
    }

    /// Sets the size of its terminal.
    ///
    /// # Errors
    /// `Conflict` if it does not run.
    pub async fn resize(&self, reference: &str, rows: u16, columns: u16) -> Result<()> {
        let container = self.find(reference)?;
        let view = container.check(Request::Resize)?;
        resize(&view, None, rows, columns).await?;
        self.core.container_event(
            &container,
            "resize",
            &[("height", rows.to_string()), ("width", columns.to_string())],
        );
        Ok(())
    }

    /// Its processes; `arguments` are those of `ps` as far as dhow knows them.
    ///
    /// # Errors
    /// `Conflict` if it does not run; what `ps` says of arguments it does not understand.
    pub async fn top(&self, reference: &str, arguments: &str) -> Result<ProcessTable> {
        let (core, container, arguments) = (Arc::clone(&self.core), self.find(reference)?, arguments.to_owned());
        blocking(move || {
            let table = core.top(&container, &arguments)?;
            core.container_event(&container, "top", &[]);
            Ok(table)
        })
        .await
    }

    /// What it uses, once a second: the first reading comes at once. Also for one that does not run, which may start.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn stats(&self, reference: &str) -> Result<StatsListener> {
        Ok(self.core.listen_to_stats(self.find(reference)?))
    }

    /// What it uses now.
    ///
    /// # Errors
    /// `NotFound`; what reading its cgroup gives.
    pub async fn stats_now(&self, reference: &str) -> Result<Reading> {
        Arc::clone(&self.core).stats_of(self.find(reference)?).await
    }

    /// Prepares a further process; the answer is the exec's id.
    ///
    /// # Errors
    /// `Conflict` if the container does not run or is paused.
    pub async fn exec_create(&self, reference: &str, spec: ExecSpec) -> Result<String> {
        let container = self.find(reference)?;
        container.until_reached().await?;
        if container.view().condition.state == State::Paused {
            let text = format!("Container {reference} is paused, unpause the container before exec");
            return Err(Error::conflict(text));
        }
        self.core.exec_create(&container, spec)
    }

    /// Checks that an exec can be started now and tells whether it has a terminal. To be called before the HTTP upgrade
    /// is answered; [`exec_start`](Self::exec_start) after it.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` if the container does not run, or the exec was started already.
    pub async fn exec_ready(&self, id: &str) -> Result<bool> {
        Ok(self.core.exec_ready(id).await?.spec.tty)
    }

    /// Starts it. With a stream the client's socket is handed over, and a failure to start is also written into it as
    /// Docker does (the exec's exit code becomes 126 or 127). Returns when the process runs.
    ///
    /// # Errors
    /// `Conflict` if it ran already; why the program could not be run.
    pub async fn exec_start(&self, id: &str, options: ExecStartOptions, stream: Option<ClientStream>) -> Result<()> {
        to_the_end(Arc::clone(&self.core).exec_start(id.to_owned(), options, stream)).await
    }

    /// Sets the size of its terminal.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` if it does not run.
    pub async fn exec_resize(&self, id: &str, rows: u16, columns: u16) -> Result<()> {
        let target = self.core.exec_target(id).await?;
        resize(&target.view, Some(id.to_owned()), rows, columns).await
    }

    /// What is known about an exec.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn exec_inspect(&self, id: &str) -> Result<ExecDetails> {
        self.core.execs.details(id)
    }

    /// What happens from now on; with `since`, also what has happened since then, as far as it is remembered.
    #[must_use]
    pub fn events(&self, since: Option<Timestamp>) -> Listener {
        self.core.events.listen(since)
    }

    /// Tells that things of a kind that nobody needs were removed.
    pub fn pruned(&self, kind: EventKind, reclaimed: u64) {
        let attributes = [("reclaimed".to_owned(), reclaimed.to_string())].into();
        self.core.events.tell(kind, "prune".to_owned(), "", attributes);
    }

    /// Facts about the engine and its host.
    pub async fn info(&self) -> Info {
        let core = Arc::clone(&self.core);
        blocking(move || Ok(core.info())).await.unwrap_or_default()
    }

    pub(crate) fn find(&self, reference: &str) -> Result<Arc<Container>> {
        let found = self.core.containers().find(reference);
        found.or_else(|error| self.core.linked(reference).ok_or(error))
    }
}

async fn resize(view: &crate::container::View, exec: Option<String>, rows: u16, cols: u16) -> Result<()> {
    let link = view.link.as_ref().ok_or_else(crate::link::out_of_reach)?;
    link.ask(Op::Resize(Resize { exec, rows, cols })).await.map(drop)
}

/// Work that may wait for the disk.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    interrupted(tokio::task::spawn_blocking(work).await)
}

/// Work that goes on when the caller has gone away.
pub(crate) async fn to_the_end<T: Send + 'static>(work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    interrupted(tokio::spawn(work).await)
}

pub(crate) fn interrupted<T>(done: Result<Result<T>, tokio::task::JoinError>) -> Result<T> {
    done.unwrap_or_else(|error| Err(Error::internal("a request was interrupted").with_cause(error)))
}
