//! Archives that lie: each is refused with a clear error and leaves nothing behind.

use dhow_errdefs::{Class, Error};
use dhow_image::ImportOptions;
use dhow_oci::{Descriptor, Digest, Index, media};
use proptest::prelude::*;
use tar::EntryType;

use crate::world::{Layout, Tar, World, blob, config, descriptor, docker_archive, gzip, json, layer, with_index};

/// A world that has an image already.
fn world() -> World {
    let world = World::new();
    world.import("keep", "me");
    world
}

/// Loads what must be refused, and looks for anything that stayed.
fn refused(world: &World, archive: &[u8]) -> Error {
    let before = world.contents();
    let error = world.load(archive).expect_err("it must be refused");
    assert_eq!(world.contents(), before, "something stayed: {error}");
    error
}

#[track_caller]
fn expect(archive: &[u8], class: Class, words: &str) {
    let error = refused(&world(), archive);
    assert!(error.to_string().contains(words), "{error}");
    assert_eq!(error.class(), class, "{error}");
}

fn manifest_json(config: &str, layers: &[&str]) -> Vec<u8> {
    json(&serde_json::json!([{ "Config": config, "RepoTags": ["x:1"], "Layers": layers }]))
}

#[test]
fn what_is_no_archive() {
    expect(b"", Class::DataLoss, "ends too early");
    expect(&[b'x'; 2048], Class::DataLoss, "header");
    expect(&Tar::new().finish(), Class::InvalidArgument, "no image archive");
    expect(&layer("etc/passwd", "root"), Class::InvalidArgument, "no image archive");
    expect(&Tar::new().file("manifest.json", "{").finish(), Class::InvalidArgument, "invalid manifest.json");
    expect(&Tar::new().file("index.json", "[]").finish(), Class::InvalidArgument, "index");
    expect(b"\xfd7zXZ\0....", Class::NotImplemented, "xz");
}

#[test]
fn truncated_archives() {
    let layers = [&layer("a", "1")[..], &layer("b", "2")];
    let archive = docker_archive(&["x:1"], &layers).finish();
    let world = world();
    for cut in (0..archive.len() - 1024).step_by(512).chain([1, 700, archive.len() - 1030]) {
        let error = refused(&world, &archive[..cut]);
        assert_eq!(error.class(), Class::DataLoss, "cut at {cut}: {error}");
    }
    let compressed = gzip(&archive);
    for cut in [compressed.len() / 2, compressed.len() - 9, compressed.len() - 1] {
        refused(&world, &compressed[..cut]);
    }
}

#[test]
fn something_behind_the_end() {
    let mut archive = docker_archive(&["x:1"], &[&layer("a", "1")]).finish();
    archive.extend_from_slice(&[7; 512]);
    expect(&archive, Class::DataLoss, "after its end");
}

#[test]
fn parts_that_are_missing() {
    let config = config(&[&layer("a", "1")]);
    let tar = Tar::new().file("c", &config).file("manifest.json", manifest_json("c", &["l"])).finish();
    expect(&tar, Class::DataLoss, "no member \"l\"");
    let tar = Tar::new().file("manifest.json", manifest_json("../../etc/passwd", &[])).finish();
    expect(&tar, Class::DataLoss, "no member \"../../etc/passwd\"");
    let layout = Layout::new(&[&layer("a", "1")]);
    let manifest = json(&layout.manifest());
    let index = Index::new(vec![descriptor(media::OCI_MANIFEST, &manifest)]);
    let tar = with_index(blob(Tar::new(), &manifest), &index).finish();
    expect(&tar, Class::DataLoss, "no member \"blobs/sha256/");
}

