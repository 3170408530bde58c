//! Pulling, from registries that tell the truth and from others.

use std::sync::Mutex;

use dhow_errdefs::{Class, Result};
use dhow_image::{Cancelled, Credentials, LayerNews, PullEvent, PullOptions, Pulled, Registries, RegistrySettings};
use dhow_oci::{Digest, Reference, media};
use tokio::runtime::Runtime;

use crate::registry::{Answer, Registry, blob_path};
use crate::world::{World, layer};

/// Who pulls, and the runtime on which bytes move.
pub(crate) struct Puller {
    pub(crate) registries: Registries,
    _runtime: Runtime,
}

impl Puller {
    pub(crate) fn new(settings: RegistrySettings) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        Self { registries: Registries::new(settings, runtime.handle().clone()), _runtime: runtime }
    }

    pub(crate) fn pull(&self, world: &World, name: &str) -> Result<Pulled> {
        self.pull_as(world, name, Credentials::Anonymous).map(|(pulled, _)| pulled)
    }

    fn pull_as(&self, world: &World, name: &str, credentials: Credentials) -> Result<(Pulled, Vec<PullEvent>)> {
        let name = Reference::parse(name).expect("a name").with_default_tag();
        let options = PullOptions { platform: None, credentials, cancelled: Cancelled::NEVER };
        let events = Mutex::new(Vec::new());
        let pulled = world.images.pull(&self.registries, &name, &options, &|event| {
            events.lock().expect("no panic").push(event);
        })?;
        Ok((pulled, events.into_inner().expect("no panic")))
    }
}

pub(crate) fn pull(world: &World, name: &str) -> Result<Pulled> {
    Puller::new(RegistrySettings::default()).pull(world, name)
}

#[test]
fn an_image_comes_whole_and_a_second_pull_brings_nothing() {
    let (world, registry) = (World::new(), Registry::start());
    let served = registry.serves("a/b", "1", &[&layer("one", "1"), &layer("two", "2")]);
    let puller = Puller::new(RegistrySettings::default());
    let name = registry.name("a/b:1");
    let (pulled, events) = puller.pull_as(&world, &name, Credentials::Anonymous).expect("a pull");
    assert_eq!((pulled.image, pulled.fresh), (Digest::of(&served.config), true));
    assert_eq!(events.last(), Some(&PullEvent::Digest(Digest::of(&served.manifest))));
    let complete = |event: &&PullEvent| matches!(event, PullEvent::Layer { news: LayerNews::Complete, .. });
    assert_eq!(events.iter().filter(complete).count(), 2);
    let details = world.images.inspect(&name).expect("it is here");
    assert_eq!(details.digests, [format!("{}@{}", registry.name("a/b"), Digest::of(&served.manifest))]);
    assert_eq!(world.contents(), (4, 2, 1));

    let asked = registry.asked("GET").len();
    assert!(!puller.pull(&world, &name).expect("a pull").fresh);
    assert_eq!(registry.asked("GET").len(), asked, "only the digest was asked for");
    let by_digest = format!("{}@{}", registry.name("a/b"), Digest::of(&served.manifest));
    assert_eq!(puller.pull(&world, &by_digest).expect("a pull").image, pulled.image);
}

#[test]
fn what_is_here_already_is_not_fetched() {
    let (world, registry) = (World::new(), Registry::start());
    let base = layer("base", "same");
    let first = registry.serves("one", "latest", &[&base]);
    registry.serves("two", "latest", &[&base, &layer("top", "other")]);
    let puller = Puller::new(RegistrySettings::default());
    puller.pull(&world, &registry.name("one")).expect("a pull");
    let (_, events) = puller.pull_as(&world, &registry.name("two"), Credentials::Anonymous).expect("a pull");
    let blob = Digest::of(&first.blobs[0]);
    assert!(events.contains(&PullEvent::Layer { blob, news: LayerNews::Exists }));
    assert_eq!(registry.asked(&blob.to_string()).len(), 1);
}

#[test]
fn of_an_index_the_image_for_this_machine_is_taken() {
    let (world, registry) = (World::new(), Registry::start());
    let served = registry.serves("app", "plain", &[&layer("file", "x")]);
    let index = registry.serves_index("app", "latest", &served);
    let pulled = pull(&world, &registry.name("app")).expect("a pull");
    assert_eq!(pulled.image, Digest::of(&served.config));
    let digests = world.images.inspect(&registry.name("app")).expect("it is here").digests;
    assert_eq!(digests, [format!("{}@{index}", registry.name("app"))]);
}

#[test]
fn a_mirror_stands_in_for_the_default_registry() {
    let (world, registry, empty) = (World::new(), Registry::start(), Registry::start());
    registry.serves("library/app", "latest", &[&layer("file", "x")]);
    let mirrors = vec![empty.address(), registry.address()];
    let puller = Puller::new(RegistrySettings { mirrors, ..RegistrySettings::default() });
    puller.pull(&world, "app").expect("a pull from the second mirror");
    assert!(world.images.resolve("app:latest").is_ok());
    assert!(!empty.asked("library/app").is_empty());
}

