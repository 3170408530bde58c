#![no_main]

use dhow_oci::ImageConfig;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(config) = ImageConfig::parse(bytes) else { return };
    let _ = config.platform().to_string();
    assert_eq!(ImageConfig::parse(&config.to_bytes()).expect("what it wrote"), config);
});
