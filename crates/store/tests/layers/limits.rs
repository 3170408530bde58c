//! Bombs, and archives that end too early or too late.

use std::io::{self, Read, Write};

use dhow_errdefs::Class;
use dhow_store::{Limits, UnpackOptions};

use crate::world::{Tar, World};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

fn refuse_with(world: &World, archive: impl Read + Send, limits: Limits) -> dhow_errdefs::Error {
    let options = UnpackOptions { limits, ..Default::default() };
    let error = world.store.layers().unpack(archive, &options).unwrap_err();
    world.assert_nothing_left();
    error
}

#[test]
fn too_many_entries() {
    let world = World::new();
    let limits = Limits { entries: 3, ..Default::default() };
    let four = Tar::new().file("a", "").file("b", "").file("c", "").file("d", "").end();
    assert_eq!(refuse_with(&world, &four[..], limits).class(), Class::ResourceExhausted);
    let deep = Tar::new().file("a/b/c/d", "").end();
    assert_eq!(
        refuse_with(&world, &deep[..], limits).class(),
        Class::ResourceExhausted,
        "folders made on the way count"
    );
}

#[test]
fn too_many_bytes() {
    let world = World::new();
    let archive = gzip(&Tar::new().file("a", &"x".repeat(1 << 20)).end());
    let error = refuse_with(&world, &archive[..], Limits { bytes: Some(1 << 19), ..Default::default() });
    assert_eq!(error.class(), Class::ResourceExhausted);
    assert!(error.to_string().contains("larger than 524288 bytes"), "{error}");
}

/// A stream of zeros, compressed a thousand times, that would fill the disk.
#[test]
fn too_high_a_ratio() {
    let world = World::new();
    let mut head = Tar::new().header(tar::EntryType::Regular, "zeros", |header| header.set_size(1 << 40)).unfinished();
    head.resize(4 << 20, 0);
    // One zstd frame for 4 MiB, repeated: frames are read one after the other.
    let first = zstd::encode_all(&head[..], 1).unwrap();
    let zeros = zstd::encode_all(&vec![0; 4 << 20][..], 1).unwrap();
    let bomb = io::Cursor::new(first).chain(io::Cursor::new(zeros.repeat(64)));
    let limits = Limits { ratio_from: 8 << 20, ..Default::default() };
    let error = refuse_with(&world, bomb, limits);
    assert!(error.to_string().contains("400 times"), "{error}");
}

#[test]
fn truncated_archives() {
    let world = World::new();
    let whole = Tar::new().file("a", &"x".repeat(2000)).file("b", "y").end();
    for length in [0, 1, 511, 512, 700, 2048, 2560, 3072, 3584] {
        assert_eq!(world.refuse(&whole[..length]).class(), Class::DataLoss, "{length}");
    }
    let packed = gzip(&whole);
    for length in [3, 12, packed.len() / 2, packed.len() - 1] {
        world.refuse(&packed[..length]);
    }
    let packed = zstd::encode_all(&whole[..], 1).unwrap();
    for length in [3, 12, packed.len() - 1] {
        world.refuse(&packed[..length]);
    }
}

#[test]
fn garbage_after_the_end() {
    let world = World::new();
    let whole = Tar::new().file("a", "x").end();
    world.refuse(&[&whole[..], b"garbage"].concat());
    world.refuse(&[&gzip(&whole)[..], b"garbage"].concat());
    world.refuse(&gzip(&[&whole[..], &whole].concat()));
}

#[test]
fn damaged_compression() {
    let world = World::new();
    let mut packed = gzip(&Tar::new().file("a", &"x".repeat(5000)).end());
    let middle = packed.len() / 2;
    packed[middle] ^= 0xff;
    world.refuse(&packed);
    world.refuse(b"this is no archive");
}

#[test]
fn another_digest_than_expected() {
    let world = World::new();
    let archive = Tar::new().file("a", "x").end();
    let options = UnpackOptions { diff_id: Some(dhow_oci::Digest::of(b"other")), ..Default::default() };
    let error = world.store.layers().unpack(&archive[..], &options).unwrap_err();
    assert_eq!(error.class(), Class::DataLoss);
    world.assert_nothing_left();
}

#[test]
fn an_error_while_reading_is_passed_on() {
    struct Fails;
    impl Read for Fails {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the cable was pulled"))
        }
    }
    let world = World::new();
    let start = Tar::new().file("a", "x").unfinished();
    let error = refuse_with(&world, io::Cursor::new(start).chain(Fails), Limits::default());
    assert!(error.to_string().contains("the cable was pulled"), "{error}");
}

#[test]
fn a_very_deep_tree_is_unpacked_and_removed() {
    let world = World::new();
    let deep = "d/".repeat(1500);
    let layer = world.apply(&Tar::new().pax(&[("path", deep.as_bytes())]).folder("x").end()).unwrap();
    assert_eq!(layer.size, 0);
    let World { store, lease, dir } = world;
    drop(lease);
    assert_eq!(store.collect().unwrap().layers, 1);
    store.wait_for_deletions();
    assert_eq!(crate::world::names(&dir.path().join("root/trash")), [""; 0]);
}
