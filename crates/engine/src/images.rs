//! What is done with images, and told as events. Everything here blocks.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::sync::Arc;

use dhow_errdefs::Result;
use dhow_image::{
    CheckOptions, Checked, Credentials, Filters, ImportOptions, LoadEvent, LoadOptions, Policy, Pruned, RemoveOptions,
    Removed, Repair,
};
use dhow_oci::{Digest, Reference};

use crate::core::Core;
use crate::events::with_room;
use crate::{Engine, EventKind};

impl Engine {
    /// As [`Images::obey`](dhow_image::Images::obey).
    pub fn obey(&self, policy: Arc<Policy>) {
        self.core.images.obey(policy);
    }

    /// As [`Images::tag`](dhow_image::Images::tag).
    ///
    /// # Errors
    /// As there.
    pub fn tag_image(&self, source: &str, target: &Reference) -> Result<()> {
        let image = self.core.images.tag(source, target)?;
        self.core.image_event("tag", &image.id, Some(&target.familiar()));
        Ok(())
    }

    /// As [`Images::remove`](dhow_image::Images::remove); containers that use the image stand in the way.
    ///
    /// # Errors
    /// As there.
    pub fn remove_image(&self, name: &str, options: RemoveOptions) -> Result<Vec<Removed>> {
        let removed = self.core.images.remove(name, options, |id| self.image_users(id))?;
        self.removed(&removed);
        Ok(removed)
    }

    /// As [`Images::prune`](dhow_image::Images::prune).
    ///
    /// # Errors
    /// As there.
    pub fn prune_images(&self, filters: &Filters) -> Result<Pruned> {
        let pruned = self.core.images.prune(filters, |id| self.image_users(id))?;
        self.removed(&pruned.removed);
        self.pruned(EventKind::Image, pruned.reclaimed);
        Ok(pruned)
    }

    /// As [`Images::load`](dhow_image::Images::load).
    ///
    /// # Errors
    /// As there.
    pub fn load_images(
        &self,
        archive: impl Read + Send,
        options: &LoadOptions,
        progress: &(dyn Fn(LoadEvent) + Sync),
    ) -> Result<Vec<Digest>> {
        let loaded = self.core.images.load(archive, options, progress)?;
        loaded.iter().for_each(|id| self.core.image_event("load", id, None));
        Ok(loaded)
    }

    /// As [`Images::save`](dhow_image::Images::save).
    ///
    /// # Errors
    /// As there.
    pub fn save_images(&self, names: &[String], archive: impl Write) -> Result<()> {
        self.core.images.save(names, archive)?;
        let saved = names.iter().filter_map(|name| self.core.images.resolve(name).ok());
        saved.for_each(|image| self.core.image_event("save", &image.id, None));
        Ok(())
    }

    /// As [`Images::check`](dhow_image::Images::check); blobs are healed from the registries of this engine.
    ///
    /// # Errors
    /// As there.
    pub fn check_images(&self, deep: bool, repair: Option<&BTreeMap<String, Credentials>>) -> Result<Checked> {
        let repair = repair.map(|credentials| Repair { registries: &self.core.registries, credentials });
        self.core.images.check(CheckOptions { deep, repair })
    }

    /// As [`Images::import`](dhow_image::Images::import).
    ///
    /// # Errors
    /// As there.
    pub fn import_image(&self, archive: impl Read + Send, options: &ImportOptions) -> Result<Digest> {
        let id = self.core.images.import(archive, options)?;
        if let Some(name) = &options.reference {
            self.core.image_event("tag", &id, Some(&name.familiar()));
        }
        self.core.image_event("import", &id, None);
        Ok(id)
    }

    /// Tells that an image came from, or went to, a registry. Docker tells its name in place of its ID.
    pub(crate) fn transferred(&self, action: &str, id: &Digest, name: &Reference) {
        let mut attributes = self.core.image_labels(id);
        attributes.insert("name".to_owned(), name.familiar_name());
        self.core.events.tell(EventKind::Image, action.to_owned(), &name.familiar(), attributes);
    }

    fn removed(&self, removed: &[Removed]) {
        for step in removed {
            match step {
                Removed::Untagged { image, .. } => self.core.image_event("untag", image, None),
                Removed::Image(image) => self.core.image_event("delete", image, None),
                Removed::Layer(_) => {}
            }
        }
    }
}

impl Core {
    /// Something happened to an image. Where no name is told, Docker tells the ID twice.
    pub(crate) fn image_event(&self, action: &str, id: &Digest, name: Option<&str>) {
        let mut attributes = self.image_labels(id);
        let text = id.to_string();
        attributes.insert("name".to_owned(), name.unwrap_or(&text).to_owned());
        self.events.tell(EventKind::Image, action.to_owned(), &text, attributes);
    }

    /// The labels of an image that is still there, as events tell them.
    fn image_labels(&self, id: &Digest) -> BTreeMap<String, String> {
        let config = self.images.config(id).ok();
        config.and_then(|config| config.config.labels.as_ref().map(with_room)).unwrap_or_default()
    }
}
