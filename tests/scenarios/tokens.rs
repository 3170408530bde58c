//! Registries that want tokens: Debian's with a token server, for whoever says nothing, for who logged in, and when a token
//! runs out.

use std::fs;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dhow_testkit::{Gate, Outcome, Registry, TokenServer, World, finish, install_credential_helper};

use crate::busybox;

const CLIENTS: [fn(&World, &[&str]) -> Outcome; 2] = [World::dhow, World::docker];

fn log_in(world: &World, registry: &Registry) {
    world.dhow(&["login", "-u", "me", "-p", "secret", &registry.address()]).exits(0);
}

/// What `config.json` has of a registry.
fn kept(world: &World, registry: &Registry) -> serde_json::Value {
    let text = fs::read_to_string(world.path().join(".docker/config.json")).expect("written");
    let config: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    config["auths"][registry.address()].clone()
}

#[test]
fn whoever_says_nothing_gets_what_is_open() {
    let tokens = TokenServer::start();
    let (world, registry) = (busybox(), Registry::with_tokens(&tokens));
    let names = ["open/app:1", "closed/app:1"].map(|name| registry.name(name));
    log_in(&world, &registry);
    for name in &names {
        world.dhow(&["tag", "busybox", name]).exits(0);
        world.dhow(&["push", name]).exits(0);
        world.dhow(&["rmi", name]).exits(0);
    }
    world.dhow(&["logout", &registry.address()]).exits(0);
    let [open, closed] = &names;
    for client in CLIENTS {
        client(&world, &["pull", open]).exits(0);
        client(&world, &["push", open]).exits(1).says("denied: requested access to the resource is denied");
        client(&world, &["rmi", open]).exits(0);
        let refused = client(&world, &["pull", closed]);
        let name = closed.trim_end_matches(":1");
        refused.exits(1).says(&format!("pull access denied for {name}, repository does not exist or may require"));
        client(&world, &["login", "-u", "me", "-p", "wrong", &registry.address()])
            .exits(1)
            .says("unauthorized: incorrect username or password");
    }
}

/// The password is shown once; what the token server gave for it is kept, and shown from then on.
#[test]
fn a_login_is_kept_as_a_token_and_used_by_every_command() {
    let tokens = TokenServer::start();
    let (world, registry) = (busybox(), Registry::with_tokens(&tokens));
    let name = registry.name("app:1");
    for client in CLIENTS {
        client(&world, &["login", "-u", "me", "-p", "secret", &registry.address()]).exits(0);
        let kept = kept(&world, &registry);
        // `me:`, without the password.
        assert_eq!(kept["auth"], "bWU6");
        assert!(kept["identitytoken"].as_str().is_some_and(|token| !token.is_empty()), "{kept}");
        moves(&world, client, &name);
        // Docker's command line wants a password for that.
        world.dhow(&["login", &registry.address()]).exits(0);
        client(&world, &["logout", &registry.address()]).exits(0);
        client(&world, &["pull", &name]).exits(1);
    }
    assert!(!tokens.asked("POST /token").is_empty());
    assert_eq!(tokens.asked("offline_token=true").len(), 2, "once for each password that was typed");
}

/// Pushes, pulls and runs.
fn moves(world: &World, client: fn(&World, &[&str]) -> Outcome, name: &str) {
    client(world, &["tag", "busybox", name]).exits(0);
    client(world, &["push", name]).exits(0);
    client(world, &["rmi", name]).exits(0);
    client(world, &["pull", name]).exits(0);
    client(world, &["rmi", name]).exits(0);
    client(world, &["pull", "-a", name.trim_end_matches(":1")]).exits(0);
    client(world, &["rmi", name]).exits(0);
    let run = client(world, &["run", "--rm", "--network", "none", name, "echo", "hi"]);
    assert_eq!(run.exits(0).stdout(), "hi\n");
    client(world, &["rmi", name]).exits(0);
}

