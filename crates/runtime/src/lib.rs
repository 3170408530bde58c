//! The OCI runtime: namespaces, root file system, capabilities, seccomp, exec. Synchronous, no async runtime linked.
//!
//! What happens in [`create`]: everything that can be known is computed first (`plan`: strings, descriptors, the list of
//! mounts, id maps). Then one `clone3` makes the container's first process in its new namespaces. That process is a copy
//! of its caller and runs only async-signal-safe system calls (`child`), so the caller may be threaded. It reports a
//! failure as a small record (step, index, error number), which the plan turns into an [`Error`](dhow_errdefs::Error)
//! with class and path. It stops at the gate: [`Init::start`] lets it execute the user's program.
//!
//! Invariants:
//! - No path inside a root file system is ever walked as a string after it was checked: targets are opened with
//!   `openat2(RESOLVE_IN_ROOT)`, mounts are attached to descriptors.
//! - What is written below `/proc` goes through a descriptor checked to be procfs, with nothing mounted over.
//! - No descriptor of the host reaches the user's program, beside the three standard ones and those asked for.
//! - Nothing is mounted in the host's mount namespace.
//!
//! ```no_run
//! use dhow_runtime::{Create, Rootfs, create};
//! # fn main() -> dhow_errdefs::Result<()> {
//! # let spec = dhow_oci::runtime::Spec::default();
//! let bundle = std::path::Path::new("/bundle");
//! let init = create(Create::new("id", &spec, bundle, Rootfs::Path(&bundle.join("rootfs"))))?;
//! let running = init.start()?;
//! println!("process {}", running.pid);
//! # Ok(())
//! # }
//! ```

mod birth;
pub mod capability;
mod child;
pub mod cli;
mod create;
mod device_rules;
mod exec;
mod gate;
pub mod hooks;
mod init;
mod notify;
mod plan;
mod procfs;
mod report;
pub mod seccomp;
mod target;

pub use create::{Create, Gate, Rootfs, Stdio, create};
pub use device_rules::default_device_rules;
pub use exec::{Exec, ExecChild, exec};
pub use init::{Init, Started};
pub use plan::id_map::map_ids;
pub use plan::label::SecurityModules;
pub use plan::rootfs::{detached_layers, detached_overlay};
pub use target::Target;
