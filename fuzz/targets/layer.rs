#![no_main]

use std::sync::OnceLock;

use dhow_fuzz::World;
use dhow_store::{Limits, UnpackOptions};
use libfuzzer_sys::fuzz_target;

static WORLD: OnceLock<World> = OnceLock::new();

fuzz_target!(|bytes: &[u8]| {
    let world = WORLD.get_or_init(World::new);
    let limits = Limits { entries: 1000, bytes: Some(1 << 20), ..Limits::default() };
    // What is unpacked and not recorded goes when it is dropped.
    drop(world.store.layers().unpack(bytes, &UnpackOptions { limits, ..UnpackOptions::default() }));
    world.store.wait_for_deletions();
    world.check();
});
