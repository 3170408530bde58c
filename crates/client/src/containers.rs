//! `/containers`.

use dhow_api::container::{
    CreateRequest, CreateResponse, Inspect, Port, PublishRequest, Summary, TopResponse, UpdateRequest, UpdateResponse,
    WaitResponse,
};
use dhow_api::query::{Filters, Query};
use dhow_errdefs::Result;
use serde::Deserialize;

use crate::call::Call;
use crate::path::object;
use crate::{Bytestream, Client, Hijacked, Messages};

/// Which containers to list.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// Stopped ones too.
    pub all: bool,
    /// At most so many of the newest; 0 or less for all.
    pub limit: i64,
    /// Count what they take on disk.
    pub size: bool,
    /// Only those that match.
    pub filters: Filters,
}

/// Which streams to attach to, and how.
#[derive(Debug, Clone, Default)]
pub struct Attach {
    /// Standard input.
    pub stdin: bool,
    /// Standard output.
    pub stdout: bool,
    /// Standard error.
    pub stderr: bool,
    /// What was printed before, first.
    pub logs: bool,
    /// Keys that detach, as `ctrl-p,ctrl-q`.
    pub detach_keys: Option<String>,
}

/// Which part of a log.
#[derive(Debug, Clone, Default)]
pub struct Logs {
    /// Go on as the container prints.
    pub follow: bool,
    /// A time stamp before each line.
    pub timestamps: bool,
    /// What log drivers add to a line.
    pub details: bool,
    /// Number of last lines, or `all`.
    pub tail: String,
    /// Seconds since 1970, with a fraction; empty for the beginning.
    pub since: String,
    /// The same for the end.
    pub until: String,
}

/// How to remove a container.
#[derive(Debug, Clone, Copy, Default)]
pub struct Removal {
    /// Kill it if it runs.
    pub force: bool,
    /// With its anonymous volumes.
    pub volumes: bool,
    /// Only the link of that name.
    pub link: bool,
}

/// A wait that the engine has accepted: an exit from now on is not missed.
#[derive(Debug)]
pub struct Waiting(Bytestream);

impl Waiting {
    /// The end of the container.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn exit(mut self) -> Result<WaitResponse> {
        let mut text = Vec::new();
        while let Some(piece) = self.0.next().await? {
            text.extend_from_slice(&piece);
        }
        dhow_api::json::from_slice(&text)
            .map_err(|cause| dhow_errdefs::Error::unavailable("the daemon went away").with_cause(cause))
    }
}

/// The fields of a [`Summary`] that a plain table shows.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Lean {
    id: String,
    names: Vec<String>,
    image: String,
    #[serde(rename = "ImageID")]
    image_id: String,
    command: String,
    created: i64,
    ports: Vec<Port>,
    size_rw: i64,
    size_root_fs: i64,
    state: String,
    status: String,
}

impl From<Lean> for Summary {
    fn from(lean: Lean) -> Self {
        let Lean { id, names, image, image_id, command, created, ports, size_rw, size_root_fs, state, status } = lean;
        let all = Self { id, names, image, image_id, command, created, ports, state, status, ..Self::default() };
        Self { size_rw, size_root_fs, ..all }
    }
}

fn of(id: &str, verb: &str) -> String {
    format!("/containers/{}{verb}", object(id))
}

/// Each call fails if the engine cannot be reached, or refuses, with its words.
#[allow(clippy::missing_errors_doc, reason = "said once for all above")]
impl Client {
    /// Lists containers.
    pub async fn container_list(&self, listing: &Listing) -> Result<Vec<Summary>> {
        self.list_call(Query::default(), listing).document().await
    }

    /// Lists containers without labels, mounts and networks, which are most of the work in a long list. Our engine does
    /// not write them then, and of others' answers they are not read.
    pub async fn container_list_lean(&self, listing: &Listing) -> Result<Vec<Summary>> {
        let lean: Vec<Lean> = self.list_call(Query::default().with_flag("lean", true), listing).long_list().await?;
        Ok(lean.into_iter().map(Summary::from).collect())
    }

