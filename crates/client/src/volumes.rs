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

    /// Copies a volume, as a snapshot where that is wanted; without a name one is invented. Of dhow alone.
    pub async fn volume_clone(&self, name: &str, new: &str, snapshot: bool) -> Result<Volume> {
        let query = Query::default().with("name", new).with_flag("snapshot", snapshot);
        self.post(format!("/volumes/{}/clone", segment(name))).query(query).document().await
    }

    /// Replaces the content of a volume by that of another one. Of dhow alone.
    pub async fn volume_restore(&self, name: &str, from: &str) -> Result<()> {
        let query = Query::default().with("from", from);
        self.post(format!("/volumes/{}/restore", segment(name))).query(query).done().await
    }

    /// Gives a volume another name. Of dhow alone.
    pub async fn volume_rename(&self, name: &str, new: &str) -> Result<()> {
        let query = Query::default().with("name", new);
        self.post(format!("/volumes/{}/rename", segment(name))).query(query).done().await
    }

    /// Protects a volume from being removed, or not any more. Of dhow alone.
    pub async fn volume_protect(&self, name: &str, protected: bool) -> Result<()> {
        let query = Query::default().with_flag("off", !protected);
        self.post(format!("/volumes/{}/protect", segment(name))).query(query).done().await
    }
}
