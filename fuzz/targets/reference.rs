#![no_main]

use dhow_oci::Reference;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(reference) = Reference::parse(text) else { return };
    assert_eq!(Reference::parse(&reference.canonical()).expect("what it printed"), reference);
    let tagged = reference.with_default_tag();
    assert!(tagged.tag().is_some() || tagged.digest().is_some());
});