#[test]
fn helpers_are_asked_by_every_command() {
    let tokens = TokenServer::start();
    let world = busybox();
    install_credential_helper(world.path());
    let path = format!("{}:{}", world.path().join("bin").display(), std::env::var("PATH").expect("a path"));
    fs::create_dir_all(world.path().join(".docker")).expect("made");
    // What is kept of the password: what was given for it, or itself.
    for (registry, username, secret) in [
        (Registry::with_tokens(&tokens), "<token>", "kept in place of a password"),
        (Registry::guarded(), "me", "secret"),
    ] {
        let (address, name) = (registry.address(), registry.name("app:1"));
        for config in [r#"{"credsStore":"test"}"#.to_owned(), format!(r#"{{"credHelpers":{{"{address}":"test"}}}}"#)] {
            for stock in [false, true] {
                let asks = |args: &[&str]| {
                    let mut command = if stock { world.stock_command(args) } else { world.command(args) };
                    finish(command.env("PATH", &path)).exits(0).stdout()
                };
                fs::write(world.path().join(".docker/config.json"), &config).expect("written");
                asks(&["login", "-u", "me", "-p", "secret", &address]);
                let kept = fs::read_to_string(world.path().join("kept")).expect("the helper has it");
                let kept: serde_json::Value = serde_json::from_str(&kept).expect("JSON");
                assert_eq!((&kept["Username"], &kept["Secret"]), (&username.into(), &secret.into()));
                asks(&["tag", "busybox", &name]);
                asks(&["push", &name]);
                asks(&["rmi", &name]);
                asks(&["pull", &name]);
                asks(&["rmi", &name]);
                assert_eq!(asks(&["run", "--rm", "--network", "none", &name, "echo", "hi"]), "hi\n");
                asks(&["rmi", &name]);
                asks(&["logout", &address]);
                assert!(!world.path().join("kept").exists());
            }
        }
    }
}

#[test]
fn a_push_asks_for_the_rights_that_it_needs() {
    let tokens = TokenServer::start();
    let (world, registry) = (busybox(), Registry::with_tokens(&tokens));
    let (first, second) = (registry.name("one:1"), registry.name("two/three:1"));
    log_in(&world, &registry);
    world.dhow(&["tag", "busybox", &first]).exits(0);
    world.dhow(&["push", &first]).exits(0);
    world.dhow(&["rmi", "busybox", &first]).exits(0);
    world.dhow(&["pull", &first]).exits(0);
    world.dhow(&["tag", &first, &second]).exits(0);
    assert!(world.dhow(&["push", &second]).ok().contains(": Mounted from one"));
    // With the password itself, so that what is asked for can be read.
    let config = format!(r#"{{"auths":{{"{}":{{"auth":"bWU6c2VjcmV0"}}}}}}"#, registry.address());
    fs::write(world.path().join(".docker/config.json"), config).expect("written");
    world.dhow(&["push", &second]).exits(0);
    world.dhow(&["pull", &first]).exits(0);
    let rights = "scope=repository%3Atwo%2Fthree%3Apull%2Cpush&scope=repository%3Aone%3Apull&account=me";
    assert_eq!(tokens.asked(rights).len(), 1, "{:?}", tokens.asked(""));
    assert_eq!(tokens.asked("scope=repository%3Aone%3Apull&account=me").len(), 2, "and for the pull alone");
}

#[test]
fn what_a_registry_wants_beyond_that_is_asked_for() {
    let tokens = TokenServer::start();
    let (world, registry) = (busybox(), Registry::with_tokens(&tokens));
    let name = registry.name("app:1");
    log_in(&world, &registry);
    world.dhow(&["tag", "busybox", &name]).exits(0);
    world.dhow(&["push", &name]).exits(0);
    for client in [World::dhow, World::docker] {
        assert_eq!(
            client(&world, &["search", "--format", "{{.Name}}", &registry.name("ap")]).ok(),
            registry.name("app")
        );
    }
}

/// In the middle of a push, and from one command to the next.
#[test]
fn a_token_that_runs_out_is_replaced() {
    let tokens = TokenServer::start();
    let (world, registry) = (busybox(), Registry::with_tokens(&tokens));
    let (challenge, moment) = (tokens.challenge(), AtomicUsize::new(0));
    let gate = Gate::before(&registry, move |request, near| {
        let sends = request.method == "PUT" && request.target.contains("/blobs/uploads/");
        let looks = request.method == "HEAD" && !request.header("Authorization").is_empty();
        // The first that is sent is refused, and the first look of the second push.
        let next = match moment.load(Ordering::SeqCst) {
            0 if sends => 1,
            1 if request.target.contains("/manifests/") => 2,
            2 if looks => 3,
            _ => return Ok(false),
        };
        moment.store(next, Ordering::SeqCst);
        if next != 2 {
            let head = format!("HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: {challenge}\r\nContent-Length: 0\r\n");
            near.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes())?;
        }
        Ok(next != 2)
    });
    let name = gate.name("app:1");
    let config = format!(r#"{{"auths":{{"{}":{{"auth":"bWU6c2VjcmV0"}}}}}}"#, gate.address());
    fs::create_dir_all(world.path().join(".docker")).expect("made");
    fs::write(world.path().join(".docker/config.json"), config).expect("written");
    world.dhow(&["tag", "busybox", &name]).exits(0);
    world.dhow(&["push", &name]).exits(0);
    assert_eq!(tokens.given(), 2, "one to begin with, one in its place");
    // The one that the engine keeps.
    world.dhow(&["push", &name]).exits(0);
    assert_eq!(tokens.given(), 3);
    world.dhow(&["rmi", &name]).exits(0);
    world.dhow(&["pull", &name]).exits(0);
}

/// Registries have their blobs elsewhere, and may say so: who is there gets no password.
#[test]
fn what_a_registry_points_to_is_shown_no_rights() {
    let (world, guarded, open) = (busybox(), Registry::guarded(), Registry::start());
    let shown = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&shown);
    let elsewhere = Gate::before(&open, move |request, _| {
        counted.fetch_add(usize::from(!request.header("Authorization").is_empty()), Ordering::SeqCst);
        Ok(false)
    });
    let place = elsewhere.address();
    let gate = Gate::before(&guarded, move |request, near| {
        let fetched = request.method == "GET" && request.target.contains("/blobs/sha256:");
        let sent = request.method == "POST" && request.target.starts_with("/v2/other/");
        if request.header("Authorization").is_empty() || !(fetched || sent) {
            return Ok(false);
        }
        let status = if fetched { "307 Temporary Redirect" } else { "202 Accepted" };
        let head = format!("HTTP/1.1 {status}\r\nLocation: http://{place}{}\r\nContent-Length: 0\r\n", request.target);
        near.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes()).map(|()| true)
    });
    for address in [gate.address(), open.address()] {
        world.dhow(&["login", "-u", "me", "-p", "secret", &address]).exits(0);
        let name = format!("{address}/app:1");
        world.dhow(&["tag", "busybox", &name]).exits(0);
        world.dhow(&["push", &name]).exits(0);
        world.dhow(&["rmi", &name]).exits(0);
    }
    let (name, other) = (gate.name("app:1"), gate.name("other:1"));
    world.dhow(&["tag", "busybox", &other]).exits(0);
    world.dhow(&["push", &other]).exits(1);
    assert!(!elsewhere.asked("/v2/other/").is_empty(), "it was sent where it was to go");
    world.dhow(&["rmi", "busybox", &other]).exits(0);
    world.dhow(&["pull", &name]).exits(0);
    assert!(!elsewhere.asked("GET /v2/app/blobs/").is_empty());
    assert_eq!(shown.load(Ordering::SeqCst), 0);
}

