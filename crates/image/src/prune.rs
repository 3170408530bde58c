//! Taking away what nobody needs.

use std::cmp::Reverse;
use std::collections::HashMap;

use dhow_errdefs::Result;
use dhow_oci::{Digest, Reference};
use dhow_store::ImageRecord;

use crate::filter::{Filters, Properties};
use crate::images::Images;
use crate::name::Names;
use crate::remove::{Removal, Removed, User};

/// What a prune took away.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Names, images and layers, in the order in which they went.
    pub removed: Vec<Removed>,
    /// Bytes of layers that were freed.
    pub reclaimed: u64,
}

impl Images {
    /// Takes away all images without names that no container uses and no other image was made of; with the filter
    /// `dangling=false` also those with names. An image that containers use keeps the names that they were made by; where
    /// that is none, the last one, as with Docker. Further filters: `label`, `label!`, `until`.
    ///
    /// # Errors
    /// [`InvalidArgument`](dhow_errdefs::Class::InvalidArgument) for an unknown filter or value.
    pub fn prune(&self, filters: &Filters, users: impl Fn(&Digest) -> Vec<User>) -> Result<Pruned> {
        filters.only(&["dangling", "label", "label!", "until"])?;
        let named_too = !filters.flag("dangling")?.unwrap_or(true);
        let properties = Properties::new(self, filters)?;
        let _names = self.lock_names();
        let mut pruned = Pruned::default();
        for (image, names) in children_first(self.with_names()?) {
            let unwanted = (named_too || names.tags.is_empty()) && properties.fit(&self.config_or_empty(&image.id));
            // One that was made of it may have taken it along.
            let gone = || Ok::<_, dhow_errdefs::Error>(self.store().metadata().image(&image.id)?.is_none());
            if !unwanted || gone()? {
                continue;
            }
            if self.is_used(&image.id, &users)? {
                pruned.removed.extend(self.untag_unused(image, &names, &users)?);
                continue;
            }
            let (sizes, parent) = (self.layer_sizes(&image.layers)?, image.parent);
            let removal = Removal { images: self, image, force: false, users: Vec::new() };
            let mut removed = removal.delete(&names.all())?;
            removed.extend(self.remove_parents(parent, &users)?);
            pruned.reclaimed += sizes
                .iter()
                .filter(|(chain, _)| removed.contains(&Removed::Layer(*chain)))
                .map(|(_, size)| size)
                .sum::<u64>();
            pruned.removed.extend(removed);
        }
        Ok(pruned)
    }

    /// Takes away the names of a used image that nobody has used.
    fn untag_unused(
        &self,
        image: ImageRecord,
        names: &Names,
        users: &impl Fn(&Digest) -> Vec<User>,
    ) -> Result<Vec<Removed>> {
        let users = users(&image.id);
        let used: Vec<Reference> = users.iter().filter_map(|user| Reference::parse(&user.image).ok()).collect();
        let is_used = |tag: &Reference| used.iter().any(|name| name.clone().with_default_tag() == *tag);
        let mut tags = names.tags.clone();
        tags.sort_by_key(Reference::canonical);
        // An image that others were made of, and nobody uses, keeps all.
        if users.is_empty() {
            return Ok(Vec::new());
        }
        if !tags.iter().any(is_used) {
            tags.pop();
        }
        let removal = Removal { images: self, image, force: false, users: Vec::new() };
        let mut removed = Vec::new();
        for tag in tags.iter().filter(|tag| !is_used(tag)) {
            removed.extend(removal.untag_one(tag)?);
        }
        Ok(removed)
    }

    pub(crate) fn layer_sizes(&self, layers: &[dhow_store::ImageLayer]) -> Result<Vec<(Digest, u64)>> {
        let mut sizes = Vec::with_capacity(layers.len());
        for layer in layers {
            let record = self.store().metadata().layer(&layer.chain_id)?;
            sizes.push((layer.chain_id, record.map_or(0, |record| record.size)));
        }
        Ok(sizes)
    }
}

/// An image comes after those that were made of it.
fn children_first(mut images: Vec<(ImageRecord, Names)>) -> Vec<(ImageRecord, Names)> {
    let parents: HashMap<Digest, Digest> =
        images.iter().filter_map(|(image, _)| Some((image.id, image.parent?))).collect();
    let ancestors = |id: Digest| std::iter::successors(parents.get(&id), |parent| parents.get(*parent));
    // As many as there are images at most: a damaged record must not make a circle endless.
    images.sort_by_cached_key(|(image, _)| Reverse(ancestors(image.id).take(parents.len()).count()));
    images
}
