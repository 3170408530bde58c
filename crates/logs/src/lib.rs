//! Container logs: write, rotate and send (in the shim), read, tail and follow (in the engine). Synchronous.
//!
//! A log is one file, and the files it was before it was rotated: `x.log`, `x.log.1` (newer) … `x.log.4` (oldest),
//! which may be compressed (`x.log.1.gz`). Two processes share them: the shim appends, renames and removes, the engine
//! only reads. A driver that sends its lines to another program keeps a copy here, so that they can be read.
//!
//! Invariants:
//! - Writing never fails and never blocks the container for longer than the disk takes (with `mode=non-blocking` not even
//!   that): what cannot be written is counted, and a note in the log tells how many lines were lost as soon as there is
//!   room again.
//! - No allocation per line on the writing side.
//! - A damaged record costs itself: the reader looks for the next whole one and says so with a note.
//! - A remote target that takes nothing holds the container back for some seconds, once, and then loses lines, which are
//!   counted; it never makes the shim wait.
//! - `tail` and `since` read the end of the log and not the whole of it, however long it is.
//!
//! ```
//! use dhow_logs::{Config, Query, Reader, Step, Stream, Writer};
//!
//! # fn main() -> dhow_errdefs::Result<()> {
//! # let dir = tempfile::tempdir().unwrap();
//! let config = Config::default();
//! let path = config.path(dir.path(), "4f5e").unwrap();
//! let mut writer = Writer::open(Some(&path), &config)?;
//! writer.write(Stream::Stdout, b"one\ntwo\n");
//! writer.finish();
//!
//! let mut reader = Reader::open(&path, &config, Query { tail: Some(1), ..Query::default() })?;
//! let Step::Entry(entry) = reader.read()? else { panic!("there is a line") };
//! assert_eq!(entry.line, b"two\n");
//! # Ok(())
//! # }
//! ```

mod aside;
mod compress;
mod config;
mod disk;
mod entry;
mod files;
mod format;
mod lines;
mod queue;
mod reader;
mod remote;
mod sink;
mod timestamp;
mod writer;

pub use config::{Config, Driver, Subject};
pub use entry::{Entry, Stream};
pub use reader::{Query, Reader, Step};
pub use remote::{Address, Layout, Secrecy, Syslog, Target};
pub use timestamp::Timestamp;
pub use writer::{Losses, Writer};
