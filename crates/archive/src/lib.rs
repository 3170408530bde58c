//! Trees to tar archives and back.
//!
//! * [`Archive`] reads a tar that nobody trusts: what it holds in memory is bounded, whatever the archive says.
//! * [`Writer`] writes one: the same bytes for the same entries, readable by Go, GNU tar and everybody else.
//! * [`Packer`] walks a tree and writes it. A [`View`] says what the tree is: a plain one, a container's, a layer's.
//! * [`unpack`] puts an archive into a tree, by the rules of `docker cp`.
//!
//! # Trust
//!
//! The trees are a container's, which may change them at the same moment, and its owner may be hostile. So nothing is
//! opened by a path that was looked at before: everything is relative to descriptors, links are never followed by us, and
//! where a name leads through links, the kernel resolves it below the given root (`RESOLVE_IN_ROOT`). That is what
//! CVE-2018-15664 (a link swapped in between look and use) and CVE-2019-14271 (libraries loaded from a container's root)
//! were about; nothing here calls `chroot` and nothing looks names up by libraries.
//!
//! ```
//! # fn main() -> dhow_errdefs::Result<()> {
//! use dhow_archive::{Archive, Packer, Plain};
//! let folder = tempfile::tempdir().unwrap();
//! std::fs::write(folder.path().join("file"), "hello").unwrap();
//! let mut packer = Packer::new(Vec::new(), &Plain);
//! packer.folder(std::fs::File::open(folder.path()).unwrap().into(), b"top")?;
//! let tar = packer.finish()?;
//! let mut archive = Archive::new(tar.as_slice(), false);
//! assert_eq!(archive.next()?.unwrap().path, b"top/");
//! assert_eq!(archive.next()?.unwrap().path, b"top/file");
//! # Ok(())
//! # }
//! ```

mod attributes;
mod names;
mod pack;
mod place;
mod read;
mod remove;
mod unpack;
mod write;

pub use attributes::attribute_names;
pub use names::names;
pub use pack::{Exact, Meaning, Packer, Plain, View};
pub use read::{Archive, Entry, Extent, Kind, Time};
pub use unpack::{Owner, Rules, unpack};
pub use write::Writer;
