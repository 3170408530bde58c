//! Archives that are good, in all their forms.

use dhow_image::{Filters, ImportOptions, LoadEvent, LoadOptions};
use dhow_oci::{ANNOTATION_IMAGE_NAME, Descriptor, Digest, Index, Platform, media};
use tar::EntryType;

use crate::world::{Layout, Tar, World, blob, config, descriptor, docker_archive, gzip, json, layer, with_index, zstd};

#[test]
fn docker_archives_are_loaded_whatever_they_are_compressed_with() {
    let layers = [&layer("a", "1")[..], &layer("b", "2")];
    let plain = docker_archive(&["app:1", "app:2"], &layers).finish();
    for archive in [plain.clone(), gzip(&plain), zstd(&plain)] {
        let world = World::new();
        assert_eq!(world.load_lines(&archive), "Loaded image: app:1\nLoaded image: app:2\n");
        let details = world.images.inspect("app:2").unwrap();
        assert_eq!(details.record.id, Digest::of(&config(&layers)));
        assert_eq!(details.tags, ["app:1", "app:2"]);
        assert_eq!(std::fs::read_to_string(details.layers[0].join("b")).unwrap(), "2");
        assert_eq!(std::fs::read_to_string(details.layers[1].join("a")).unwrap(), "1");
        // Config and layers; the files for readers of the first years are not kept.
        assert_eq!(world.contents(), (3, 2, 1));
    }
}

/// What looks like a layer is unpacked while the archive is read, and that is all that may happen.
#[test]
fn large_layers_are_unpacked_on_the_way_and_believed_nothing() {
    let text = "large ".repeat(40_000);
    let (plain, other) = (layer("a", &text), layer("b", &text));
    let noise: Vec<u8> = (0_u32..60_000).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let noisy = Tar::new().file("noise", noise).finish();
    for (kind, bytes) in [(media::OCI_LAYER, noisy.clone()), (media::OCI_LAYER_GZIP, gzip(&noisy))] {
        let layers = vec![(media::OCI_LAYER.to_owned(), plain.clone()), (kind.to_owned(), bytes.clone())];
        let layout = Layout { config: config(&[&plain, &noisy]), layers };
        let world = World::new();
        let events = world.load(&layout.archive(&layout.manifest(), |entry| entry)).unwrap();
        let progress = events.iter().filter_map(|event| match event {
            LoadEvent::Layer { current, total, .. } => Some((*current, *total)),
            _ => None,
        });
        let (first, second) = (plain.len() as u64, bytes.len() as u64);
        assert_eq!(progress.collect::<Vec<_>>(), [(first, first), (second, second)]);
        let image = world.images.list(&Filters::default(), true).unwrap().remove(0).id;
        let details = world.images.inspect(&image.to_string()).unwrap();
        assert_eq!(std::fs::read_to_string(details.layers[1].join("a")).unwrap(), text);
        assert!(world.store.layers().verify(&world.store.metadata().layers().unwrap()[0]).unwrap().is_empty());
        // The config says that it is something else.
        let layout = Layout { config: config(&[&plain, &other]), ..layout };
        let world = World::new();
        let error = world.load(&layout.archive(&layout.manifest(), |entry| entry)).unwrap_err();
        assert!(error.to_string().contains("expected"), "{error}");
        assert_eq!(world.contents(), (0, 0, 0));
        assert_eq!(std::fs::read_dir(world.store.root().join("layers")).unwrap().count(), 1, "only the base");
    }
}

#[test]
fn members_may_come_in_any_order_and_be_links() {
    let bytes = layer("a", "1");
    let config = config(&[&bytes, &bytes]);
    let manifest =
        serde_json::json!([{ "Config": "c.json", "RepoTags": null, "Layers": ["x/layer.tar", "y/layer.tar"] }]);
    let archive = Tar::new()
        .file("manifest.json", json(&manifest))
        .link(EntryType::Symlink, "y/layer.tar", "../x/layer.tar")
        .link(EntryType::Link, "c.json", "d.json")
        .file("./x/layer.tar", &bytes)
        .file("d.json", &config)
        .finish();
    let world = World::new();
    assert_eq!(world.load_lines(&archive), format!("Loaded image ID: {}\n", Digest::of(&config)));
    assert_eq!(world.contents(), (2, 2, 1));
}

#[test]
fn layouts_keep_their_manifest() {
    let plain = layer("a", "1");
    let mut layout = Layout::new(&[&plain]);
    for (kind, bytes) in [
        (media::OCI_LAYER, plain.clone()),
        (media::OCI_LAYER_GZIP, gzip(&plain)),
        (media::DOCKER_LAYER_GZIP, gzip(&plain)),
        (media::OCI_LAYER_ZSTD, zstd(&plain)),
    ] {
        layout.layers = vec![(kind.to_owned(), bytes.clone())];
        let manifest = layout.manifest();
        let named = |entry: Descriptor| entry.with_annotation(ANNOTATION_IMAGE_NAME, "docker.io/library/app:1");
        let world = World::new();
        assert_eq!(world.load_lines(&layout.archive(&manifest, named)), "Loaded image: app:1\n");
        let record = world.images.resolve("app:1").unwrap();
        assert_eq!(record.manifest, Some(Digest::of(&json(&manifest))));
        assert_eq!((record.layers[0].blob, record.layers[0].media_type.as_str()), (Digest::of(&bytes), kind));
        let by_digest = format!("app@{}", Digest::of(&json(&manifest)));
        assert_eq!(world.images.resolve(&by_digest).unwrap().id, record.id);
    }
}

