//! The classes of failure, shared by every room of the house.
//!
//! A store can fail without knowing HTTP, a runtime without knowing exit codes: each failure carries a [`Class`], and
//! one file in `server` maps classes to HTTP statuses, one file in `cli` maps them to exit codes.
//!
//! An [`Error`] is a class, a text that names the thing and the step, an optional hint (advice to the person, shown
//! beside the message and never inside it) and the error that caused it. [`Display`](std::fmt::Display) prints the
//! whole chain, outermost first, joined with `": "`, the way Docker's users know it.
//!
//! Texts that Docker's clients compare letter for letter are made in [`message`] only, and their words for yes and no are
//! read by [`parse_bool`].
//!
//! ```
//! use dhow_errdefs::{Class, Error, ResultExt};
//!
//! fn read(path: &str) -> Result<String, Error> {
//!     std::fs::read_to_string(path).context(|| format!("read {path}"))
//! }
//! let error = read("/no/such/file").unwrap_err();
//! assert_eq!(error.class(), Class::NotFound);
//! assert!(error.to_string().starts_with("read /no/such/file: "));
//! ```

mod class;
mod error;
pub mod message;
mod truth;

pub use class::Class;
pub use error::{Error, ResultExt};
pub use truth::parse_bool;

/// The result of everything that can fail in dhow.
pub type Result<T, E = Error> = std::result::Result<T, E>;
