//! A typed client of the Docker Engine API over HTTP/1.1, hijacked streams included.
//!
//! It speaks to any Docker-compatible engine. It is not a command line: it reads no environment variable, prints
//! nothing and starts nothing.
//!
//! Invariants:
//!
//! - Version negotiation costs nothing where it is not needed: the newest version is sent at once, and an older engine's
//!   refusal names the version to use. Only a request whose body cannot be sent twice asks first (see [`Client`]).
//! - One connection is used again for one call after the other; calls that run at the same time get one each.
//! - What the engine says is passed on: an [`Error`](dhow_errdefs::Error) has its class and its words, with the prefix
//!   `Error response from daemon: ` that Docker's users know.
//!
//! ```no_run
//! # async fn example() -> dhow_errdefs::Result<()> {
//! let client = dhow_client::Client::new("unix:///run/dhow/dhow.sock".parse()?);
//! println!("{:?}", client.version().await?);
//! # Ok(())
//! # }
//! ```

mod body;
mod call;
mod client;
mod connection;
mod containers;
mod distribution;
mod error;
mod exec;
mod files;
mod helper;
mod hijack;
mod host;
mod images;
mod networks;
mod path;
mod prune;
mod ssh;
mod stream;
mod system;
mod tls;
mod version;
mod volumes;

pub use body::Upload;
pub use client::Client;
pub use containers::{Attach, Listing, Logs, Removal, Waiting};
pub use dhow_tls::TlsMaterial;
pub use distribution::Remote;
pub use files::{Commit, Extraction};
pub use hijack::{Hijacked, Socket};
pub use host::Host;
pub use images::{ImageListing, ImagePull, ImagePush, Import};
pub use path::no_name;
pub use ssh::Ssh;
pub use stream::{Bytestream, Messages};
pub use tls::Tls;
pub use volumes::VolumeImport;
