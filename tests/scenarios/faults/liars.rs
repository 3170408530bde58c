//! Registries that lie, break and never end, all at once: each pull ends in words that say why, or in an image; who pulls
//! from a better one at that time notices nothing.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dhow_testkit::{Gate, Registry, Request, World, eventually, finish, finish_with_input, peak_memory};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::pulls::{parts, registry_with_an_image};
use crate::{DHOW, busybox, digest};

/// Memory that the engine may take at any time, in KiB.
const BOUND: u64 = 200 << 10;

/// What is asked of a registry that lies.
#[derive(Debug, Clone, Copy)]
enum Lie {
    Bytes,
    Length,
    Endless,
    Circle,
    HugeManifest,
    Broken,
    Foreign,
    /// One answer that passes.
    Busy,
    /// A transfer that is cut off in its middle.
    Cut,
}

/// Every lie, and what the client says of it; nothing where the image comes.
const LIES: [(Lie, Option<&str>); 9] = [
    (Lie::Bytes, Some("has digest sha256:")),
    (Lie::Length, Some("ended too early")),
    (Lie::Endless, Some("has digest sha256:")),
    (Lie::Circle, Some("too many redirects")),
    (Lie::HugeManifest, Some("answers with more than")),
    (Lie::Broken, Some("500 Internal Server Error")),
    (Lie::Foreign, Some("is a foreign layer, to be had only from its maker")),
    (Lie::Busy, None),
    (Lie::Cut, None),
];

/// The document that a name stands for in its registry.
fn manifest(world: &World, name: &str) -> Value {
    serde_json::from_str(&world.dhow(&["manifest", "inspect", name]).ok()).expect("JSON")
}

/// Digest and size of the largest layer.
fn largest(manifest: &Value) -> (String, usize) {
    let layers = manifest["layers"].as_array().expect("layers").iter();
    let layer = layers.max_by_key(|layer| layer["size"].as_u64()).expect("a layer");
    let digest = layer["digest"].as_str().expect("a digest").to_owned();
    (digest, usize::try_from(layer["size"].as_u64().expect("a size")).expect("it fits"))
}

fn say(near: &mut TcpStream, status: &str, more: &str, body: &[u8]) -> io::Result<bool> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\n{more}Content-Length: {length}\r\nConnection: close\r\n\r\n");
    near.write_all(head.as_bytes())?;
    near.write_all(body)?;
    Ok(true)
}

fn cut(near: &mut TcpStream, size: usize) -> io::Result<bool> {
    near.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n").as_bytes()).map(|()| true)
}

/// Until the client has enough.
fn without_end(near: &mut TcpStream) -> io::Result<bool> {
    near.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
    loop {
        near.write_all(&[7; 4096])?;
    }
}

impl Lie {
    /// A registry that tells the truth but for this.
    fn told_by(self, registry: &Registry, manifest: &Value) -> Gate {
        let ((digest, size), document) = (largest(manifest), foreign(manifest));
        let times = AtomicUsize::new(0);
        Gate::before(registry, move |request, near| {
            let layer = request.target.ends_with(&digest);
            let top = request.method == "GET" && request.target.ends_with("/manifests/1");
            let first = (layer && times.fetch_add(1, Ordering::SeqCst) == 0).then_some(());
            match self {
                Self::Bytes if layer => say(near, "200 OK", "", &vec![7; size]),
                Self::Length if layer => say(near, "200 OK", "", &vec![7; size / 2]),
                Self::Endless if layer => without_end(near),
                Self::Circle if layer => say(near, "302 Found", &format!("Location: {}\r\n", request.target), b""),
                Self::HugeManifest if top => without_end(near),
                Self::Broken if layer => say(near, "500 Internal Server Error", "", b""),
                Self::Foreign if top => say(near, "200 OK", &kind(&document), document.to_string().as_bytes()),
                Self::Busy if first.is_some() => say(near, "429 Too Many Requests", "Retry-After: 1\r\n", b""),
                Self::Cut if first.is_some() => cut(near, size),
                _ => Ok(false),
            }
        })
    }
}

fn kind(document: &Value) -> String {
    format!("Content-Type: {}\r\n", document["mediaType"].as_str().expect("it has one"))
}