#[test]
fn contents_that_are_not_what_they_are_called() {
    let (honest, lie) = (layer("a", "1"), layer("a", "2"));
    // A blob under another blob's name.
    let name = format!("blobs/sha256/{}", Digest::of(&honest).hex());
    expect(&Tar::new().file(&name, &lie).finish(), Class::DataLoss, "expected sha256:");
    expect(&Tar::new().file("blobs/sha256/xyz", "").finish(), Class::InvalidArgument, "invalid digest");
    expect(&Tar::new().file("blobs/sha512/abc", "").finish(), Class::NotImplemented, "SHA-256");
    // A layer that is not the one in the config.
    let config = config(&[&honest]);
    let tar = Tar::new().file("c", &config).file("l", &lie).file("manifest.json", manifest_json("c", &["l"]));
    expect(&tar.finish(), Class::DataLoss, "unpack layer");
    // A size that is wrong.
    let layout = Layout::new(&[&honest]);
    let mut manifest = layout.manifest();
    manifest.layers[0].size += 1;
    expect(&layout.archive(&manifest, |entry| entry), Class::DataLoss, "expected");
    // More layers than the config has.
    let tar = Tar::new().file("c", &config).file("l", &honest).file("manifest.json", manifest_json("c", &["l", "l"]));
    expect(&tar.finish(), Class::InvalidArgument, "layers length mismatch: expected 1, got 2");
}

/// A layer that is there already is not unpacked again: its blob must be looked into nevertheless, or a later save would
/// hand out the lie under the right name.
#[test]
fn a_lie_about_a_layer_that_is_there() {
    let (honest, lie) = (layer("a", "1"), layer("a", "2"));
    let world = World::new();
    world.load(&docker_archive(&["x:1"], &[&honest]).finish()).unwrap();
    let before = world.contents();
    let mut layout = Layout::new(&[&honest]);
    layout.layers[0].1 = lie;
    let error = world.load(&layout.archive(&layout.manifest(), |entry| entry)).unwrap_err();
    assert_eq!(error.class(), Class::DataLoss);
    assert!(error.to_string().contains("has the diff ID"), "{error}");
    assert_eq!(world.contents(), before);
}

#[test]
fn kinds_of_content_that_are_not_known() {
    let mut layout = Layout::new(&[&layer("a", "1")]);
    layout.layers[0].0 = "application/vnd.oci.image.layer.v1.tar+gzip+encrypted".to_owned();
    expect(&layout.archive(&layout.manifest(), |entry| entry), Class::NotImplemented, "+encrypted");
    let layout = Layout::new(&[&layer("a", "1")]);
    let mut artifact = layout.manifest();
    artifact.config.media_type = "application/vnd.cncf.helm.config.v1+json".to_owned();
    expect(&layout.archive(&artifact, |entry| entry), Class::NotImplemented, "helm");
    let other = |entry| Descriptor { media_type: "text/plain".to_owned(), ..entry };
    expect(&layout.archive(&layout.manifest(), other), Class::NotImplemented, "text/plain");
    let windows = String::from_utf8(layout.config.clone()).unwrap().replace("linux", "windows");
    let tar = docker_with(windows.as_bytes(), &layer("a", "1"));
    expect(&tar, Class::NotImplemented, "cannot load windows image on linux");
}

fn docker_with(config: &[u8], layer: &[u8]) -> Vec<u8> {
    Tar::new().file("c", config).file("l", layer).file("manifest.json", manifest_json("c", &["l"])).finish()
}

#[test]
fn names_that_are_none() {
    let world = world();
    for name in ["x", "UPPER:1", "x:1@sha256:00", ""] {
        let manifest = serde_json::json!([{ "Config": "c", "RepoTags": [name], "Layers": ["l"] }]);
        let bytes = layer("a", "1");
        let tar = Tar::new().file("c", config(&[&bytes])).file("l", &bytes).file("manifest.json", json(&manifest));
        assert_eq!(refused(&world, &tar.finish()).class(), Class::InvalidArgument, "{name}");
    }
}

#[test]
fn links_and_members_that_lead_out() {
    let tar = || Tar::new().file("manifest.json", manifest_json("c", &["l"]));
    expect(&tar().link(EntryType::Symlink, "l", "/etc/passwd").finish(), Class::InvalidArgument, "leads out");
    expect(&tar().link(EntryType::Symlink, "l", "../../etc/passwd").finish(), Class::InvalidArgument, "leads out");
    expect(&tar().link(EntryType::Link, "l", "../x").finish(), Class::InvalidArgument, "../x");
    expect(&tar().link(EntryType::Fifo, "l", "x").finish(), Class::InvalidArgument, "neither file nor link");
    let circle = tar().link(EntryType::Symlink, "l", "c").link(EntryType::Symlink, "c", "l").finish();
    expect(&circle, Class::InvalidArgument, "link to a link");
}

