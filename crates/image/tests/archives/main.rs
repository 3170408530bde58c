//! Images through the crate's front: every test has a data root of its own, and archives made by hand
//! or a registry of its own.

mod attacks;
mod full;
mod lifecycle;
mod load;
mod pull;
mod push;
mod ranges;
mod registry;
mod removal;
mod save;
mod world;
