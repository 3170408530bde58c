//! Wire types of the Docker Engine API, versions 1.24 to 1.51.
//!
//! Written once for both sides: the server serialises what the client deserialises and the other way round. What is
//! written is what dockerd 28 writes: the same fields in the same order, `null`, `[]`, `""` and `0` where Go has them. What
//! is read is read as Go reads it, through [`json::from_slice`]: `null` is the zero value, unknown fields are ignored and
//! the case of a field's name does not matter.
//!
//! Nothing here is stored and nothing here has behaviour; conversion to the engine's own types is the server's business.
//!
//! ```
//! use dhow_api::container::HostConfig;
//!
//! let host: HostConfig = dhow_api::json::from_slice(br#"{"memory": 1024, "Binds": null, "Later": 1}"#)?;
//! assert_eq!(host.memory, 1024);
//! # Ok::<(), serde_json::Error>(())
//! ```

pub mod container;
pub mod distribution;
pub mod error;
pub mod event;
pub mod exec;
pub mod image;
pub mod json;
pub mod network;
pub mod query;
pub mod stream;
pub mod system;
pub mod version;
pub mod volume;
mod zero;
