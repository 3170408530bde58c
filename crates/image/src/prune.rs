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
    /// `dangling=false` also those with names. Further filters: `label`, `label!`, `until`.
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
                pruned.removed.extend(self.untag_all_but_one(image, &names)?);
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

    /// Of an image that is used, Docker leaves one name: the last.
    fn untag_all_but_one(&self, image: ImageRecord, names: &Names) -> Result<Vec<Removed>> {
        let mut tags = names.tags.clone();
        tags.sort_by_key(Reference::familiar);
        tags.pop();
        let removal = Removal { images: self, image, force: false, users: Vec::new() };
        let mut removed = Vec::new();
        for name in &tags {
            removed.extend(removal.untag_one(name)?);
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
