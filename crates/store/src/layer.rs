//! Unpacked layers: `layers/<number>/{diff,manifest}`.
//!
//! # Trust
//!
//! An archive is an attacker's text. So:
//!
//! * every path is resolved by the kernel below the layer's folder (`openat2` with `RESOLVE_IN_ROOT`): a link in the
//!   layer, wherever it points, leads to a place in the layer or nowhere;
//! * a name with a `..` component is refused; a leading `/` means the layer's root, as for Docker and tar;
//! * overlay's own attributes in an archive are dropped: they could show the container other folders of the host;
//! * sizes, counts and ratios are [limited](Limits), headers are bounded, a truncated archive or one that says two
//!   things at once is an error;
//! * a layer is unpacked into a folder of its own and becomes visible by a rename when everything about it is verified.

mod attributes;
mod base;
mod changes;
mod extract;
mod fingerprint;
mod heal;
mod inherit;
mod manifest;
mod name;
mod pipeline;
mod reader;
mod record;
mod tree;
mod unpack;
mod upper;

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_oci::Digest;

use crate::content::Content;
use crate::lease::Lease;
use crate::metadata::{LayerRecord, Metadata};
use crate::root::{Namespace, Root};
use crate::trash::Trash;

pub(crate) use base::BASE;
pub(crate) use changes::Comparison;
pub use changes::{Change, ChangeKind};
use manifest::Depth;
pub use reader::{TarMember, TarMemberKind, TarReader};
pub use unpack::Unpacked;
pub(crate) use upper::{Upper, write as write_upper};

/// How much an archive may become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Entries.
    pub entries: u64,
    /// Bytes of the unpacked archive. None: what the file system has free, less a twentieth of its size.
    pub bytes: Option<u64>,
    /// Unpacked bytes for each received byte, once more than [`Limits::ratio_from`] came out.
    pub ratio: u64,
    /// Below this many unpacked bytes any ratio is fine: nobody is harmed, and small layers may be mostly zeros.
    pub ratio_from: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { entries: 10_000_000, bytes: None, ratio: 400, ratio_from: 1 << 30 }
    }
}

/// What is known and wanted of a layer before it is unpacked.
#[derive(Debug, Clone, Default)]
pub struct UnpackOptions {
    /// The digest that the uncompressed tar must have.
    pub diff_id: Option<Digest>,
    /// How much it may become.
    pub limits: Limits,
}

/// A file of a layer that is not what was unpacked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Its path in the layer.
    pub path: PathBuf,
    /// What is wrong with it.
    pub what: String,
}

/// The unpacked layers of a store.
#[derive(Debug)]
pub struct Layers {
    dir: PathBuf,
    namespace: Namespace,
    next: AtomicU64,
    /// One at a time: two that have the same layer at hand must not both record it.
    recording: Mutex<()>,
    metadata: Arc<Metadata>,
    trash: Arc<Trash>,
}

impl Layers {
    /// Drops what a killed engine was unpacking.
    pub(crate) fn open(root: &Root, metadata: &Arc<Metadata>, trash: &Arc<Trash>) -> Result<Self> {
        let dir = root.join("layers");
        let next = AtomicU64::new(metadata.last_layer()? + 1);
        let layers = Self {
            dir,
            namespace: root.namespace(),
            next,
            recording: Mutex::default(),
            metadata: Arc::clone(metadata),
            trash: Arc::clone(trash),
        };
        layers.drop_unknown()?;
        base::prepare(&layers.dir.join(BASE))?;
        Ok(layers)
    }

    fn drop_unknown(&self) -> Result<()> {
        let step = || format!("list {}", self.dir.display());
        let known: HashSet<String> = self.metadata.layers()?.iter().map(|layer| layer.number.to_string()).collect();
        for entry in fs::read_dir(&self.dir).context(step)? {
            let entry = entry.context(step)?;
            if !entry.file_name().to_str().is_some_and(|name| name == BASE || known.contains(name)) {
                self.trash.discard(&entry.path())?;
            }
        }
        Ok(())
    }

