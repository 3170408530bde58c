//! Images through the crate's front: every test has a data root of its own, and archives made by hand.

mod attacks;
mod full;
mod lifecycle;
mod load;
mod removal;
mod save;
mod world;
