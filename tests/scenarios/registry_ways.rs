//! The ways to a registry: over TLS with certificates of both sides, without security, through a proxy, by a mirror.

use std::fs;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use dhow_testkit::{Gate, Registry, TokenServer, World, finish, isolate};
use tempfile::TempDir;

use crate::certificates::Certificates;
use crate::{DHOW, busybox};

/// One that does not look like this host's own, which are trusted anyway (RFC 5737).
const ELSEWHERE: &str = "192.0.2.7";

/// Gives the test's own network that address.
fn move_elsewhere() {
    isolate();
    finish(Command::new("ip").args(["address", "replace", &format!("{ELSEWHERE}/32"), "dev", "lo"])).exits(0);
}

/// A world whose configuration file is in a folder where `certs.d` may be.
fn world_with(flags: &[&str]) -> (World, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("daemon.json");
    fs::write(&file, "{}").expect("written");
    let world = World::with_flags(DHOW, &[&["--config-file", &file.display().to_string()], flags].concat());
    world.import_busybox("busybox");
    (world, folder)
}

/// One with an image to be pushed to a registry, and the folder for that registry's certificates.
fn world_with_place_for(registry: &Registry) -> (World, TempDir, PathBuf, String) {
    let name = registry.name("app:1");
    let (world, folder) = world_with(&[]);
    world.dhow(&["tag", "busybox", &name]).exits(0);
    let place = folder.path().join("certs.d").join(registry.address());
    fs::create_dir_all(&place).expect("made");
    (world, folder, place, name)
}

#[test]
fn certificates_of_a_registry_lie_where_docker_has_them() {
    move_elsewhere();
    let certificates = Certificates::new();
    let registry = Registry::secure(ELSEWHERE, &certificates.path("engine"));
    let (world, _folder, place, name) = world_with_place_for(&registry);
    let copy = |from: &str, to: &str| fs::copy(certificates.path(from), place.join(to)).expect("copied");
    world.dhow(&["push", &name]).exits(1).says("certificate");
    copy("ca.pem", "ca.crt");
    world.dhow(&["push", &name]).exits(1).says("certificate");
    copy("client/cert.pem", "client.cert");
    // A certificate without its key is no certificate.
    world.dhow(&["push", &name]).exits(1).says("client.key");
    copy("client/key.pem", "client.key");
    world.dhow(&["push", &name]).exits(0);
    world.dhow(&["rmi", &name, "busybox"]).exits(0);
    for client in [World::dhow, World::docker] {
        client(&world, &["pull", &name]).exits(0);
        client(&world, &["rmi", &name]).exits(0);
    }
}

#[test]
fn a_certificate_that_signs_itself_is_trusted_when_it_is_given() {
    move_elsewhere();
    let certificates = Certificates::new();
    let registry = Registry::secure(ELSEWHERE, &certificates.self_signed());
    let (world, _folder, place, name) = world_with_place_for(&registry);
    let copy = |from: &str, to: &str| fs::copy(certificates.path(from), place.join(to)).expect("copied");
    copy("client/cert.pem", "client.cert");
    copy("client/key.pem", "client.key");
    world.dhow(&["push", &name]).exits(1).says("certificate");
    copy("self/cert.pem", "ca.crt");
    world.dhow(&["push", &name]).exits(0);
}

/// What is shown to a registry over TLS is not for everybody on the way to a token server.
#[test]
fn a_password_goes_to_no_token_server_without_security() {
    move_elsewhere();
    let (certificates, tokens) = (Certificates::new(), TokenServer::start());
    let registry = Registry::secure_with_tokens(ELSEWHERE, &certificates.path("engine"), &tokens);
    let (world, _folder, place, name) = world_with_place_for(&registry);
    for (from, to) in [("ca.pem", "ca.crt"), ("client/cert.pem", "client.cert"), ("client/key.pem", "client.key")] {
        fs::copy(certificates.path(from), place.join(to)).expect("copied");
    }
    // Without one there is nothing to hide.
    world.dhow(&["push", &name]).exits(1).says("denied: requested access to the resource is denied");
    let asked = tokens.asked("").len();
    assert!(asked > 0);
    let login = world.dhow(&["login", "-u", "me", "-p", "secret", &registry.address()]);
    login.exits(1).says("where everybody can read it");
    assert_eq!(tokens.asked("").len(), asked);
}

