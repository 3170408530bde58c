#![no_main]

use dhow_oci::{Index, Manifest};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let (manifest, index) = (Manifest::parse(bytes), Index::parse(bytes));
    assert!(manifest.is_err() || index.is_err(), "one document, two meanings");
});