#[test]
fn members_that_come_twice() {
    let bytes = layer("a", "1");
    let tar = Tar::new().file("l", &bytes).file("l", layer("a", "2")).finish();
    expect(&tar, Class::InvalidArgument, "two members \"l\"");
    let tar = Tar::new().file("manifest.json", "[]").file("manifest.json", "[ ]").finish();
    expect(&tar, Class::InvalidArgument, "two members");
}

#[test]
fn documents_that_are_too_large() {
    let tar = Tar::new().file("manifest.json", vec![b' '; (4 << 20) + 1]).finish();
    expect(&tar, Class::ResourceExhausted, "manifest.json is larger");
    let large = vec![b' '; (8 << 20) + 1];
    expect(&docker_with(&large, &layer("a", "1")), Class::ResourceExhausted, "config is larger");
    let many = serde_json::json!({ "rootfs": { "type": "layers", "diff_ids": vec![Digest::of(b""); 501] } });
    expect(&docker_with(&json(&many), &layer("a", "1")), Class::InvalidArgument, "501 layers");
}

#[test]
fn indexes_without_end() {
    let layout = Layout::new(&[&layer("a", "1")]);
    let manifest = json(&layout.manifest());
    let mut tar = layout.blobs(&manifest);
    let mut inner = descriptor(media::OCI_MANIFEST, &manifest);
    for _ in 0..5 {
        let bytes = json(&Index::new(vec![inner]));
        inner = descriptor(media::OCI_INDEX, &bytes);
        tar = blob(tar, &bytes);
    }
    expect(&with_index(tar, &Index::new(vec![inner])).finish(), Class::InvalidArgument, "indexes in each other");
    expect(&with_index(Tar::new(), &Index::new(Vec::new())).finish(), Class::InvalidArgument, "names no image");
}

/// If the second image of an archive is bad, the first one is not taken either.
#[test]
fn one_bad_image_among_good_ones() {
    let bytes = layer("a", "1");
    let manifest = serde_json::json!([
        { "Config": "c", "RepoTags": ["good:1"], "Layers": ["l"] },
        { "Config": "c", "RepoTags": ["bad:1"], "Layers": [] },
    ]);
    let tar = Tar::new().file("c", config(&[&bytes])).file("l", &bytes).file("manifest.json", json(&manifest));
    expect(&tar.finish(), Class::InvalidArgument, "layers length mismatch");
}

#[test]
fn bad_imports() {
    let world = World::new();
    let import = |archive: &[u8], changes: &[&str]| {
        let changes = changes.iter().map(|change| (*change).to_owned()).collect();
        let error = world.images.import(archive, &ImportOptions { changes, ..ImportOptions::default() }).unwrap_err();
        assert_eq!(world.contents(), (0, 0, 0), "something stayed: {error}");
        error
    };
    assert_eq!(import(b"nonsense that is no tar", &[]).class(), Class::DataLoss);
    assert_eq!(import(&layer("a", "1")[..600], &[]).class(), Class::DataLoss);
    assert_eq!(import(&layer("a", "1"), &["RUN x"]).to_string(), "run is not a valid change command");
    assert!(import(b"BZh91AY&SY", &[]).to_string().contains("bzip2"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Bytes that are changed anywhere: the archive is refused and leaves nothing, or it is another good archive.
    #[test]
    fn damaged_archives(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let layers = [&layer("a", "1")[..], &layer("b", "2")];
        let mut archive = docker_archive(&["x:1"], &layers).finish();
        for (place, byte) in changes {
            let place = place.index(archive.len());
            archive[place] = byte;
        }
        let world = World::new();
        match world.load(&archive) {
            Err(_) => prop_assert_eq!(world.contents(), (0, 0, 0)),
            Ok(_) => prop_assert_eq!(world.contents().2, 1),
        }
    }
}
