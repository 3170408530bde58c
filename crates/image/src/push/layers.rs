//! The layers of a push: several at once, each looked for before it is sent.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use dhow_errdefs::{Class, Error, Result, ResultExt};
use dhow_oci::{Descriptor, Digest, Manifest};
use dhow_store::{Blob, Compression, ImageLayer};

use super::transfer;
use super::{Push, PushEvent, PushNews};
use crate::parallel::in_parallel;
use crate::registry::Offer;

/// How many layers go out at once, as in Docker.
const PARALLEL: usize = 5;

impl Push<'_> {
    /// Brings all layers there and returns how a manifest names them, bottom first. With a manifest: as that says.
    pub(super) fn layers(&self, own: Option<&Manifest>) -> Result<Vec<Descriptor>> {
        // Top first, as Docker tells them; a blob that an image has twice goes once.
        let mut layers: Vec<(&ImageLayer, Option<&Descriptor>)> = Vec::new();
        for (at, layer) in self.image.layers.iter().enumerate().rev() {
            if !layers.iter().any(|(known, _)| known.blob == layer.blob) {
                layers.push((layer, own.map(|manifest| &manifest.layers[at])));
            }
        }
        layers.iter().for_each(|(layer, _)| self.say(&layer.diff_id, PushNews::Preparing));
        // The largest begins first: what takes longest is not what everybody waits for in the end.
        layers.sort_by_key(|(layer, _)| Reverse(layer.blob_size));
        layers.iter().skip(PARALLEL).for_each(|(layer, _)| self.say(&layer.diff_id, PushNews::Waiting));
        let sent = in_parallel(layers.len(), PARALLEL, |at| {
            let (layer, own) = layers[at];
            let sent = within(self.layer(layer, own), || format!("push layer {}", layer.diff_id))?;
            Ok((layer.blob, sent))
        })?;
        let sent: BTreeMap<Digest, Descriptor> = sent.into_iter().collect();
        Ok(self.image.layers.iter().map(|layer| sent[&layer.blob].clone()).collect())
    }

    fn layer(&self, layer: &ImageLayer, own: Option<&Descriptor>) -> Result<Descriptor> {
        self.options.cancelled.check()?;
        let wanted = match own {
            Some(own) => Some(own.clone()),
            None => self.form(layer)?,
        };
        if let Some(wanted) = &wanted
            && self.is_there(layer, wanted)?
        {
            return Ok(wanted.clone());
        }
        let say = |sent, total| self.say(&layer.diff_id, PushNews::Pushing(sent, total));
        let sent = match wanted {
            Some(wanted) if wanted.digest == layer.blob => {
                self.stored(&layer.blob)?;
                transfer::stored(self, &layer.blob, &|sent| say(sent, layer.blob_size))?;
                wanted
            }
            _ => {
                self.stored(&layer.blob)?;
                transfer::compressed(self, layer, &|sent| say(sent, layer.blob_size))?
            }
        };
        self.say(&layer.diff_id, PushNews::Pushed);
        Ok(sent)
    }

    /// The form in which a layer should go out: as it lies here if it is compressed, as it went out before otherwise.
    fn form(&self, layer: &ImageLayer) -> Result<Option<Descriptor>> {
        Ok(match self.images.store().content().compression(&layer.blob)? {
            Compression::None => self.known.form(&layer.diff_id, self.options.compression.layer_type()).cloned(),
            compression => Some(Descriptor::new(compression.layer_type(), layer.blob, layer.blob_size)),
        })
    }

    /// Whether the registry has the blob, if need be from another of its repositories.
    fn is_there(&self, layer: &ImageLayer, wanted: &Descriptor) -> Result<bool> {
        if self.repository.has_blob(&wanted.digest)? {
            self.say(&layer.diff_id, PushNews::Exists);
            return Ok(true);
        }
        for source in self.known.sources(&wanted.digest) {
            // A registry that does not give it hands out an upload instead, which is dropped.
            if matches!(self.repository.offer(Some((&wanted.digest, source)))?, Offer::Mounted) {
                self.say(&layer.diff_id, PushNews::Mounted(source.to_owned()));
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A blob of the store, held until the push ends.
    pub(super) fn stored(&self, digest: &Digest) -> Result<Blob> {
        let missing =
            || Error::data_loss(format!("blob {digest} is missing")).with_hint("remove the image and get it again");
        self.images.store().content().hold(self.lease, digest)?.ok_or_else(missing)
    }

    fn say(&self, diff_id: &Digest, news: PushNews) {
        (self.progress)(PushEvent::Layer { diff_id: *diff_id, news });
    }
}

/// Says of what a failure is. Who may not push may push nothing: which part it was says nothing then.
pub(super) fn within<T>(sent: Result<T>, part: impl FnOnce() -> String) -> Result<T> {
    match sent {
        Err(error) if matches!(error.class(), Class::Unauthenticated | Class::PermissionDenied) => Err(error),
        sent => sent.context(part),
    }
}
