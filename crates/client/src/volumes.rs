//! `/volumes`.

use dhow_api::query::{Filters, Query};
use dhow_api::volume::{CreateRequest, ListResponse, Volume};
use dhow_errdefs::Result;

use crate::Client;
use crate::path::segment;

/// Each call fails if the engine cannot be reached, or refuses, with its words.
#[allow(clippy::missing_errors_doc, reason = "said once for all above")]
impl Client {
    /// Makes a volume, or answers with the one of that name.
    pub async fn volume_create(&self, request: &CreateRequest) -> Result<Volume> {
        self.post("/volumes/create").json(request)?.document().await
    }

    /// Volumes, and what went wrong when they were asked for.
    pub async fn volume_list(&self, filters: &Filters) -> Result<ListResponse> {
        self.get("/volumes").query(Query::default().with_filters(filters)).document().await
    }

    /// Removes a volume; with `force` one that is not there is gone already.
    pub async fn volume_remove(&self, name: &str, force: bool) -> Result<()> {
        let query = Query::default().with_flag("force", force);
        self.delete(format!("/volumes/{}", segment(name))).query(query).done().await
    }
}
