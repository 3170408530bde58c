//! The image that is part of the binary, so that a first container needs no network.

use dhow_image::Embedded;
use dhow_oci::{History, ImageConfig, Platform, RunConfig};

/// The name by which it is asked for.
pub(crate) const NAME: &str = "hello-world:latest";

/// Compiled by the build script.
const PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/hello"));

/// The program's place in the image.
const PATH: &str = "hello";

/// Fixed, so that the same binary always makes the image with the same ID.
const CREATED: &str = "2026-11-23T00:00:00Z";

/// One layer with one program.
pub(crate) fn image() -> Embedded {
    let platform = Platform::host();
    let run = RunConfig {
        cmd: Some(vec![format!("/{PATH}")]),
        env: Some(vec!["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()]),
        working_dir: "/".to_owned(),
        ..RunConfig::default()
    };
    let history = |created_by: &str, empty_layer| History {
        created: Some(CREATED.to_owned()),
        created_by: created_by.to_owned(),
        empty_layer,
        ..History::default()
    };
    let config = ImageConfig {
        architecture: platform.architecture,
        os: platform.os,
        created: Some(CREATED.to_owned()),
        config: run,
        history: vec![history("COPY hello / # embedded in dhow", false), history("CMD [\"/hello\"]", true)],
        ..ImageConfig::default()
    };
    Embedded { config, layers: vec![layer()] }
}

fn layer() -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_size(PROGRAM.len() as u64);
    header.set_mode(0o755);
    header.set_mtime(0);
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_data(&mut header, PATH, PROGRAM).expect("memory can be written");
    archive.into_inner().expect("memory can be written")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_is_the_same_at_each_call_and_small() {
        let (one, two) = (image(), image());
        assert_eq!((one.layers.clone(), one.config), (two.layers, two.config));
        assert!(one.layers[0].len() < 2 << 20);
    }
}
