//! Container logs: write and rotate (in the shim), read, tail and follow (in the engine). Synchronous.
//!
//! A log is one file, and the files it was before it was rotated: `x.log`, `x.log.1` (newer) … `x.log.4` (oldest).
//! Two processes share them without a lock: the shim only appends and renames, the engine only reads.
//!
//! Invariants:
//! - Writing never fails and never blocks the container for longer than the disk takes: what cannot be written is
//!   counted, and a note in the log tells how many lines were lost as soon as there is room again.
//! - No allocation per line on the writing side.
//! - A damaged record costs itself: the reader looks for the next whole one and says so with a note.
//! - `tail` and `since` read the end of the log and not the whole of it, however long it is.
//!
//! ```
//! use dhow_logs::{Config, Query, Reader, Step, Stream, Writer};
//!
//! # fn main() -> dhow_errdefs::Result<()> {
//! # let dir = tempfile::tempdir().unwrap();
//! let config = Config::default();
//! let path = config.path(dir.path(), "4f5e").unwrap();
//! let mut writer = Writer::open(&path, &config)?;
//! writer.write(Stream::Stdout, b"one\ntwo\n");
//! writer.finish();
//!
//! let mut reader = Reader::open(&path, &config, Query { tail: Some(1), ..Query::default() })?;
//! let Step::Entry(entry) = reader.read()? else { panic!("there is a line") };
//! assert_eq!(entry.line, b"two\n");
//! # Ok(())
//! # }
//! ```

mod config;
mod entry;
mod files;
mod format;
mod lines;
mod reader;
mod timestamp;
mod writer;

pub use config::{Config, Driver};
pub use entry::{Entry, Stream};
pub use reader::{Query, Reader, Step};
pub use timestamp::Timestamp;
pub use writer::Writer;
