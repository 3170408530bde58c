//! The supervisor process of one container, and the messages it speaks.
//!
//! A shim is started by the engine ([`spawn`]), makes the container it is told ([`protocol::Launch`]), and is from then on
//! the parent and reaper of the container's processes, the owner of its streams and its terminal, and the writer of its
//! log. Engines come and go ([`Connection::adopt`]); the shim and what it holds stay until the container has ended.
//!
//! One thread, one `epoll`, no async runtime; only what a disk may hold up (a log with `mode=non-blocking`, unmounting, an
//! exec on its way to its program) has a thread of its own. Invariants:
//! - It never waits for an engine or a client: every socket is non-blocking and every queue has a limit. A connection
//!   that lets its queue fill up is cut. Output that an attached client does not read waits for it on disk, up to a limit;
//!   then the container is held back while the client reads slowly, and goes on without it when it does not read at all.
//! - `exit.json` is written before anybody is told of the end: it survives killed processes (a power cut no worse than the
//!   engine's own record of the start does).
//! - The end of the first process ends all of the container, also where others share its process namespace, and nothing
//!   that a process outside of the container keeps open delays it.
//! - After the end nothing is left: no process, no cgroup, no socket, no mount.

mod address;
mod backlog;
mod base64;
mod client;
mod connection;
mod container;
mod control;
pub mod detach;
pub mod frame;
pub mod init;
mod poll;
mod program;
pub mod protocol;
mod queue;
mod role;
mod spawn;
mod stdin;
mod streams;
mod supervisor;

pub use address::{connect, process};
pub use connection::Connection;
pub use container::{cgroup_in, first, say_farewell};
pub use dhow_logs::Timestamp;
pub use role::main;
pub use spawn::{Spawned, foresee, reap, spawn, spawn_command, spawn_spare};