/// The same image with a layer that only its maker gives.
fn foreign(manifest: &Value) -> Value {
    let mut document = manifest.clone();
    document["layers"][0]["mediaType"] = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip".into();
    document["layers"][0]["urls"] = json!(["http://192.0.2.1/layer"]);
    document
}

fn begin(world: &World, words: &[&str]) -> std::process::Child {
    let mut command = world.command(words);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts")
}

#[test]
fn registries_that_lie_are_found_out_and_hurt_nobody_else() {
    let (registry, name) = registry_with_an_image();
    let world = World::new(DHOW);
    let manifest = manifest(&world, &name);
    let (digest, size) = largest(&manifest);
    // This one sends a byte of the layer that everybody wants, and then nothing.
    let drip = Gate::before(&registry, move |request: &Request, near: &mut TcpStream| {
        if !request.target.ends_with(&digest) {
            return Ok(false);
        }
        near.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n\x1f").as_bytes())?;
        near.read(&mut [0]).map(|_| true)
    });
    let mut waiting = begin(&world, &["pull", "-q", &drip.name("app:1")]);
    let wanted = largest(&manifest).0;
    eventually("the drip has begun", || !drip.asked(&wanted).is_empty());
    let gates = LIES.map(|(lie, _)| lie.told_by(&registry, &manifest));
    let pulls: Vec<_> = gates.iter().map(|gate| begin(&world, &["pull", "-q", &gate.name("app:1")])).collect();
    // The same layers from where they are good.
    world.dhow(&["pull", "-q", &name]).exits(0);
    assert_eq!(world.dhow(&["run", "--rm", "--network", "none", &name, "cat", "/end"]).ok(), "whole");
    for (pull, (lie, words)) in pulls.into_iter().zip(LIES) {
        let output = pull.wait_with_output().expect("our child");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.success(), words.is_none(), "{lie:?}: {said}");
        assert!(said.contains(words.unwrap_or_default()), "{lie:?}: {said}");
    }
    assert!(waiting.try_wait().expect("our child").is_none(), "it waits for its own registry");
    kill_process(Pid::from_child(&waiting), Signal::KILL).expect("it is ours");
    waiting.wait().expect("our child");
    let most = peak_memory(world.engine_pid().expect("it runs"));
    assert!(most < BOUND, "{most} KiB");
    world.dhow(&["image", "prune", "-af"]).exits(0);
    assert!(world.dhow(&["system", "check", "--deep"]).ok().ends_with("Nothing is damaged"));
    world.is_in_order();
}

/// A registry that takes a question and never answers is left as soon as nobody waits for it any more.
#[test]
fn a_pull_that_waits_for_an_answer_ends_with_its_client() {
    let (registry, name) = registry_with_an_image();
    let world = World::new(DHOW);
    let left = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&left);
    let gate = Gate::before(&registry, move |_, near| {
        let read = near.read(&mut [0]).map(|_| true);
        counted.fetch_add(1, Ordering::SeqCst);
        read
    });
    let mut pull = begin(&world, &["pull", "-q", &gate.name("app:1")]);
    eventually("it is asked", || !gate.asked("/manifests/").is_empty());
    kill_process(Pid::from_child(&pull), Signal::KILL).expect("it is ours");
    pull.wait().expect("our child");
    eventually("the engine has left", || left.load(Ordering::SeqCst) > 0);
    world.dhow(&["pull", "-q", &name]).exits(0);
    assert_eq!(gate.asked("").len(), 1, "nobody wants to know it any more");
    world.dhow(&["rmi", &name]).exits(0);
    world.is_in_order();
}

