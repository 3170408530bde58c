//! Pushing to registries that have trouble.

use std::thread;
use std::time::{Duration, Instant};

use dhow_errdefs::Result;
use dhow_image::{Cancelled, Credentials, PushCompression, PushOptions, RegistrySettings};
use dhow_oci::{Digest, Reference};

use crate::pull::Puller;
use crate::registry::{Answer, Registry};
use crate::world::World;

fn status(code: u16, header: &str) -> Answer {
    Answer::Status(code, header.to_owned(), String::new())
}

/// An upload at that place, of which so many bytes have arrived.
fn arrived(code: u16, place: &str, range: &str) -> Answer {
    status(code, &format!("Location: {place}\r\nRange: {range}\r\n"))
}

/// A push that has ended, and what may still be going on of it.
struct Pushed {
    registry: Registry,
    came_of_it: Result<Digest>,
    _puller: Puller,
}

/// A world with an image, and a registry that has nothing and says `troubles` where the layer is sent to.
fn push(troubles: impl IntoIterator<Item = Answer>) -> Pushed {
    let (world, registry) = (World::new(), Registry::start());
    world.import("app", "some contents");
    let name = Reference::parse(&registry.name("app:1")).expect("a name");
    world.images.tag("app", &name).expect("tagged");
    registry.says("/v2/", [status(200, "")]);
    let offers = ["/v2/app/layer", "/v2/app/config"].map(|place| arrived(202, place, "0-0"));
    registry.says("/v2/app/blobs/uploads/", offers);
    registry.says("/v2/app/layer", troubles);
    registry.says("/v2/app/config", [arrived(201, "/v2/app/config", "0-0")]);
    registry.says("/v2/app/manifests/1", [status(201, "")]);
    let puller = Puller::new(RegistrySettings::default());
    let (compression, credentials) = (PushCompression::Gzip, Credentials::Anonymous);
    let options = PushOptions { platform: None, compression, credentials, cancelled: Cancelled::NEVER };
    let came_of_it = world.images.push(&puller.registries, &name, &options, &|_| {});
    Pushed { registry, came_of_it, _puller: puller }
}

/// Busy, broken, and gone in the middle: the layer is sent again, and then it is there.
#[test]
fn trouble_that_passes_is_waited_for() {
    for trouble in [429, 500, 503] {
        let pushed = push([
            status(trouble, "Retry-After: 0\r\n"),
            arrived(204, "/v2/app/layer", "0-0"),
            arrived(201, "/v2/app/layer", "0-0"),
        ]);
        assert!(pushed.came_of_it.is_ok(), "{trouble}: {:?}", pushed.came_of_it);
        assert_eq!(pushed.registry.asked("PUT /v2/app/manifests/1").len(), 1);
    }
}

#[test]
fn a_registry_that_stays_broken_is_told_and_gets_no_manifest() {
    let pushed = push([status(507, "")]);
    assert!(pushed.came_of_it.is_err());
    assert!(pushed.registry.asked("PUT /v2/app/manifests").is_empty(), "an image without its layers");
    let begin = Instant::now();
    while pushed.registry.asked("DELETE /v2/app/layer").is_empty() {
        assert!(begin.elapsed() < Duration::from_secs(10), "what was begun is taken back");
        thread::sleep(Duration::from_millis(5));
    }
}
