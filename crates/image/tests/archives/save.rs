//! What is saved: read back by us, and by others where they are installed.

use std::path::Path;
use std::process::{Command, Stdio};

use dhow_errdefs::Class;
use dhow_oci::{Digest, Index, media};
use tempfile::TempDir;

use crate::world::{Layout, World, config, docker_archive, gzip, json, layer, zstd};

#[test]
fn a_saved_image_comes_back_with_its_id_and_its_manifest() {
    let plain = layer("a", "1");
    let mut layout = Layout::new(&[&plain]);
    layout.layers[0] = (media::OCI_LAYER_GZIP.to_owned(), gzip(&plain));
    let first = World::new();
    first.load(&layout.archive(&layout.manifest(), |entry| entry)).unwrap();
    let id = Digest::of(&layout.config);
    for name in ["app:1", "app:2", "other:1"] {
        first.images.tag(&id.to_string(), &name.parse().unwrap()).unwrap();
    }
    let archive = first.save(&["app", "other:1"]);
    assert_eq!(archive, first.save(&["app", "other:1"]), "the same images make the same bytes");

    let second = World::new();
    assert_eq!(second.load_lines(&archive), "Loaded image: app:1\nLoaded image: app:2\nLoaded image: other:1\n");
    assert_eq!(second.images.resolve("app:1").unwrap(), first.images.resolve("app:1").unwrap());
    assert_eq!(second.save(&["app", "other:1"]), archive);
}

#[test]
fn configs_and_layers_are_as_old_as_their_image() {
    let world = World::new();
    world.load(&docker_archive(&["a:1"], &[&layer("a", "1")]).finish()).unwrap();
    let made = u64::try_from(world.images.resolve("a:1").unwrap().created).unwrap();
    assert!(made > 0, "it says when it was made");
    let archive = world.save(&["a:1"]);
    let mut times = std::collections::BTreeMap::<u64, Vec<String>>::new();
    for entry in tar::Archive::new(&archive[..]).entries().unwrap() {
        let entry = entry.unwrap();
        let name = entry.path().unwrap().to_string_lossy().into_owned();
        times.entry(entry.header().mtime().unwrap()).or_default().push(name);
    }
    // A folder, a config and a layer; a folder, a manifest and four documents.
    assert_eq!((times[&made].len(), times[&0].len(), times.len()), (3, 6, 2), "{times:?}");
}

#[test]
fn several_images_share_their_layers_in_an_archive() {
    let (base, a, b) = (layer("base", "x"), layer("a", "1"), layer("b", "2"));
    let first = World::new();
    first.load(&docker_archive(&["a:1"], &[&base, &a]).finish()).unwrap();
    first.load(&docker_archive(&["b:1"], &[&base, &b]).finish()).unwrap();
    let archive = first.save(&["b:1", "a:1", "b:1"]);
    let mut members = Vec::new();
    for entry in tar::Archive::new(&archive[..]).entries().unwrap() {
        members.push(entry.unwrap().path().unwrap().to_string_lossy().into_owned());
    }
    // Two folders, three layers, two configs, two manifests, four documents.
    assert_eq!(members.len(), 2 + 3 + 2 + 2 + 4, "{members:?}");
    let second = World::new();
    assert_eq!(second.load_lines(&archive), "Loaded image: b:1\nLoaded image: a:1\n");
    assert_eq!(second.images.resolve("a:1").unwrap().id, Digest::of(&config(&[&base, &a])));
}

#[test]
fn an_image_saved_by_its_id_has_no_name() {
    let world = World::new();
    let id = world.import("app", "x");
    let archive = world.save(&[&id.hex()[..12]]);
    let second = World::new();
    assert_eq!(second.load_lines(&archive), format!("Loaded image ID: {id}\n"));
    world.images.tag("app", &"tagged:1".parse().unwrap()).unwrap();
    world.images.can_save(&["tagged".to_owned()]).unwrap();
    let error = world.images.save(&["missing".to_owned()], std::io::sink()).unwrap_err();
    assert_eq!((error.class(), error.to_string().as_str()), (Class::NotFound, "No such image: missing:latest"));
    assert_eq!(world.images.save(&[], std::io::sink()).unwrap_err().class(), Class::InvalidArgument);
}

