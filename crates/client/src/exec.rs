//! `/exec`: further processes in a container.

use dhow_api::exec::{CreateRequest, CreateResponse, Inspect, StartRequest};
use dhow_api::query::Query;
use dhow_errdefs::Result;

use crate::path::{object, segment};
use crate::{Client, Hijacked};

/// Each call fails if the engine cannot be reached, or refuses, with its words.
#[allow(clippy::missing_errors_doc, reason = "said once for all above")]
impl Client {
    /// Prepares a process in a running container; gives its id.
    pub async fn exec_create(&self, container: &str, request: &CreateRequest) -> Result<String> {
        let path = format!("/containers/{}/exec", object(container));
        let created: CreateResponse = self.post(path).json(request)?.document().await?;
        Ok(created.id)
    }

    /// Starts it and leaves it alone.
    pub async fn exec_start_detached(&self, id: &str, request: &StartRequest) -> Result<()> {
        self.post(format!("/exec/{}/start", segment(id))).json(request)?.done().await
    }

    /// Starts it and takes its streams.
    pub async fn exec_start(&self, id: &str, request: &StartRequest) -> Result<Hijacked> {
        self.post(format!("/exec/{}/start", segment(id))).json(request)?.hijack().await
    }

    /// Tells its terminal its size.
    pub async fn exec_resize(&self, id: &str, rows: u16, columns: u16) -> Result<()> {
        let query = Query::default().with("h", rows.to_string()).with("w", columns.to_string());
        self.post(format!("/exec/{}/resize", segment(id))).query(query).done().await
    }

    /// What became of it.
    pub async fn exec_inspect(&self, id: &str) -> Result<Inspect> {
        self.get(format!("/exec/{}/json", segment(id))).document().await
    }
}
