//! From unpacked layers to recorded ones.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_oci::Digest;

use super::heal;
use super::inherit::inherit;
use super::{Layers, Unpacked};
use crate::lease::Lease;
use crate::metadata::LayerRecord;

/// A layer on its way: recorded before, or about to be.
struct Step<'a> {
    record: LayerRecord,
    unpacked: Option<Unpacked<'a>>,
}

/// Records layers, lowest first. In this order: names, one sync, records; so that a record never speaks of what a power
/// cut could take away.
pub(super) fn run(
    layers: &Layers,
    lease: &Lease,
    parent: Option<&Digest>,
    unpacked: Vec<Unpacked<'_>>,
) -> Result<Vec<LayerRecord>> {
    let _alone = layers.recording.lock().unwrap_or_else(PoisonError::into_inner);
    // Held before anything is decided: a collection must not take what this builds on.
    if let Some(parent) = parent
        && layers.hold(lease, parent)?.is_none()
    {
        return Err(Error::not_found(format!("layer {parent} is not there")));
    }
    let steps = plan(layers, lease, parent, unpacked)?;
    let mut made = Vec::new();
    let mut records = Vec::new();
    let mut keep = |step: Step<'_>| {
        if let Some(unpacked) = step.unpacked {
            made.push(step.record.clone());
            unpacked.keep(&layers.folder(step.record.number))?;
        }
        records.push(step.record);
        Ok(())
    };
    let kept = steps.into_iter().try_for_each(&mut keep);
    if let Err(error) = kept.and_then(|()| publish(layers, lease, &made)) {
        for layer in &made {
            // The next start finds what stays.
            let _ = layers.discard(layer.number);
        }
        return Err(error);
    }
    Ok(records)
}

/// Decides what becomes of each layer and makes the new ones fit on those below.
fn plan<'a>(
    layers: &Layers,
    lease: &Lease,
    parent: Option<&Digest>,
    unpacked: Vec<Unpacked<'a>>,
) -> Result<Vec<Step<'a>>> {
    let below = match parent {
        Some(parent) => layers.metadata.chain(parent)?,
        None => Vec::new(),
    };
    // Top first.
    let mut diffs: Vec<PathBuf> = below.iter().map(|layer| layers.diff(layer)).collect();
    let mut last = below.into_iter().next();
    let mut steps = Vec::with_capacity(unpacked.len());
    for unpacked in unpacked {
        let chain_id = match &last {
            Some(parent) => Digest::of(format!("{} {}", parent.chain_id, unpacked.diff_id()).as_bytes()),
            None => *unpacked.diff_id(),
        };
        let step = match layers.hold(lease, &chain_id)? {
            Some(record) => {
                // What a disk has done to the one that is here is undone with the one that came.
                if !heal::is_whole(layers, &record) {
                    heal::from(layers, &record, &unpacked, &diffs)?;
                }
                Step { record, unpacked: None }
            }
            None => {
                inherit(&unpacked.diff(), unpacked.implied(), &diffs)?;
                Step { record: describe(layers, &unpacked, chain_id, last.as_ref())?, unpacked: Some(unpacked) }
            }
        };
        diffs.insert(0, step.unpacked.as_ref().map_or_else(|| layers.diff(&step.record), Unpacked::diff));
        last = Some(step.record.clone());
        steps.push(step);
    }
    Ok(steps)
}

fn describe(
    layers: &Layers,
    unpacked: &Unpacked<'_>,
    chain_id: Digest,
    parent: Option<&LayerRecord>,
) -> Result<LayerRecord> {
    let diff = unpacked.diff();
    let root = diff.metadata().context(|| format!("look at {}", diff.display()))?;
    let (mode, uid, gid) = match parent {
        // As for every folder that the archive does not describe.
        Some(parent) if !unpacked.describes_root() => (parent.mode, parent.uid, parent.gid),
        _ => (root.mode() & 0o7777, root.uid(), root.gid()),
    };
    Ok(LayerRecord {
        number: layers.next.fetch_add(1, Ordering::Relaxed),
        chain_id,
        parent: parent.map(|parent| parent.chain_id),
        diff_id: *unpacked.diff_id(),
        size: unpacked.size(),
        mode,
        uid,
        gid,
    })
}

fn publish(layers: &Layers, lease: &Lease, made: &[LayerRecord]) -> Result<()> {
    if made.is_empty() {
        return Ok(());
    }
    let step = || format!("sync {}", layers.dir.display());
    let dir = File::open(&layers.dir).context(step)?;
    rustix::fs::syncfs(&dir).map_err(io::Error::from).context(step)?;
    let chains: Vec<Digest> = made.iter().map(|layer| layer.chain_id).collect();
    lease.hold_layers(&chains, || layers.metadata.insert_layers(made))
}