#[test]
fn layers_in_zstd_are_written_so_that_old_readers_understand_them() {
    let plain = layer("a", "1");
    let mut layout = Layout::new(&[&plain]);
    layout.layers[0] = (media::OCI_LAYER_ZSTD.to_owned(), zstd(&plain));
    let first = World::new();
    first.load(&layout.archive(&layout.manifest(), |entry| entry)).unwrap();
    let id = Digest::of(&layout.config);
    let second = World::new();
    second.load(&first.save(&[&id.to_string()])).unwrap();
    let record = second.images.resolve(&id.to_string()).unwrap();
    assert_eq!(record.layers[0].blob, Digest::of(&plain));
}

#[test]
fn the_index_names_what_manifest_json_names() {
    let world = World::new();
    world.import("reg.example:5000/a/b:1", "x");
    let folder = unpacked(&world.save(&["reg.example:5000/a/b:1"]));
    let index = Index::parse(&std::fs::read(folder.path().join("index.json")).unwrap()).unwrap();
    let annotations = json(&index.manifests[0].annotations);
    let expected = r#"{"io.containerd.image.name":"reg.example:5000/a/b:1","org.opencontainers.image.ref.name":"1"}"#;
    assert_eq!(String::from_utf8(annotations).unwrap(), expected);
    let repositories = std::fs::read_to_string(folder.path().join("repositories")).unwrap();
    assert!(repositories.starts_with(r#"{"reg.example:5000/a/b":{"1":""#), "{repositories}");
}

fn unpacked(archive: &[u8]) -> TempDir {
    let folder = TempDir::new().unwrap();
    tar::Archive::new(archive).unpack(folder.path()).unwrap();
    folder
}

/// skopeo reads the archive as both of the things it is.
#[test]
fn skopeo_reads_it() {
    if !is_installed("skopeo") {
        eprintln!("skopeo is not installed: NOT TESTED");
        return;
    }
    let world = World::new();
    let plain = layer("a", "1");
    let mut layout = Layout::new(&[&plain, &layer("b", "2")]);
    layout.layers[0] = (media::OCI_LAYER_GZIP.to_owned(), gzip(&plain));
    world.load(&layout.archive(&layout.manifest(), |entry| entry)).unwrap();
    let id = Digest::of(&layout.config);
    world.images.tag(&id.to_string(), &"app:1".parse().unwrap()).unwrap();
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("saved.tar");
    std::fs::write(&file, world.save(&["app:1"])).unwrap();
    for source in [format!("docker-archive:{}:app:1", file.display()), format!("oci-archive:{}:1", file.display())] {
        let target = folder.path().join("copy");
        skopeo_copy(&source, &target);
        // What skopeo made of it is an archive that we read.
        let second = World::new();
        second.load(&tar_of(&target)).unwrap();
        let copied = second.images.list(&dhow_image::Filters::default(), true).unwrap()[0].id;
        assert_eq!(second.images.config(&copied).unwrap().rootfs, world.images.config(&id).unwrap().rootfs);
        // On its way out of a Docker archive skopeo writes the config anew.
        assert_eq!(copied == id, source.starts_with("oci"), "{source}");
        std::fs::remove_dir_all(&target).unwrap();
    }
}

fn is_installed(program: &str) -> bool {
    Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

fn skopeo_copy(source: &str, target: &Path) {
    let target = format!("oci:{}:x", target.display());
    let output = Command::new("skopeo").args(["--insecure-policy", "copy", source, &target]).output().unwrap();
    assert!(output.status.success(), "{source}: {}", String::from_utf8_lossy(&output.stderr));
}

fn tar_of(folder: &Path) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    tar.append_dir_all(".", folder).unwrap();
    tar.into_inner().unwrap()
}
