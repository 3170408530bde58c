//! `/distribution`, and the search for images.

use dhow_api::distribution::{Inspect, Pushed, SearchItem};
use dhow_api::query::{Filters, Query};
use dhow_errdefs::Result;
use serde_json::value::RawValue;

use crate::Client;
use crate::path::segment;

/// A name in a registry, and who asks.
#[derive(Debug, Clone, Default)]
pub struct Remote {
    /// The name.
    pub name: String,
    /// Whether the registry may be reached without security.
    pub insecure: bool,
    /// What to show to the registry, as `X-Registry-Auth` has it.
    pub auth: Option<String>,
}

impl Remote {
    fn path(&self, what: &str) -> String {
        format!("/distribution/{}/{what}", segment(&self.name))
    }

    fn query(&self) -> Query {
        Query::default().with_flag("insecure", self.insecure)
    }
}

/// Each call fails if the engine cannot be reached, or refuses, with its words.
#[allow(clippy::missing_errors_doc, reason = "said once for all above")]
impl Client {
    /// Digest and platforms of an image in its registry.
    pub async fn distribution_inspect(&self, remote: &Remote) -> Result<Inspect> {
        self.get(remote.path("json")).query(remote.query()).registry_auth(remote.auth.clone()).document().await
    }

    /// A manifest as its registry has it. Docker's engine has no such call.
    pub async fn distribution_manifest(&self, remote: &Remote) -> Result<Vec<u8>> {
        self.get(remote.path("manifest")).query(remote.query()).registry_auth(remote.auth.clone()).text().await
    }

    /// Stores an index, and returns its digest; `sources` are names with digests, from which its manifests are taken
    /// over. Docker's engine has no such call.
    pub async fn distribution_put(&self, remote: &Remote, index: Box<RawValue>, sources: &[String]) -> Result<String> {
        let query = sources.iter().fold(remote.query(), |query, source| query.with("source", source.as_str()));
        let call = self.post(remote.path("manifest")).query(query).registry_auth(remote.auth.clone());
        let pushed: Pushed = call.json(&index)?.document().await?;
        Ok(pushed.digest)
    }

    /// Looks for images in a registry.
    pub async fn image_search(
        &self,
        term: &str,
        limit: i64,
        filters: &Filters,
        auth: Option<String>,
    ) -> Result<Vec<SearchItem>> {
        let query = Query::default().with("term", term).with("limit", limit.to_string()).with_filters(filters);
        self.get("/images/search").query(query).registry_auth(auth).document().await
    }
}
