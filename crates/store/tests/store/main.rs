//! The store through its front door: blobs, records, snapshots, roots, damage.

mod content;
mod damage;
mod records;
mod snapshots;