    fn list_call(&self, query: Query, listing: &Listing) -> Call<'_> {
        let limit = (listing.limit > 0).then(|| listing.limit.to_string());
        let query = query
            .with_flag("all", listing.all)
            .with_some("limit", limit)
            .with_flag("size", listing.size)
            .with_filters(&listing.filters);
        self.get("/containers/json").query(query)
    }

    /// Creates a container; an empty name lets the engine choose one.
    pub async fn container_create(
        &self,
        name: &str,
        platform: &str,
        request: &CreateRequest,
    ) -> Result<CreateResponse> {
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let query = Query::default().with_some("name", given(name)).with_some("platform", given(platform));
        self.post("/containers/create").query(query).json(request)?.document().await
    }

    /// Everything about a container.
    pub async fn container_inspect(&self, id: &str) -> Result<Inspect> {
        self.get(of(id, "/json")).document().await
    }

    /// The same as the engine wrote it.
    pub async fn container_inspect_raw(&self, id: &str, size: bool) -> Result<Vec<u8>> {
        self.get(of(id, "/json")).query(Query::default().with_flag("size", size)).text().await
    }

    /// Starts a container.
    pub async fn container_start(&self, id: &str) -> Result<()> {
        self.post(of(id, "/start")).done().await
    }

    /// Stops a container; `timeout` in seconds, -1 for no limit.
    pub async fn container_stop(&self, id: &str, signal: Option<&str>, timeout: Option<i64>) -> Result<()> {
        self.post(of(id, "/stop")).query(stopping(signal, timeout)).done().await
    }

    /// Stops a container and starts it again.
    pub async fn container_restart(&self, id: &str, signal: Option<&str>, timeout: Option<i64>) -> Result<()> {
        self.post(of(id, "/restart")).query(stopping(signal, timeout)).done().await
    }

    /// Sends a signal, by name or number, to a container's first process.
    pub async fn container_kill(&self, id: &str, signal: &str) -> Result<()> {
        self.post(of(id, "/kill")).query(Query::default().with("signal", signal)).done().await
    }

    /// Freezes a container.
    pub async fn container_pause(&self, id: &str) -> Result<()> {
        self.post(of(id, "/pause")).done().await
    }

    /// Thaws a container.
    pub async fn container_unpause(&self, id: &str) -> Result<()> {
        self.post(of(id, "/unpause")).done().await
    }

    /// Gives a container another name.
    pub async fn container_rename(&self, id: &str, name: &str) -> Result<()> {
        self.post(of(id, "/rename")).query(Query::default().with("name", name)).done().await
    }

    /// Removes a container.
    pub async fn container_remove(&self, id: &str, how: Removal) -> Result<()> {
        let query =
            Query::default().with_flag("force", how.force).with_flag("v", how.volumes).with_flag("link", how.link);
        self.delete(of(id, "")).query(query).done().await
    }

    /// Waits for `not-running`, `next-exit` or `removed`; returns when the engine has begun to wait.
    pub async fn container_wait(&self, id: &str, condition: &str) -> Result<Waiting> {
        self.post(of(id, "/wait")).query(Query::default().with("condition", condition)).bytes().await.map(Waiting)
    }

    /// The processes of a container, as `ps` with these arguments shows them.
    pub async fn container_top(&self, id: &str, arguments: &str) -> Result<TopResponse> {
        let arguments = (!arguments.is_empty()).then_some(arguments);
        self.get(of(id, "/top")).query(Query::default().with_some("ps_args", arguments)).document().await
    }

    /// What a container uses, as [`Stats`](dhow_api::container::Stats): one after the other, or one that is made of two
    /// readings.
    pub async fn container_stats(&self, id: &str, stream: bool) -> Result<Messages> {
        let stream = if stream { "1" } else { "0" };
        self.get(of(id, "/stats")).query(Query::default().with("stream", stream)).messages().await
    }

    /// Changes limits and restart policy; zero fields stay as they are.
    pub async fn container_update(&self, id: &str, request: &UpdateRequest) -> Result<UpdateResponse> {
        self.post(of(id, "/update")).json(request)?.document().await
    }

    /// Publishes ports of a container, and takes others back.
    pub async fn container_publish(&self, id: &str, request: &PublishRequest) -> Result<()> {
        self.post(of(id, "/publish")).json(request)?.done().await
    }

    /// Tells a container's terminal its size.
    pub async fn container_resize(&self, id: &str, rows: u16, columns: u16) -> Result<()> {
        let query = Query::default().with("h", rows.to_string()).with("w", columns.to_string());
        self.post(of(id, "/resize")).query(query).done().await
    }

    /// Attaches to a container's streams.
    pub async fn container_attach(&self, id: &str, attach: &Attach) -> Result<Hijacked> {
        let query = Query::default()
            .with("stream", "1")
            .with_flag("stdin", attach.stdin)
            .with_flag("stdout", attach.stdout)
            .with_flag("stderr", attach.stderr)
            .with_flag("logs", attach.logs)
            .with_some("detachKeys", attach.detach_keys.as_deref());
        self.post(of(id, "/attach")).query(query).hijack().await
    }

    /// A container's log: raw bytes with a terminal, frames without.
    pub async fn container_logs(&self, id: &str, logs: &Logs) -> Result<Bytestream> {
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let query = Query::default()
            .with("stdout", "1")
            .with("stderr", "1")
            .with_flag("follow", logs.follow)
            .with_flag("timestamps", logs.timestamps)
            .with_flag("details", logs.details)
            .with_some("tail", given(&logs.tail))
            .with_some("since", given(&logs.since))
            .with_some("until", given(&logs.until));
        self.get(of(id, "/logs")).query(query).bytes().await
    }
}

fn stopping(signal: Option<&str>, timeout: Option<i64>) -> Query {
    Query::default().with_some("signal", signal).with_some("t", timeout.map(|seconds| seconds.to_string()))
}