#[test]
fn a_transfer_that_was_cut_goes_on_where_it_was() {
    let (world, registry) = (World::new(), Registry::start());
    let served = registry.serves("app", "latest", &[&layer("file", &"some text ".repeat(500))]);
    let blob = &served.blobs[0];
    let whole = Answer::Body("application/octet-stream", blob.clone());
    registry.says(&blob_path("app", blob), [Answer::Cut(blob.clone(), 10), whole]);
    pull(&world, &registry.name("app")).expect("a pull");
    assert_eq!(registry.asked("bytes=10-").len(), 1);
}

/// Bytes that gzip cannot make smaller.
fn noise(length: usize) -> String {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b'0' + (state >> 26) as u8)
    };
    (0..length).map(|_| next()).collect()
}

/// Something in the way that cuts every connection after a while: each gains something, and in the end all has come.
#[test]
fn a_transfer_that_is_cut_again_and_again_comes_whole() {
    const BETWEEN_CUTS: usize = 100 << 10;
    let (world, registry) = (World::new(), Registry::start());
    let served = registry.serves("app", "latest", &[&layer("file", &noise(1_500_000))]);
    let blob = &served.blobs[0];
    let cuts = blob.len() / BETWEEN_CUTS;
    assert!(cuts > 9, "{} bytes", blob.len());
    registry.says(&blob_path("app", blob), [Answer::CutPart(blob.clone(), BETWEEN_CUTS)]);
    pull(&world, &registry.name("app")).expect("a pull");
    assert_eq!(registry.asked(&blob_path("app", blob)).len(), cuts + 1, "no byte twice");
}

/// One that gains next to nothing each time would never end.
#[test]
fn a_transfer_that_is_cut_after_a_few_bytes_ends() {
    let (world, registry) = (World::new(), Registry::start());
    let served = registry.serves("app", "latest", &[&layer("file", &noise(50_000))]);
    let blob = &served.blobs[0];
    registry.says(&blob_path("app", blob), [Answer::CutPart(blob.clone(), 100)]);
    let error = pull(&world, &registry.name("app")).expect_err("it does not come");
    assert_eq!(error.class(), Class::Unavailable, "{error}");
    assert_eq!(registry.asked(&blob_path("app", blob)).len(), 6);
}

/// The same where each connection begins anew: it is tried as often, and not given up at the first cut.
#[test]
fn a_registry_without_ranges_that_cuts_is_asked_again() {
    let (world, registry) = (World::new(), Registry::start());
    let served = registry.serves("app", "latest", &[&layer("file", &noise(50_000))]);
    let blob = &served.blobs[0];
    let whole = Answer::Whole(blob.clone());
    let cut = |at| Answer::Cut(blob.clone(), at);
    registry.says(&blob_path("app", blob), [cut(20_000), cut(10_000), cut(100), whole]);
    pull(&world, &registry.name("app")).expect("a pull");
}

#[test]
fn trouble_that_passes_is_waited_for() {
    let (world, registry) = (World::new(), Registry::start());
    let served = registry.serves("app", "latest", &[&layer("file", "x")]);
    let manifest = Answer::Body(media::OCI_MANIFEST, served.manifest.clone());
    let busy = Answer::Status(429, "Retry-After: 0\r\n".into(), String::new());
    let broken = Answer::Status(502, String::new(), String::new());
    registry.says("/v2/app/manifests/latest", [busy, broken, manifest]);
    pull(&world, &registry.name("app")).expect("a pull");
}

/// RFC 9110 section 10.2.3.
#[test]
fn a_registry_that_wants_to_be_left_alone_is_left_alone() {
    let (world, registry) = (World::new(), Registry::start());
    let served = registry.serves("app", "latest", &[&layer("file", "x")]);
    let manifest = Answer::Body(media::OCI_MANIFEST, served.manifest.clone());
    let busy = Answer::Status(429, "Retry-After: 1\r\n".into(), String::new());
    registry.says("/v2/app/manifests/latest", [busy, manifest]);
    let begin = std::time::Instant::now();
    pull(&world, &registry.name("app")).expect("a pull");
    assert!(begin.elapsed().as_millis() >= 1000);
}

#[test]
fn lies_are_found_out_and_leave_nothing() {
    let content = layer("file", &"some text ".repeat(500));
    let lies: [fn(&[u8]) -> Answer; 4] = [
        |blob| Answer::Body("application/octet-stream", blob.iter().map(|byte| byte ^ 1).collect()),
        |blob| Answer::Status(200, String::new(), "x".repeat(blob.len() / 2)),
        |_| Answer::Endless,
        |_| Answer::Status(302, "Location: /v2/app/loop\r\n".into(), String::new()),
    ];
    for lie in lies {
        let (world, registry) = (World::new(), Registry::start());
        let served = registry.serves("app", "latest", &[&content]);
        registry.says(&blob_path("app", &served.blobs[0]), [lie(&served.blobs[0])]);
        registry.says("/v2/app/loop", [Answer::Status(302, "Location: /v2/app/loop\r\n".into(), String::new())]);
        let error = pull(&world, &registry.name("app")).expect_err("a lie");
        assert!(error.to_string().starts_with("pull layer sha256:"), "{error}");
        world.store.wait_for_deletions();
        assert_eq!(world.contents(), (0, 0, 0), "{error}");
    }
}

