//! The engine itself.

use dhow_api::query::{Filters, Query};
use dhow_api::system::{AuthConfig, AuthResponse, DiskUsage, Info, Version};
use dhow_errdefs::Result;

use crate::{Client, Messages};

/// Each call fails if the engine cannot be reached, or refuses, with its words.
#[allow(clippy::missing_errors_doc, reason = "said once for all above")]
impl Client {
    /// Versions of the engine and its parts.
    pub async fn version(&self) -> Result<Version> {
        self.get("/version").document().await
    }

    /// What the engine is and what it can do.
    pub async fn info(&self) -> Result<Info> {
        self.get("/info").document().await
    }

    /// Lets the engine ask a registry whether it knows somebody.
    pub async fn login(&self, auth: &AuthConfig) -> Result<AuthResponse> {
        self.post("/auth").json(auth)?.document().await
    }

    /// What takes how much on disk.
    pub async fn disk_usage(&self) -> Result<DiskUsage> {
        self.get("/system/df").document().await
    }

    /// What happens, from `since` to `until` (seconds since 1970 with a fraction; empty for now and for ever).
    pub async fn events(&self, since: &str, until: &str, filters: &Filters) -> Result<Messages> {
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let query =
            Query::default().with_some("since", given(since)).with_some("until", given(until)).with_filters(filters);
        self.get("/events").query(query).messages().await
    }

    /// The engine's answer to a GET of any path, as it wrote it: `/volumes/x`, say.
    pub async fn raw(&self, path: &str) -> Result<Vec<u8>> {
        self.get(path).text().await
    }
}
