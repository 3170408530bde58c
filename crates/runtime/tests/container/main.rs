//! Real containers made with the library, from threads, each in its own world.

mod basics;
mod cgroups;
mod command;
mod errors;
mod escapes;
mod exec;
mod hooks;
mod leaks;
mod mounts;
mod namespaces;
mod process;
mod world;