#[test]
fn of_an_index_in_an_index_the_wanted_platform_is_taken() {
    let layouts = [Layout::new(&[&layer("a", "amd64")]), Layout::new(&[&layer("a", "s390x")])];
    let mut tar = Tar::new();
    let mut entries = Vec::new();
    for (layout, platform) in layouts.iter().zip(["linux/amd64", "linux/s390x"]) {
        let manifest = json(&layout.manifest());
        tar = layout.layers.iter().fold(blob(blob(tar, &manifest), &layout.config), |tar, (_, bytes)| blob(tar, bytes));
        entries.push(Descriptor { platform: platform.parse().ok(), ..descriptor(media::OCI_MANIFEST, &manifest) });
    }
    let attestation = descriptor(media::OCI_MANIFEST, b"not in the archive");
    entries.push(Descriptor { platform: "unknown/unknown".parse().ok(), ..attestation });
    let inner = json(&Index::new(entries));
    let outer = Index::new(vec![descriptor(media::OCI_INDEX, &inner).with_annotation(ANNOTATION_IMAGE_NAME, "multi")]);
    let archive = with_index(blob(tar, &inner), &outer).finish();
    let load = |platform: &str| {
        let world = World::new();
        let platform: Option<Platform> = Some(platform.parse().unwrap());
        world.images.load(&archive[..], &LoadOptions { platform }, &|_| {}).map(|ids| ids[0])
    };
    assert_eq!(load("linux/amd64").unwrap(), Digest::of(&layouts[0].config));
    assert_eq!(load("linux/s390x").unwrap(), Digest::of(&layouts[1].config));
    let error = load("linux/riscv64").unwrap_err();
    assert_eq!(error.to_string(), "the archive has no image for linux/riscv64");
    assert_eq!(error.hint(), Some("it has images for linux/amd64, linux/s390x, unknown/unknown"));
}

#[test]
fn layers_are_kept_once() {
    let (base, top, other) = (layer("a", "1"), layer("b", "2"), layer("c", "3"));
    let world = World::new();
    world.load(&docker_archive(&["first:1"], &[&base, &top]).finish()).unwrap();
    let events = world.load(&docker_archive(&["second:1"], &[&base, &other]).finish()).unwrap();
    let unpacked =
        |event: &LoadEvent| matches!(event, LoadEvent::Layer { diff_id, .. } if *diff_id == Digest::of(&base));
    assert!(!events.iter().any(unpacked), "the base is there already");
    assert_eq!(world.contents(), (2 + 3, 3, 2));

    // The same layer in another compression: its blob stays the one that is there.
    let mut layout = Layout::new(&[&base]);
    layout.layers = vec![(media::OCI_LAYER_GZIP.to_owned(), gzip(&base))];
    let manifest = serde_json::json!([{ "Config": "c.json", "RepoTags": ["third:1"], "Layers": ["l"] }]);
    let tar = Tar::new().file("c.json", &layout.config).file("l", gzip(&base)).file("manifest.json", json(&manifest));
    world.load(&tar.finish()).unwrap();
    assert_eq!(world.images.resolve("third:1").unwrap().layers[0].blob, Digest::of(&base));
    assert_eq!(world.contents(), (2 + 3 + 1, 3, 3));

    // But a manifest names its own blob, which is kept for it.
    world.load(&layout.archive(&layout.manifest(), |entry| entry)).unwrap();
    assert_eq!(world.images.resolve("third:1").unwrap().layers[0].blob, Digest::of(&gzip(&base)));
}

#[test]
fn a_name_moves_to_the_image_that_was_loaded_last() {
    let world = World::new();
    world.load(&docker_archive(&["app:1"], &[&layer("a", "1")]).finish()).unwrap();
    let before = world.images.resolve("app:1").unwrap().id;
    let lines = world.load_lines(&docker_archive(&["app:1"], &[&layer("a", "2")]).finish());
    let renamed = format!("The image app:1 already exists, renaming the old one with ID {before} to empty string\n");
    assert_eq!(lines, format!("{renamed}Loaded image: app:1\n"));
    assert_ne!(world.images.resolve("app:1").unwrap().id, before);
    assert!(world.images.inspect(&before.to_string()).unwrap().tags.is_empty());
}

#[test]
fn an_import_makes_an_image_of_one_layer() {
    let world = World::new();
    let options = ImportOptions {
        changes: vec!["CMD [\"sh\"]".to_owned(), "ENV A=1".to_owned()],
        message: "by hand".to_owned(),
        ..ImportOptions::default()
    };
    let tree = layer("etc/file", "x");
    let ids =
        [tree.clone(), gzip(&tree), zstd(&tree)].map(|archive| world.images.import(&archive[..], &options).unwrap());
    for id in ids {
        let details = world.images.inspect(&id.to_string()).unwrap();
        assert_eq!(details.config.rootfs.diff_ids, [Digest::of(&tree)]);
        assert_eq!(details.config.config.cmd.as_deref(), Some(&["sh".to_owned()][..]));
        assert_eq!(std::fs::read_to_string(details.layers[0].join("etc/file")).unwrap(), "x");
        let history = world.images.history(&id.to_string()).unwrap();
        assert_eq!((history.len(), history[0].comment.as_str(), history[0].id), (1, "by hand", Some(id)));
        assert_eq!(history[0].size, 1);
    }
    let plain = world.import("plain", "y");
    assert_eq!(world.images.config(&plain).unwrap().comment, "Imported from -");
}
