//! Collection: what no record and no lease refers to is taken away.
//!
//! It marks and sweeps under two locks: the table of leases, so that nothing is taken up meanwhile, and one database
//! transaction, so that no record begins to refer to what is about to go. Records go first, then the files: a kill in
//! between leaves files without a record, which the next start (layers) or the next collection (blobs) takes.

use std::collections::{HashMap, HashSet};

use dhow_errdefs::Result;
use dhow_oci::Digest;

use crate::metadata::{Durability, LayerRecord};
use crate::store::Store;

/// What a collection freed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Collected {
    /// How many blobs.
    pub blobs: u64,
    /// How many unpacked layers.
    pub layers: u64,
    /// The bytes of both.
    pub bytes: u64,
}

/// What is referred to.
#[derive(Debug, Default)]
struct Marked {
    blobs: HashSet<Digest>,
    /// Chain IDs, tops only; what is below follows from the parents.
    tops: HashSet<Digest>,
}

/// Runs one collection.
pub(crate) fn collect(store: &Store) -> Result<Collected> {
    let held = store.flight().freeze();
    let (marked, doomed) = store.metadata().transaction(Durability::Full, |transaction| {
        let mut marked = Marked::default();
        for image in transaction.images()? {
            marked.tops.extend(image.layers.iter().map(|layer| layer.chain_id));
            marked.blobs.extend(image.layers.into_iter().map(|layer| layer.blob));
            marked.blobs.extend(image.blobs.into_iter().chain(image.manifest).chain([image.id]));
        }
        for (image, layer) in transaction.container_roots()? {
            marked.blobs.extend(image);
            marked.tops.extend(layer);
        }
        marked.tops.extend(held.layers().cloned());
        let doomed = unreachable(transaction.layers()?, &marked.tops);
        transaction.delete_layers(&doomed)?;
        Ok((marked, doomed))
    })?;
    let mut collected = Collected::default();
    store.snapshots().forget_chains();
    for layer in doomed {
        store.layers().discard(layer.number)?;
        collected.layers += 1;
        collected.bytes += layer.size;
    }
    for blob in store.content().list()? {
        if !marked.blobs.contains(&blob.digest) && !held.blob(&blob.digest) {
            store.content().delete(&blob.digest)?;
            collected.blobs += 1;
            collected.bytes += blob.size;
        }
    }
    Ok(collected)
}

/// The layers that none of `tops` is or stands on.
fn unreachable(layers: Vec<LayerRecord>, tops: &HashSet<Digest>) -> Vec<LayerRecord> {
    let parents: HashMap<&Digest, Option<&Digest>> =
        layers.iter().map(|layer| (&layer.chain_id, layer.parent.as_ref())).collect();
    let mut reached = HashSet::new();
    for top in tops {
        let mut next = Some(top);
        while let Some(chain) = next.filter(|chain| reached.insert(**chain)) {
            next = parents.get(chain).copied().flatten();
        }
    }
    layers.into_iter().filter(|layer| !reached.contains(&layer.chain_id)).collect()
}