/// Whoever is there may not ask for the password either: a challenge of his names a token server of his.
#[test]
fn what_a_registry_points_to_may_not_ask_for_the_password() {
    let (world, guarded, open) = (busybox(), Registry::guarded(), Registry::start());
    let thief = Gate::before(&open, |_, _| Ok(false));
    let challenge = format!("Bearer realm=\"http://{}/token\",service=\"mine\"", thief.address());
    let elsewhere = Gate::before(&open, move |_, near| {
        let head = format!("HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: {challenge}\r\nContent-Length: 0\r\n");
        near.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes()).map(|()| true)
    });
    let place = elsewhere.address();
    let gate = Gate::before(&guarded, move |request, near| {
        if request.method != "GET" || !request.target.contains("/blobs/sha256:") {
            return Ok(false);
        }
        let place = format!("http://{place}{}", request.target);
        let head = format!("HTTP/1.1 307 Temporary Redirect\r\nLocation: {place}\r\nContent-Length: 0\r\n");
        near.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes()).map(|()| true)
    });
    world.dhow(&["login", "-u", "me", "-p", "secret", &gate.address()]).exits(0);
    let name = gate.name("app:1");
    world.dhow(&["tag", "busybox", &name]).exits(0);
    world.dhow(&["push", &name]).exits(0);
    world.dhow(&["rmi", "busybox", &name]).exits(0);
    world.dhow(&["pull", &name]).exits(1);
    assert!(!elsewhere.asked("/blobs/").is_empty(), "it was sent there");
    assert!(thief.asked("").is_empty(), "and told him nothing");
}