#[test]
fn a_manifest_that_is_not_what_was_asked_for_is_refused() {
    let (world, registry) = (World::new(), Registry::start());
    let served = registry.serves("app", "latest", &[&layer("file", "x")]);
    let wanted = Digest::of(b"another");
    registry.says(&format!("/v2/app/manifests/{wanted}"), [Answer::Body(media::OCI_MANIFEST, served.manifest.clone())]);
    let error = pull(&world, &format!("{}@{wanted}", registry.name("app"))).expect_err("not that one");
    assert_eq!(error.class(), Class::DataLoss);
    registry.says("/v2/app/manifests/huge", [Answer::Endless]);
    let error = pull(&world, &registry.name("app:huge")).expect_err("no end");
    assert_eq!(error.class(), Class::ResourceExhausted, "{error}");
}

#[test]
fn who_asks_is_told_to_the_token_server() {
    let (world, registry) = (World::new(), Registry::start());
    let served = registry.serves("app", "latest", &[&layer("file", "x")]);
    let challenge = format!(r#"Bearer realm="{}/token",service="reg""#, registry.address());
    let manifest = Answer::Body(media::OCI_MANIFEST, served.manifest.clone());
    let guarded = Answer::For("Bearer good".into(), challenge, Box::new(manifest));
    registry.says("/v2/app/manifests/latest", [guarded]);
    let token = Answer::Body("application/json", br#"{"token":"good"}"#.to_vec());
    let busy = Answer::Status(503, "Retry-After: 0\r\n".into(), String::new());
    // `me:secret` in the alphabet of RFC 4648.
    let known = Answer::For("Basic bWU6c2VjcmV0".into(), "Basic realm=x".into(), Box::new(token));
    registry.says("/token", [busy.clone(), known.clone()]);
    let puller = Puller::new(RegistrySettings::default());
    let me = |password: &str| Credentials::Password { username: "me".into(), password: password.into() };
    assert!(puller.pull_as(&world, &registry.name("app"), me("wrong")).is_err());
    // One in trouble is asked again.
    registry.says("/token", [busy, known]);
    puller.pull_as(&world, &registry.name("app"), me("secret")).expect("a pull");
    assert!(registry.asked("/token").iter().any(|line| line.contains("scope=repository%3Aapp%3Apull")));
}

/// An identity token is shown by POST, and to who does not know that not at all: as with Docker's engine, which stops there.
#[test]
fn an_identity_token_goes_to_no_server_that_wants_a_password() {
    for status in [400, 401, 404, 405] {
        let (world, registry) = (World::new(), Registry::start());
        let challenge = format!("WWW-Authenticate: Bearer realm=\"{}/token\"\r\n", registry.address());
        registry.says("/v2/app/manifests/latest", [Answer::Status(401, challenge, String::new())]);
        registry.says("/token", [Answer::Status(status, String::new(), String::new())]);
        let puller = Puller::new(RegistrySettings::default());
        let error = puller.pull_as(&world, &registry.name("app"), Credentials::IdentityToken("kept".into()));
        assert!(error.is_err(), "{status}");
        assert_eq!(registry.asked("/token"), ["POST /token "], "{status}");
    }
}

#[test]
fn refusals_are_told_in_dockers_words() {
    let (world, registry) = (World::new(), Registry::start());
    let error = pull(&world, &registry.name("app")).expect_err("nothing there");
    assert_eq!(error.class(), Class::NotFound);
    assert!(error.to_string().starts_with(&format!("manifest for {}:latest not found", registry.name("app"))));
    registry
        .says("/v2/app/manifests/latest", [Answer::Status(401, "WWW-Authenticate: Basic\r\n".into(), String::new())]);
    let error = pull(&world, &registry.name("app")).expect_err("nobody knows us");
    assert!(error.to_string().ends_with("no basic auth credentials"), "{error}");
    let error = pull(&world, "127.0.0.1:1/app").expect_err("nobody there");
    assert_eq!(error.class(), Class::Unavailable);
    assert!(error.to_string().ends_with("connection refused"), "{error}");
}

#[test]
fn pulls_at_the_same_time_fetch_each_blob_once() {
    let (world, registry) = (World::new(), Registry::start());
    let served = registry.serves("app", "latest", &[&layer("one", "1"), &layer("two", "2")]);
    let puller = Puller::new(RegistrySettings::default());
    std::thread::scope(|scope| {
        let pulls: Vec<_> = (0..4).map(|_| scope.spawn(|| puller.pull(&world, &registry.name("app")))).collect();
        for pull in pulls {
            pull.join().expect("no panic").expect("a pull");
        }
    });
    for blob in &served.blobs {
        assert_eq!(registry.asked(&Digest::of(blob).to_string()).len(), 1);
    }
}
