//! How an image came to be.

use dhow_errdefs::Result;
use dhow_oci::Digest;

use crate::images::Images;
use crate::name::{Names, familiar};
use crate::time;

/// One step of an image's making.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEntry {
    /// The image, for its newest step; steps before it have no image here.
    pub id: Option<Digest>,
    /// In seconds since 1970; 0 if it is not known.
    pub created: i64,
    /// The instruction.
    pub created_by: String,
    /// The image's names, for its newest step.
    pub tags: Vec<String>,
    /// Bytes of its layer, unpacked; 0 if it made none.
    pub size: u64,
    /// A word about it.
    pub comment: String,
}

impl Images {
    /// The steps of an image's making, newest first.
    ///
    /// # Errors
    /// As [`resolve`](Images::resolve).
    pub fn history(&self, text: &str) -> Result<Vec<HistoryEntry>> {
        let image = self.resolve(text)?;
        let config = self.config(&image.id)?;
        let mut layers = image.layers.iter();
        let mut entries = Vec::with_capacity(config.history.len());
        for step in &config.history {
            // A config never tells of more layers than it has: that is checked when it is parsed.
            let layer = if step.empty_layer { None } else { layers.next() };
            let record = layer.map(|layer| self.store().metadata().layer(&layer.chain_id)).transpose()?.flatten();
            entries.push(HistoryEntry {
                id: None,
                created: time::parse(step.created.as_deref()).map_or(0, |time| time.as_second()),
                created_by: step.created_by.clone(),
                tags: Vec::new(),
                size: record.map_or(0, |record| record.size),
                comment: step.comment.clone(),
            });
        }
        entries.reverse();
        if let Some(newest) = entries.first_mut() {
            newest.id = Some(image.id);
            newest.tags = familiar(&Names::new(&self.store().metadata().tags_of(&image.id)?).tags);
        }
        Ok(entries)
    }
}
