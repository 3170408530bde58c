//! Images: names to manifests; pull, push, import, load, save, tag, remove, as Docker's users know them.
//!
//! [`Images`] is a view on a [`Store`](dhow_store::Store): blobs and unpacked layers are the store's, the rules are here.
//!
//! # Invariants
//!
//! * An image's ID is the digest of its config, whose bytes are kept as they came.
//! * An image is recorded when every blob of it is verified and every layer unpacked and on the disk; all images of an
//!   archive are recorded together. Nothing of a refused archive stays.
//! * A layer is unpacked once, whichever images stand on it (by chain ID), and its blob is kept once.
//! * Names change one at a time, so that what was decided about an image ("nobody uses it") holds when it is done.
//! * No environment variable is read, nothing is printed; progress goes to a callback.

mod cancelled;
mod check;
mod commit;
mod embed;
mod filter;
mod glob;
mod history;
mod images;
mod import;
mod inspect;
mod install;
mod list;
mod load;
mod manifests;
mod name;
mod parallel;
mod policy;
mod prune;
mod pull;
mod push;
mod registry;
mod remove;
mod resolve;
mod save;
mod stream;
mod time;
mod usage;
mod volume;

pub use cancelled::Cancelled;
pub use check::{CheckOptions, Checked, Fault, FaultKind, Repair};
pub use commit::CommitOptions;
pub use embed::Embedded;
pub use filter::Filters;
pub use history::HistoryEntry;
pub use images::Images;
pub use import::ImportOptions;
pub use inspect::Details;
pub use list::Summary;
pub use load::{LoadEvent, LoadOptions};
pub use manifests::ManifestSummary;
pub use policy::{Policy, PolicyRule, PublicKey};
pub use prune::Pruned;
pub use pull::{LayerNews, PullEvent, PullOptions, Pulled};
pub use push::{PushCompression, PushEvent, PushNews, PushOptions};
pub use registry::{Caller, Credentials, Download, Registries, RegistrySettings, RemoteManifest, SearchResult};
pub use remove::{RemoveOptions, Removed, User};
pub use stream::inflate;
pub use time::moment;
pub use usage::StoredBytes;
pub use volume::VolumeBackup;
