//! Everything about one image.

use std::path::PathBuf;
use std::sync::Arc;

use dhow_errdefs::Result;
use dhow_oci::ImageConfig;
use dhow_store::ImageRecord;

use crate::images::Images;
use crate::name::{Names, familiar};

/// Everything about one image.
#[derive(Debug, Clone)]
pub struct Details {
    /// What is recorded.
    pub record: ImageRecord,
    /// Its config.
    pub config: Arc<ImageConfig>,
    /// Names with tags, as `busybox:latest`.
    pub tags: Vec<String>,
    /// Names with digests of manifests, as `busybox@sha256:…`.
    pub digests: Vec<String>,
    /// When it was last given a name, in nanoseconds since 1970; none if it has none.
    pub last_tagged: Option<i64>,
    /// The folders of its layers, top first.
    pub layers: Vec<PathBuf>,
}

impl Images {
    /// Everything about the image that [`resolve`](Images::resolve) finds.
    ///
    /// # Errors
    /// As `resolve`.
    pub fn inspect(&self, text: &str) -> Result<Details> {
        let record = self.resolve(text)?;
        let config = self.config(&record.id)?;
        let tags = self.store().metadata().tags_of(&record.id)?;
        let names = Names::new(&tags);
        let layers = match record.layers.last() {
            Some(top) => self.store().metadata().chain(&top.chain_id)?,
            None => Vec::new(),
        };
        Ok(Details {
            config,
            tags: familiar(&names.tags),
            digests: familiar(&names.digests),
            last_tagged: tags.iter().map(|tag| tag.tagged).max(),
            layers: layers.iter().map(|layer| self.store().layers().diff(layer)).collect(),
            record,
        })
    }
}
