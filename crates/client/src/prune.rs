//! Taking away what nobody uses.

use dhow_api::query::{Filters, Query};
use dhow_api::{container, image, network, system, volume};
use dhow_errdefs::Result;

use crate::Client;

/// Each call fails if the engine cannot be reached, or refuses, with its words.
#[allow(clippy::missing_errors_doc, reason = "said once for all above")]
impl Client {
    /// Removes every container that does not run.
    pub async fn container_prune(&self, filters: &Filters) -> Result<container::PruneResponse> {
        self.post("/containers/prune").query(Query::default().with_filters(filters)).document().await
    }

    /// Removes images without names, or with the filter `dangling=false` all that no container uses.
    pub async fn image_prune(&self, filters: &Filters) -> Result<image::PruneResponse> {
        self.post("/images/prune").query(Query::default().with_filters(filters)).document().await
    }

    /// Removes networks without containers.
    pub async fn network_prune(&self, filters: &Filters) -> Result<network::PruneResponse> {
        self.post("/networks/prune").query(Query::default().with_filters(filters)).document().await
    }

    /// Removes anonymous volumes that no container uses.
    pub async fn volume_prune(&self, filters: &Filters) -> Result<volume::PruneResponse> {
        self.post("/volumes/prune").query(Query::default().with_filters(filters)).document().await
    }

    /// Removes what builds left to be used again.
    pub async fn build_prune(&self, all: bool, filters: &Filters) -> Result<system::BuildPruneResponse> {
        let query = Query::default().with_flag("all", all).with_filters(filters);
        self.post("/build/prune").query(query).document().await
    }
}
