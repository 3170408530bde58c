//! Safe wrappers around kernel facilities, one file each; the only place with `unsafe`.
//!
//! What `rustix` wraps safely already (most of `*at`, the new mount API, capabilities, `setns`, `pidfd`, `waitid`,
//! pseudo-terminals) is used from there directly. Here is what it lacks: `clone3`, `execve`, `mount_setattr`, seccomp,
//! signal dispositions, keyrings, scheduling attributes, and small compositions that several rooms need (descriptor
//! passing, atomic files, the protected binary).
//!
//! Unless its doc says otherwise, every function here is async-signal-safe: it allocates nothing, takes no lock and may
//! run between `clone3` and `execve` in the child of a threaded process.

pub mod atomic;
pub mod beneath;
pub mod bpf;
pub mod clone;
pub mod cwd;
pub mod descriptors;
pub mod exe;
pub mod exec;
pub mod fdpass;
pub mod folder_lock;
pub mod frame;
pub mod heap;
pub mod inherited;
pub mod keyring;
pub mod loop_device;
pub mod loopback;
pub mod mount;
pub mod namespace;
pub mod personality;
pub mod process;
pub mod program;
pub mod random;
pub mod scheduling;
pub mod seccomp;
pub mod signal;
pub mod title;
pub mod transparent;
pub mod unread;
pub mod userns;
pub mod writeback;
