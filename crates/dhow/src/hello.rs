//! The image that is part of the binary, so that a first container needs no network.

/// The program of the image `hello-world`, compiled by the build script.
pub(crate) const PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/hello"));

/// Where the program lies in the image.
pub(crate) const PATH: &str = "hello";

/// The name by which it is asked for.
pub(crate) const NAME: &str = "hello-world:latest";