    /// Unpacks a tar (plain, gzip or zstd; found out by looking) into a folder that no record mentions yet.
    ///
    /// Several may run at once, also for layers of one image: a layer does not need those below it.
    ///
    /// # Errors
    /// [`DataLoss`](dhow_errdefs::Class::DataLoss) when the archive is damaged, truncated or not the expected one,
    /// [`InvalidArgument`](dhow_errdefs::Class::InvalidArgument) when it tries to escape,
    /// [`ResourceExhausted`](dhow_errdefs::Class::ResourceExhausted) when it is over a limit or the disk is full.
    /// Nothing is left then.
    pub fn unpack(&self, archive: impl Read + Send, options: &UnpackOptions) -> Result<Unpacked<'_>> {
        self.unpack_buffered(BufReader::with_capacity(pipeline::PIECE, archive), options)
    }

    /// The same of what comes in pieces.
    ///
    /// # Errors
    /// As [`Layers::unpack`].
    pub fn unpack_buffered(&self, archive: impl BufRead + Send, options: &UnpackOptions) -> Result<Unpacked<'_>> {
        unpack::run(self, archive, options)
    }

    /// Unpacks an uncompressed tar of that many bytes, whose digest somebody else finds out meanwhile: `digest` is asked for
    /// it at the end. As [`Layers::unpack`] otherwise.
    ///
    /// # Errors
    /// As [`Layers::unpack`], and what `digest` says.
    pub fn unpack_plain(
        &self,
        tar: impl BufRead,
        size: u64,
        digest: impl FnOnce() -> Result<Digest>,
    ) -> Result<Unpacked<'_>> {
        unpack::plain(self, tar, size, digest)
    }

    /// Unpacks a blob; as [`Layers::unpack`].
    ///
    /// # Errors
    /// As [`Layers::unpack`].
    pub fn unpack_blob(&self, content: &Content, blob: &Digest, options: &UnpackOptions) -> Result<Unpacked<'_>> {
        self.unpack(content.reader(blob)?, options).context(|| format!("unpack {blob}"))
    }

    /// Puts unpacked layers (lowest first, standing on the chain `parent`) on the disk with one sync, records them and
    /// holds them by `lease`. Layers that are recorded already are kept, and healed where they are damaged.
    ///
    /// # Errors
    /// [`NotFound`](dhow_errdefs::Class::NotFound) when the chain `parent` is not there.
    pub fn record(
        &self,
        lease: &Lease,
        parent: Option<&Digest>,
        layers: Vec<Unpacked<'_>>,
    ) -> Result<Vec<LayerRecord>> {
        record::run(self, lease, parent, layers)
    }

    /// Unpacks one layer and records it: [`Layers::unpack`] and [`Layers::record`].
    ///
    /// # Errors
    /// As those.
    pub fn apply(
        &self,
        lease: &Lease,
        parent: Option<&Digest>,
        archive: impl Read + Send,
        options: &UnpackOptions,
    ) -> Result<LayerRecord> {
        let unpacked = self.unpack(archive, options)?;
        let mut recorded = self.record(lease, parent, vec![unpacked])?;
        recorded.pop().ok_or_else(|| Error::internal("no layer was recorded"))
    }

    /// The layer with that chain ID, held by `lease`, if it is there: then it need not be unpacked again.
    ///
    /// # Errors
    /// What the database says.
    pub fn hold(&self, lease: &Lease, chain_id: &Digest) -> Result<Option<LayerRecord>> {
        let mut layer = None;
        lease.hold_layers(std::slice::from_ref(chain_id), || {
            layer = self.metadata.layer(chain_id)?;
            Ok::<_, Error>(())
        })?;
        Ok(layer)
    }

    /// The folder of a layer's files: an overlay lower directory.
    #[must_use]
    pub fn diff(&self, layer: &LayerRecord) -> PathBuf {
        self.folder(layer.number).join("diff")
    }

    /// Compares a layer with the manifest written when it was unpacked, reading every file.
    ///
    /// # Errors
    /// What the file system says; differences are no errors.
    pub fn verify(&self, layer: &LayerRecord) -> Result<Vec<Damage>> {
        self.compare(layer, Depth::Contents)
    }

    /// The same without reading more files than were changed since: what is there, of which kind and size.
    ///
    /// # Errors
    /// What the file system says; differences are no errors.
    pub fn look_over(&self, layer: &LayerRecord) -> Result<Vec<Damage>> {
        self.compare(layer, Depth::Structure)
    }

    /// Whether something is missing, has another size or was changed in the chain of layers with that top.
    ///
    /// # Errors
    /// What the database says.
    pub fn is_damaged(&self, top: &Digest) -> Result<bool> {
        let chain = self.metadata.chain(top)?;
        let whole = |layer: &LayerRecord| self.look_over(layer).is_ok_and(|damage| damage.is_empty());
        Ok(chain.is_empty() || !chain.iter().all(whole))
    }

    fn compare(&self, layer: &LayerRecord, depth: Depth) -> Result<Vec<Damage>> {
        let diff = self.diff(layer);
        let root = File::open(&diff).context(|| format!("open {}", diff.display()))?;
        manifest::verify(&self.folder(layer.number).join("manifest"), &root, depth)
    }

    /// Puts back what is damaged in a layer, from the archive it was unpacked from. What is whole stays as it is, also for
    /// those who use it.
    ///
    /// # Errors
    /// As [`Layers::unpack`], or what is still wrong afterwards.
    pub fn heal(&self, layer: &LayerRecord, archive: impl Read + Send) -> Result<()> {
        heal::run(self, layer, archive)
    }

    pub(crate) fn discard(&self, number: u64) -> Result<bool> {
        self.trash.discard(&self.folder(number))
    }

    fn folder(&self, number: u64) -> PathBuf {
        self.dir.join(number.to_string())
    }
}