/// What a token server shows is judged, and what is shown to it chosen, by what is said of it; where nothing is, by what is
/// said of the registry, as in Docker. One that is reached says that it has no such page.
#[test]
fn a_token_server_is_reached_by_what_is_said_of_it() {
    move_elsewhere();
    let (certificates, open) = (Certificates::new(), Registry::start());
    let server = Registry::secure(ELSEWHERE, &certificates.path("engine"));
    let realm = format!("https://{}/token", server.address());
    let give = |place: &Path| {
        fs::create_dir_all(place).expect("made");
        for (from, to) in [("ca.pem", "ca.crt"), ("client/cert.pem", "client.cert"), ("client/key.pem", "client.key")] {
            fs::copy(certificates.path(from), place.join(to)).expect("copied");
        }
    };
    // A registry of this host, of which any certificate is taken.
    let challenge = format!("WWW-Authenticate: Bearer realm=\"{realm}\"\r\nContent-Length: 0\r\nConnection: close\r\n");
    let local = Gate::before(&open, move |_, near| {
        near.write_all(format!("HTTP/1.1 401 Unauthorized\r\n{challenge}\r\n").as_bytes()).map(|()| true)
    });
    let (world, folder) = world_with(&[]);
    let pull = |name: &str, words: &str| {
        world.dhow(&["pull", name]).exits(1).says(words);
    };
    pull(&local.name("app:1"), "certificate signed by unknown authority");
    give(&folder.path().join("certs.d").join(server.address()));
    pull(&local.name("app:1"), "404 Not Found");
    fs::remove_dir_all(folder.path().join("certs.d")).expect("removed");
    let registry = Registry::secure_with_realm(ELSEWHERE, &certificates.path("engine"), &realm);
    give(&folder.path().join("certs.d").join(registry.address()));
    pull(&registry.name("app:1"), "404 Not Found");
    // It takes any certificate then, and has none to show.
    let (lenient, _folder) = world_with(&["--insecure-registry", &server.address()]);
    lenient.dhow(&["pull", &local.name("app:1")]).exits(1).says("remote error: tls");
}

#[test]
fn a_registry_without_security_is_used_where_the_engine_is_told_to() {
    move_elsewhere();
    let registry = Registry::at(ELSEWHERE);
    let name = registry.name("app:1");
    let strict = busybox();
    strict.dhow(&["tag", "busybox", &name]).exits(0);
    strict.dhow(&["push", &name]).exits(1).says("server gave HTTP response to HTTPS client");
    for place in [registry.address(), format!("{ELSEWHERE}/24")] {
        let (lenient, _folder) = world_with(&["--insecure-registry", &place]);
        lenient.dhow(&["tag", "busybox", &name]).exits(0);
        lenient.dhow(&["push", &name]).exits(0);
        lenient.dhow(&["rmi", &name]).exits(0);
        lenient.dhow(&["pull", &name]).exits(0);
    }
}

/// Passes every connection on to a registry, and counts them.
fn proxy(registry: &Registry) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("bound"));
    let (count, target) = (Arc::new(AtomicUsize::new(0)), registry.address());
    let counted = Arc::clone(&count);
    // It ends with the test's process; what it waits for costs nothing.
    thread::spawn(move || {
        for near in listener.incoming().flatten() {
            counted.fetch_add(1, Ordering::Relaxed);
            let Ok(far) = TcpStream::connect(&target) else { continue };
            // A server takes the whole address that a proxy is asked for (RFC 9112, section 3.2.2).
            pass_on(near.try_clone(), far.try_clone());
            pass_on(far.try_clone(), near.try_clone());
        }
    });
    (address, count)
}

fn pass_on(from: std::io::Result<TcpStream>, to: std::io::Result<TcpStream>) {
    if let (Ok(mut from), Ok(mut to)) = (from, to) {
        thread::spawn(move || {
            drop(std::io::copy(&mut from, &mut to));
            drop(to.shutdown(std::net::Shutdown::Both));
        });
    }
}

#[test]
fn a_proxy_leads_to_registries_but_for_those_that_are_spared() {
    let registry = Registry::start();
    let (address, asked) = proxy(&registry);
    // Nobody is at this address but by the proxy.
    let host = format!("{ELSEWHERE}:5000");
    let name = format!("{host}/app:1");
    let flags = ["--http-proxy", &address, "--insecure-registry", &host];
    let (world, _folder) = world_with(&flags);
    world.dhow(&["tag", "busybox", &name]).exits(0);
    world.dhow(&["push", &name]).exits(0);
    world.dhow(&["rmi", &name, "busybox"]).exits(0);
    world.dhow(&["pull", &name]).exits(0);
    let before = asked.load(Ordering::Relaxed);
    assert!(before > 0);
    let (spared, _folder) = world_with(&[&flags[..], &["--no-proxy", ELSEWHERE]].concat());
    spared.dhow(&["pull", &name]).exits(1);
    assert_eq!(asked.load(Ordering::Relaxed), before);
}

#[test]
fn a_mirror_is_asked_before_the_registry_that_has_no_name() {
    let registry = Registry::start();
    let maker = busybox();
    let there = registry.name("library/app:1");
    maker.dhow(&["tag", "busybox", &there]).exits(0);
    maker.dhow(&["push", &there]).exits(0);
    let mirror = format!("http://{}", registry.address());
    let (world, folder) = world_with(&["--registry-mirror", &mirror]);
    for client in [World::dhow, World::docker] {
        client(&world, &["pull", "app:1"]).exits(0);
        client(&world, &["rmi", "app:1"]).exits(0);
    }
    assert!(world.dhow(&["info"]).ok().contains(&mirror));
    drop(world);
    // The same from the file.
    let file = folder.path().join("daemon.json");
    fs::write(&file, format!("{{\"registry-mirrors\":[\"{mirror}\"]}}")).expect("written");
    let world = World::with_flags(DHOW, &["--config-file", &file.display().to_string()]);
    world.dhow(&["run", "--rm", "--network", "none", "app:1", "true"]).exits(0);
}
