//! Logins as other programs keep them, and programs that keep them badly: read and told as the stock client does it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use dhow_testkit::{Registry, World, finish};

use crate::busybox;

/// How a command ended: code, output, and what it told but for our hints.
type Ending = (i32, String, String);

/// Runs `docker` or ours where `config.json` says that and nobody is there to type.
fn ending(world: &World, stock: bool, config: &str, args: &[&str]) -> Ending {
    let folder = world.path().join(".docker");
    fs::create_dir_all(&folder).expect("made");
    fs::write(folder.join("config.json"), config).expect("written");
    let mut command = if stock { world.stock_command(args) } else { world.command(args) };
    let path = format!("{}:{}", world.path().join("bin").display(), std::env::var("PATH").expect("a path"));
    let outcome = finish(command.env("PATH", path));
    // Ours is called by its own name here.
    let told = outcome.stderr().replace("'dhow ", "'docker ");
    let told: String = told.split_inclusive('\n').filter(|line| !line.starts_with("hint: ")).collect();
    (outcome.code(), outcome.stdout(), told)
}

/// The same with both clients, which agree.
fn agreed(world: &World, config: &str, args: &[&str]) -> Ending {
    let [ours, stock] = [false, true].map(|stock| ending(world, stock, config, args));
    assert_eq!(ours, stock, "{config} {args:?}");
    ours
}

#[test]
fn what_others_wrote_into_the_configuration_is_read() {
    let (world, registry) = (busybox(), Registry::guarded());
    let address = registry.address();
    let of = |entry: &str| format!(r#"{{"auths":{{"{address}":{entry}}}}}"#);
    let plain = of(r#"{"username":"me","password":"secret"}"#);
    let encoded = of(r#"{"auth":"bWU6c2VjcmV0"}"#);
    for config in [
        &plain,
        &encoded,
        &plain.replace("auths", "Auths").replace("username", "Username").replace("password", "PASSWORD"),
        &encoded.replace("auths", "AUTHS").replace("auth\"", "Auth\""),
        // What is encoded counts.
        &of(r#"{"auth":"bWU6c2VjcmV0","username":"you","password":"wrong"}"#),
        &format!(r#"{{"auths":{{}},"Auths":{{"{address}":{{"auth":"bWU6c2VjcmV0"}}}}}}"#),
    ] {
        assert_eq!(agreed(&world, config, &["login", &address]).0, 0, "{config}");
    }
    for nobody in [r#"{"username":"me"}"#, r#"{"password":"secret"}"#, r#"{"auth":"!!"}"#, r#"{"auth":"bWU="}"#, "{}"] {
        assert_eq!(agreed(&world, &of(nobody), &["login", &address]).0, 1, "{nobody}");
    }
    // A login beside it is written as the client writes them, and so is what others wrote.
    for stock in [false, true] {
        let elsewhere = plain.replace(&address, "elsewhere:1").replace("auths", "Auths");
        let login = ["login", "-u", "me", "-p", "secret", &address];
        assert_eq!(ending(&world, stock, &elsewhere, &login).0, 0);
        let text = fs::read(world.path().join(".docker/config.json")).expect("there");
        let written: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
        let auth = serde_json::json!({"auth": "bWU6c2VjcmV0"});
        assert_eq!(written, serde_json::json!({"auths": {"elsewhere:1": auth, (address.clone()): auth}}));
        assert_eq!(ending(&world, stock, &plain.replace("auths", "Auths"), &["logout", &address]).0, 0);
        let text = fs::read_to_string(world.path().join(".docker/config.json")).expect("there");
        assert_eq!(text, "{\n\t\"auths\": {}\n}");
    }
}

/// A helper that does nothing but say something and fail.
fn failing_helper(home: &Path, name: &str, says: &str) {
    let program = home.join("bin").join(format!("docker-credential-{name}"));
    fs::create_dir_all(home.join("bin")).expect("made");
    fs::write(&program, format!("#!/bin/sh\ncat >/dev/null\necho '{says}'\nexit 1\n")).expect("written");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("executable");
}

#[test]
fn helpers_that_fail_are_told_as_the_stock_client_tells_it() {
    let (world, registry) = (busybox(), Registry::guarded());
    let address = registry.address();
    failing_helper(world.path(), "broken", "it is broken");
    failing_helper(world.path(), "empty", "credentials not found in native keychain");
    failing_helper(world.path(), "nameless", "no credentials username");
    for helper in ["broken", "empty", "nameless", "missing"] {
        let config = format!(r#"{{"credsStore":"{helper}"}}"#);
        let (code, _, told) = agreed(&world, &config, &["login", "-u", "me", "-p", "secret", &address]);
        assert_eq!(code, 1, "{helper}");
        assert!(told.contains("Error saving credentials: error storing credentials - err: "), "{told}");
        assert_eq!(agreed(&world, &config, &["login", &address]).0, 1, "nothing is known");
        assert_eq!(agreed(&world, &config, &["logout", &address]).0, 0);
    }
}
