//! Layers through the front door of the store: archives in, folders and records out.

mod attacks;
mod changes;
mod contents;
mod killed;
mod limits;
mod overlay;
mod records;
mod rootless;
mod world;
