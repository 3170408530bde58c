//! `/images`.

use dhow_api::image::{CheckResponse, Deleted, HistoryItem, Inspect, Summary};
use dhow_api::query::{Filters, Query};
use dhow_errdefs::Result;

use crate::path::segment;
use crate::{Bytestream, Client, Messages, Upload};

/// Which images to list.
#[derive(Debug, Clone, Default)]
pub struct ImageListing {
    /// Intermediate ones too.
    pub all: bool,
    /// With the digests they were pulled by.
    pub digests: bool,
    /// Only those that match.
    pub filters: Filters,
    /// With their manifests, which engines from 1.47 on know.
    pub manifests: bool,
}

/// Which image to download.
#[derive(Debug, Clone, Default)]
pub struct ImagePull {
    /// The repository.
    pub name: String,
    /// Tag or digest; empty for all tags.
    pub tag: String,
    /// `os/arch`; empty for the engine's own.
    pub platform: String,
    /// What to show to the registry, as `X-Registry-Auth` has it.
    pub auth: Option<String>,
}

/// Which image to upload.
#[derive(Debug, Clone, Default)]
pub struct ImagePush {
    /// The repository.
    pub name: String,
    /// The tag; empty for all tags.
    pub tag: String,
    /// The platform it must be for, in JSON; empty for any.
    pub platform: String,
    /// How to compress layers that are not; empty for the engine's choice. Docker's engine knows no such thing.
    pub compression: String,
    /// What to show to the registry, as `X-Registry-Auth` has it.
    pub auth: Option<String>,
}

/// What becomes of an imported file system.
#[derive(Debug, Clone, Default)]
pub struct Import {
    /// `-` for a body, or an address from which the engine fetches.
    pub source: String,
    /// Repository and tag; empty for an image without a name.
    pub reference: String,
    /// A comment.
    pub message: String,
    /// Dockerfile instructions to apply.
    pub changes: Vec<String>,
    /// `os/arch`; empty for the engine's own.
    pub platform: String,
}

fn of(name: &str, verb: &str) -> String {
    format!("/images/{}{verb}", segment(name))
}

fn given(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// Each call fails if the engine cannot be reached, or refuses, with its words.
#[allow(clippy::missing_errors_doc, reason = "said once for all above")]
impl Client {
    /// Lists images.
    pub async fn image_list(&self, listing: &ImageListing) -> Result<Vec<Summary>> {
        let query = Query::default()
            .with_flag("all", listing.all)
            .with_flag("digests", listing.digests)
            .with_flag("manifests", listing.manifests)
            .with_filters(&listing.filters);
        self.get("/images/json").query(query).long_list().await
    }

    /// Everything about an image.
    pub async fn image_inspect(&self, name: &str) -> Result<Inspect> {
        self.get(of(name, "/json")).document().await
    }

    /// The same as the engine wrote it.
    pub async fn image_inspect_raw(&self, name: &str, platform: &str) -> Result<Vec<u8>> {
        let query = Query::default().with_some("platform", given(platform));
        self.get(of(name, "/json")).query(query).text().await
    }

    /// How an image came to be, newest step first.
    pub async fn image_history(&self, name: &str, platform: &str) -> Result<Vec<HistoryItem>> {
        let query = Query::default().with_some("platform", given(platform));
        self.get(of(name, "/history")).query(query).document().await
    }

    /// Gives an image another name.
    pub async fn image_tag(&self, name: &str, repository: &str, tag: &str) -> Result<()> {
        let query = Query::default().with("repo", repository).with("tag", tag);
        self.post(of(name, "/tag")).query(query).done().await
    }

    /// Takes a name off an image, and the image away with its last name.
    pub async fn image_remove(
        &self,
        name: &str,
        force: bool,
        no_prune: bool,
        platforms: &[String],
    ) -> Result<Vec<Deleted>> {
        let query = Query::default().with_flag("force", force).with_flag("noprune", no_prune);
        let query = platforms.iter().fold(query, |query, platform| query.with("platforms", platform.as_str()));
        self.delete(of(name, "")).query(query).document().await
    }

    /// Makes an image of a file system.
    pub async fn image_import(&self, import: &Import, body: Option<Upload>) -> Result<Messages> {
        let query = Query::default()
            .with("fromSrc", import.source.as_str())
            .with_some("repo", given(&import.reference))
            .with_some("message", given(&import.message))
            .with_some("platform", given(&import.platform));
        let query = import.changes.iter().fold(query, |query, change| query.with("changes", change.as_str()));
        let call = self.post("/images/create").query(query);
        match body {
            Some(body) => call.upload(body).messages().await,
            None => call.messages().await,
        }
    }

    /// Downloads an image.
    pub async fn image_pull(&self, pull: &ImagePull) -> Result<Messages> {
        let query = Query::default()
            .with("fromImage", pull.name.as_str())
            .with_some("tag", given(&pull.tag))
            .with_some("platform", given(&pull.platform));
        self.post("/images/create").query(query).registry_auth(pull.auth.clone()).messages().await
    }

    /// Uploads an image.
    pub async fn image_push(&self, push: &ImagePush) -> Result<Messages> {
        let query = Query::default()
            .with_some("tag", given(&push.tag))
            .with_some("platform", given(&push.platform))
            .with_some("compression", given(&push.compression));
        // Engines insist on the header, even where there is nothing to show.
        let auth = push.auth.clone().unwrap_or_else(|| "e30=".to_owned());
        self.post(of(&push.name, "/push")).query(query).registry_auth(Some(auth)).messages().await
    }

    /// Compares what is recorded of images with what is on the engine's disk, and heals it with what registries have;
    /// `logins` are what is shown to them, as `X-Registry-Config` has it. Docker's engine has no such call.
    pub async fn system_check(&self, deep: bool, repair: bool, logins: Option<String>) -> Result<CheckResponse> {
        let query = Query::default().with_flag("deep", deep).with_flag("repair", repair);
        self.post("/system/check").query(query).registry_config(logins).document().await
    }

    /// Loads an archive of images.
    pub async fn image_load(&self, quiet: bool, platform: &str, body: Upload) -> Result<Messages> {
        let query =
            Query::default().with("quiet", if quiet { "1" } else { "0" }).with_some("platform", given(platform));
        self.post("/images/load").query(query).upload(body).messages().await
    }

    /// An archive of images.
    pub async fn image_save(&self, names: &[String], platform: &str) -> Result<Bytestream> {
        let query = Query::default().with_some("platform", given(platform));
        let query = names.iter().fold(query, |query, name| query.with("names", name.as_str()));
        self.get("/images/get").query(query).bytes().await
    }
}