/// The same for what is pushed, at each question at which the registry may fall silent; what was begun is taken back.
#[test]
fn a_push_that_waits_for_an_answer_ends_with_its_client() {
    let (world, registry) = (busybox(), Registry::start());
    for (silent_at, signal) in [("GET /v2/", Signal::INT), ("POST", Signal::KILL), ("PUT", Signal::INT)] {
        let left = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&left);
        let gate = Gate::before(&registry, move |request, near| {
            if !format!("{} {}", request.method, request.target).starts_with(silent_at) {
                return Ok(false);
            }
            // Whatever comes, until nothing can come any more.
            let read = io::copy(near, &mut io::sink()).map(|_| true);
            counted.fetch_add(1, Ordering::SeqCst);
            read
        });
        let name = gate.name("app:1");
        world.dhow(&["tag", "busybox", &name]).exits(0);
        let mut push = begin(&world, &["push", "-q", &name]);
        eventually("it is asked", || !gate.asked(silent_at).is_empty());
        kill_process(Pid::from_child(&push), signal).expect("it is ours");
        push.wait().expect("our child");
        let asked = gate.asked(silent_at).len();
        eventually("the engine has left", || left.load(Ordering::SeqCst) == asked);
        if silent_at == "PUT" {
            eventually("what was begun is taken back", || !gate.asked("DELETE /v2/app/blobs/uploads/").is_empty());
        }
        world.dhow(&["rmi", &name]).exits(0);
    }
    world.dhow(&["tag", "busybox", &registry.name("app:1")]).exits(0);
    world.dhow(&["push", "-q", &registry.name("app:1")]).exits(0);
    world.dhow(&["rmi", "busybox", &registry.name("app:1")]).exits(0);
    world.is_in_order();
}

/// The head of a file of a terabyte and more than a gigabyte of zeros of it, in little, as gzip members one after the other.
fn bomb() -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_path("zeros").expect("short");
    header.set_mode(0o644);
    header.set_size(1 << 40);
    header.set_cksum();
    let packed = |bytes: Vec<u8>| {
        finish_with_input(Command::new("gzip").args(["-n", "-9"]), bytes).exits(0).stdout_bytes().to_vec()
    };
    [packed(header.as_bytes().to_vec()), packed(vec![0; 8 << 20]).repeat(200)].concat()
}

#[test]
fn a_layer_that_becomes_a_thousand_times_as_large_is_refused() {
    let registry = Registry::start();
    let bomb = bomb();
    let config = json!({"architecture": "amd64", "os": "linux", "config": {},
        "rootfs": {"type": "layers", "diff_ids": [digest(b"whatever")]}});
    let described = |kind: &str, bytes: &[u8]| json!({"mediaType": kind, "size": bytes.len(), "digest": digest(bytes)});
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": described("application/vnd.oci.image.config.v1+json", config.to_string().as_bytes()),
        "layers": [described("application/vnd.oci.image.layer.v1.tar+gzip", &bomb)],
    });
    let blobs = [config.to_string().into_bytes(), bomb].map(|bytes| (digest(&bytes), bytes));
    let gate = Gate::before(&registry, move |request, near| {
        if request.target.ends_with("/manifests/1") {
            return say(near, "200 OK", &kind(&manifest), manifest.to_string().as_bytes());
        }
        match blobs.iter().find(|(digest, _)| request.target.ends_with(digest.as_str())) {
            Some((_, bytes)) => say(near, "200 OK", "", bytes),
            None => Ok(false),
        }
    });
    let world = World::new(DHOW);
    let before = world.dhow(&["system", "df"]).ok();
    world.dhow(&["pull", "-q", &gate.name("app:1")]).exits(1).says("more than 400 times as large as it is");
    assert_eq!(world.dhow(&["system", "df"]).ok(), before);
    assert_eq!(parts(&world), 0);
    world.is_in_order();
}

/// A manifest for another digest than was asked for.
#[test]
fn another_manifest_than_was_asked_for_is_refused() {
    let (registry, name) = registry_with_an_image();
    let world = World::new(DHOW);
    let other = manifest(&world, &name).to_string();
    let gate = Gate::before(&registry, move |request, near| match request.target.contains("/manifests/sha256:") {
        true => say(near, "200 OK", "Content-Type: application/vnd.oci.image.manifest.v1+json\r\n", other.as_bytes()),
        false => Ok(false),
    });
    let wanted = gate.name(&format!("app@{}", digest(b"another")));
    world.dhow(&["pull", &wanted]).exits(1).says("manifest verification failed for digest");
    assert_eq!(world.dhow(&["images", "-aq"]).ok(), "");
    finish(&mut world.command(&["system", "check", "--deep"])).exits(0);
}
