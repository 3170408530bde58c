//! Large blobs, which come in parts where the registry can do that.

use std::sync::atomic::{AtomicBool, Ordering};

use dhow_errdefs::Class;
use dhow_image::{Cancelled, Credentials, LayerNews, PullEvent, PullOptions, RegistrySettings};
use dhow_oci::Reference;

use crate::pull::{Puller, pull};
use crate::registry::{Answer, Image, Registry, blob_path};
use crate::world::{Tar, World};

const KIND: &str = "application/octet-stream";
const PART: usize = 4 << 20;

/// A layer with so many files of 18 MiB that gzip cannot make smaller.
fn large(files: u32) -> Vec<u8> {
    let noise = |number: u32| number.wrapping_mul(2_654_435_761).rotate_left(number).to_le_bytes();
    let file = |seed: u32| (seed..seed + (18 << 18)).flat_map(noise).collect::<Vec<u8>>();
    (0..files).fold(Tar::new(), |tar, number| tar.file(&format!("noise{number}"), file(number))).finish()
}

fn serving(layer: &[u8]) -> (Registry, Image) {
    let registry = Registry::start();
    let image = registry.serves("app", "latest", &[layer]);
    assert!(image.blobs[0].len() > 4 * PART);
    (registry, image)
}

/// That the image is here, with what the layer has.
fn is_whole(world: &World, registry: &Registry) {
    let details = world.images.inspect(&registry.name("app")).expect("it is here");
    assert_eq!(details.layers.len(), 1);
    let layer = &world.store.metadata().layers().expect("layers")[0];
    assert!(world.store.layers().verify(layer).expect("it can be read").is_empty());
}

#[test]
fn a_large_layer_comes_in_parts() {
    let (registry, image) = serving(&large(1));
    let world = World::new();
    pull(&world, &registry.name("app")).expect("a pull");
    is_whole(&world, &registry);
    let blob = &image.blobs[0];
    let mut asked = registry.asked(&blob_path("app", blob));
    asked.sort();
    let mut parts: Vec<String> = (0..blob.len().div_ceil(PART))
        .map(|part| {
            format!("GET {} bytes={}-{}", blob_path("app", blob), part * PART, blob.len().min((part + 1) * PART) - 1)
        })
        .collect();
    parts.sort();
    assert_eq!(asked, parts, "each byte once");
}

/// What a registry says about a blob, one answer after the other.
type Lie = fn(&[u8]) -> Vec<Answer>;

/// Whatever a registry makes of ranges: it is asked for one stream in the end, and the image comes.
#[test]
fn a_registry_that_cannot_do_parts_is_asked_for_one_stream() {
    let layer = large(1);
    let lies: [Lie; 8] = [
        |blob| vec![Answer::Whole(blob.to_vec())],
        |blob| vec![Answer::Misnamed(blob.to_vec()), Answer::Whole(blob.to_vec())],
        |blob| vec![Answer::Body(KIND, blob.to_vec()), Answer::Misnamed(blob.to_vec()), Answer::Whole(blob.to_vec())],
        |blob| vec![Answer::Status(416, String::new(), String::new()), Answer::Body(KIND, blob.to_vec())],
        |blob| {
            vec![
                Answer::Body(KIND, blob.to_vec()),
                Answer::Status(500, String::new(), String::new()),
                Answer::Body(KIND, blob.to_vec()),
            ]
        },
        // A cut in the middle of the first part, and of a later one.
        |blob| vec![Answer::CutPart(blob.to_vec(), 1000), Answer::Body(KIND, blob.to_vec())],
        |blob| {
            let cut = Answer::CutPart(blob.to_vec(), PART / 2);
            vec![Answer::Body(KIND, blob.to_vec()), cut.clone(), cut, Answer::Body(KIND, blob.to_vec())]
        },
        // Other bytes than it says, until it is asked for everything.
        |blob| {
            let other: Vec<u8> = blob.iter().map(|byte| byte ^ 1).collect();
            let parts = blob.len().div_ceil(PART);
            let lies = std::iter::repeat_n(Answer::Body(KIND, other), parts);
            lies.chain([Answer::Whole(blob.to_vec())]).collect()
        },
    ];
    for (number, lie) in lies.iter().enumerate() {
        let (registry, image) = serving(&layer);
        let (world, blob) = (World::new(), &image.blobs[0]);
        registry.says(&blob_path("app", blob), lie(blob));
        let pulled = pull(&world, &registry.name("app"));
        assert!(pulled.is_ok(), "lie {number}: {pulled:?}");
        is_whole(&world, &registry);
    }
}

/// What has come of it is kept, and only the rest moves.
#[test]
fn a_large_layer_that_was_given_up_goes_on_in_parts() {
    let (registry, image) = serving(&large(2));
    let (world, puller) = (World::new(), Puller::new(RegistrySettings::default()));
    let enough = AtomicBool::new(false);
    let name = Reference::parse(&registry.name("app")).expect("a name").with_default_tag();
    let given_up = || enough.load(Ordering::Relaxed);
    let options =
        PullOptions { platform: None, credentials: Credentials::Anonymous, cancelled: Cancelled::when(&given_up) };
    let pulled = world.images.pull(&puller.registries, &name, &options, &|event| {
        let came =
            |least: u64| matches!(event, PullEvent::Layer { news: LayerNews::Downloading(at, _), .. } if at > least);
        enough.fetch_or(came(PART as u64), Ordering::Relaxed);
    });
    assert_eq!(pulled.expect_err("it was given up").class(), Class::Cancelled);
    let path = blob_path("app", &image.blobs[0]);
    let before = registry.asked(&path).len();
    puller.pull(&world, &registry.name("app")).expect("a pull");
    is_whole(&world, &registry);
    let asked = registry.asked(&path).split_off(before);
    assert!(asked.len() > 1 && !asked.iter().any(|line| line.contains("bytes=0-")), "{asked:?}");
}
