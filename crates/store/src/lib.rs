//! Blobs, layers, snapshots and metadata under one data root.
//!
//! [`Store`] is the only owner of a data root. It knows four kinds of things, which is why collection is one decision:
//!
//! * [`Content`]: blobs exactly as received, named by their SHA-256;
//! * [`Layers`]: unpacked layers, each an overlay lower directory, keyed by chain ID and numbered to keep paths short;
//! * [`Snapshots`]: a container's writable directory on top of a chain of layers;
//! * [`Metadata`]: one SQLite database with the records of images, tags, layers and containers.
//!
//! # Invariants
//!
//! * One process per data root: a lock is held as long as the [`Store`] lives. So what is in flight is known in memory
//!   ([`Lease`]), and whatever a killed engine left half-made is garbage by definition and dropped by [`Store::open`].
//! * A record names only what is complete: blobs are verified and renamed into place, layers are unpacked and on the
//!   disk (one `syncfs`), before a transaction mentions them.
//! * Nothing outside the root is ever touched, whatever an archive says: see [`layer`].
//! * Nothing is deleted in place: it is renamed into `trash/` and deleted in the background.
//! * No environment variable is read and user 0 is not assumed.
//!
//! ```
//! # fn main() -> dhow_errdefs::Result<()> {
//! use dhow_store::{Ingest, Store};
//! let root = tempfile::tempdir().unwrap();
//! let store = Store::open(root.path())?;
//! let lease = store.lease();
//! let digest = store.content().put(&lease, b"hello")?;
//! assert_eq!(store.content().read(&digest)?, b"hello");
//! drop(lease);
//! assert_eq!(store.collect()?.blobs, 1, "nothing refers to it any more");
//! # Ok(())
//! # }
//! ```

mod compression;
pub mod content;
pub mod gc;
pub mod layer;
mod lease;
pub mod metadata;
mod pieces;
mod room;
mod root;
pub mod snapshot;
mod store;
mod trash;

pub use compression::{Compression, Whole};
pub use content::{Blob, Content, Ingest};
pub use gc::Collected;
pub use layer::{
    Change, ChangeKind, Damage, Layers, Limits, TarMember, TarMemberKind, TarReader, UnpackOptions, Unpacked,
};
pub use lease::Lease;
pub use metadata::{
    ContainerRecord, Document, Durability, ImageLayer, ImageRecord, LayerRecord, Metadata, NetworkRecord, TagRecord,
    Transaction,
};
pub use pieces::Pieces;
pub use room::Room;
pub use root::{FORMAT, in_use};
pub use snapshot::{Overlay, Snapshots, Usage, usage};
pub use store::Store;
pub use trash::{delete_in, delete_tree};
