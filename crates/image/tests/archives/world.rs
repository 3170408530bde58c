//! A data root, and archives made by hand.

use std::sync::{Arc, Mutex};

use dhow_image::{Images, ImportOptions, LoadEvent, LoadOptions};
use dhow_oci::{Descriptor, Digest, History, ImageConfig, Index, Manifest, Reference, RootFs, media};
use dhow_store::Store;
use serde::Serialize;
use tar::{Builder, EntryType, Header};
use tempfile::TempDir;

/// A data root with its images.
pub(crate) struct World {
    pub(crate) images: Images,
    pub(crate) store: Arc<Store>,
    _root: TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        let root = TempDir::new().expect("a folder for the data root");
        let store = Arc::new(Store::open(root.path()).expect("a new data root"));
        Self { images: Images::open(Arc::clone(&store)), store, _root: root }
    }

    /// Imports a tree of one file under a name.
    pub(crate) fn import(&self, name: &str, contents: &str) -> Digest {
        let reference = Some(Reference::parse(name).expect("a name"));
        let options = ImportOptions { reference, ..ImportOptions::default() };
        self.images.import(&layer("file", contents)[..], &options).expect("an import")
    }

    pub(crate) fn load(&self, archive: &[u8]) -> dhow_errdefs::Result<Vec<LoadEvent>> {
        let events = Mutex::new(Vec::new());
        let note = |event| events.lock().expect("no panic").push(event);
        self.images.load(archive, &LoadOptions::default(), &note)?;
        Ok(events.into_inner().expect("no panic"))
    }

    /// What a load says, without its progress.
    pub(crate) fn load_lines(&self, archive: &[u8]) -> String {
        self.load(archive).expect("a load").iter().filter_map(LoadEvent::line).collect()
    }

    pub(crate) fn save(&self, names: &[&str]) -> Vec<u8> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut archive = Vec::new();
        self.images.save(&names, &mut archive).expect("a save");
        archive
    }

    /// Blobs, layers and images: everything a refused archive could leave behind.
    pub(crate) fn contents(&self) -> (usize, usize, usize) {
        let store = self.images.store();
        let blobs = store.content().list().expect("blobs").len();
        let layers = store.metadata().layers().expect("layers").len();
        (blobs, layers, store.metadata().images().expect("images").len())
    }
}

/// A tar that is being made.
pub(crate) struct Tar(Builder<Vec<u8>>);

impl Tar {
    pub(crate) fn new() -> Self {
        Self(Builder::new(Vec::new()))
    }

    pub(crate) fn file(mut self, name: &str, contents: impl AsRef<[u8]>) -> Self {
        let contents = contents.as_ref();
        let mut header = Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(contents.len() as u64);
        self.0.append_data(&mut header, name, contents).expect("memory");
        self
    }

    pub(crate) fn link(mut self, kind: EntryType, name: &str, target: &str) -> Self {
        let mut header = Header::new_gnu();
        header.set_mode(0o644);
        header.set_entry_type(kind);
        header.set_size(0);
        self.0.append_link(&mut header, name, target).expect("memory");
        self
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0.into_inner().expect("memory")
    }
}

/// A layer with one file.
pub(crate) fn layer(name: &str, contents: &str) -> Vec<u8> {
    Tar::new().file(name, contents).finish()
}

/// The config of an image of these layers (plain tars).
pub(crate) fn config(layers: &[&[u8]]) -> Vec<u8> {
    let diff_ids: Vec<Digest> = layers.iter().map(|layer| Digest::of(layer)).collect();
    let history = diff_ids.iter().map(|_| History { created_by: "test".to_owned(), ..History::default() }).collect();
    let config = ImageConfig {
        architecture: dhow_oci::Platform::host().architecture,
        os: "linux".to_owned(),
        created: Some("2024-05-01T10:00:00Z".to_owned()),
        rootfs: RootFs { diff_ids, ..RootFs::default() },
        history,
        ..ImageConfig::default()
    };
    config.to_bytes()
}

pub(crate) fn json(document: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(document).expect("plain data")
}

/// An archive as Docker made them before 25: a folder for each layer, the config beside them.
pub(crate) fn docker_archive(tags: &[&str], layers: &[&[u8]]) -> Tar {
    let config = config(layers);
    let config_name = format!("{}.json", Digest::of(&config).hex());
    let names: Vec<String> = layers.iter().map(|layer| format!("{}/layer.tar", Digest::of(layer).hex())).collect();
    let mut tar = Tar::new();
    for (name, layer) in names.iter().zip(layers) {
        tar = tar.file(&name.replace("layer.tar", "VERSION"), "1.0").file(name, layer);
    }
    let manifest = serde_json::json!([{ "Config": config_name, "RepoTags": tags, "Layers": names }]);
    tar.file(&config_name, config).file("manifest.json", json(&manifest)).file("repositories", "{}")
}

/// The parts of an OCI layout, to be put together or to be damaged.
pub(crate) struct Layout {
    pub(crate) config: Vec<u8>,
    pub(crate) layers: Vec<(String, Vec<u8>)>,
}

impl Layout {
    pub(crate) fn new(layers: &[&[u8]]) -> Self {
        let plain = |layer: &&[u8]| (media::OCI_LAYER.to_owned(), layer.to_vec());
        Self { config: config(layers), layers: layers.iter().map(plain).collect() }
    }

    pub(crate) fn manifest(&self) -> Manifest {
        let config = descriptor(media::OCI_CONFIG, &self.config);
        Manifest::new(config, self.layers.iter().map(|(kind, bytes)| descriptor(kind, bytes)).collect())
    }

    /// The blobs, and a manifest.
    pub(crate) fn blobs(&self, manifest: &[u8]) -> Tar {
        let tar = blob(blob(Tar::new(), manifest), &self.config);
        self.layers.iter().fold(tar, |tar, (_, bytes)| blob(tar, bytes))
    }

    /// The whole archive, with this manifest and this entry in its index.
    pub(crate) fn archive(&self, manifest: &Manifest, entry: impl FnOnce(Descriptor) -> Descriptor) -> Vec<u8> {
        let manifest = json(manifest);
        let index = Index::new(vec![entry(descriptor(media::OCI_MANIFEST, &manifest))]);
        with_index(self.blobs(&manifest), &index).finish()
    }
}

pub(crate) fn with_index(tar: Tar, index: &Index) -> Tar {
    tar.file("index.json", json(index)).file("oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#)
}

pub(crate) fn blob(tar: Tar, bytes: &[u8]) -> Tar {
    tar.file(&format!("blobs/sha256/{}", Digest::of(bytes).hex()), bytes)
}

pub(crate) fn descriptor(kind: &str, bytes: &[u8]) -> Descriptor {
    Descriptor::new(kind, Digest::of(bytes), bytes.len() as u64)
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, bytes).expect("memory");
    encoder.finish().expect("memory")
}

pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).expect("memory")
}
