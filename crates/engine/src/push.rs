//! Bringing images into registries.

use dhow_errdefs::Result;
use dhow_image::{PushEvent, PushOptions};
use dhow_oci::Reference;

use crate::Engine;

impl Engine {
    /// Brings an image into its registry; blocks.
    ///
    /// # Errors
    /// As [`Images::push`](dhow_image::Images::push).
    pub fn push(
        &self,
        name: &Reference,
        options: &PushOptions<'_>,
        progress: &(dyn Fn(PushEvent) + Sync),
    ) -> Result<()> {
        let core = &self.core;
        core.images.push(&core.registries, name, options, progress)?;
        if let Ok(image) = core.images.resolve(&name.canonical()) {
            self.transferred("push", &image.id, name);
        }
        Ok(())
    }
}
