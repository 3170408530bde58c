#![no_main]

use std::sync::{Arc, OnceLock};

use dhow_fuzz::World;
use dhow_image::{Images, LoadOptions};
use libfuzzer_sys::fuzz_target;

static WORLD: OnceLock<World> = OnceLock::new();

fuzz_target!(|bytes: &[u8]| {
    let world = WORLD.get_or_init(World::new);
    let images = Images::open(Arc::clone(&world.store));
    match images.load(bytes, &LoadOptions::default(), &|_| {}) {
        Ok(ids) => {
            for id in ids {
                images
                    .remove(&id.to_string(), dhow_image::RemoveOptions { force: true }, |_| Vec::new())
                    .expect("to remove");
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    world.store.wait_for_deletions();
    world.check();
    world.check_empty();
});
