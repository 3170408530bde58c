//! A container's files from outside: `cp`, `export`, `diff`, `commit`.
//!
//! A running container is seen as it sees itself: through its first process's root, with its volumes, binds and tmpfs. One
//! that does not run is put together for the moment in a mount namespace of a thread of its own, which is gone with the
//! thread: nothing is mounted on the host. Either way every path is resolved by the kernel inside that root.

mod commit;
mod copy;
mod ground;
mod path;
mod sink;
mod stat;
mod tree;

pub use commit::CommitRequest;
pub use copy::ExtractOptions;
pub use sink::ArchiveSink;
pub(crate) use sink::{WatchedSink, answered, start as start_thread};
pub use stat::PathStat;
