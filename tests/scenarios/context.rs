//! Contexts: engines with names, the same ones for both command lines.

use std::fs;
use std::process::Command;

use dhow_testkit::{Outcome, World, finish};

use crate::DHOW;
use crate::certificates::Certificates;

/// A client without any word about an engine but its contexts.
fn client(world: &World, program: &str, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args).env("HOME", world.path()).current_dir(world.path());
    for name in ["DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG"] {
        command.env_remove(name);
    }
    command
}

fn run(world: &World, program: &str, args: &[&str]) -> Outcome {
    finish(&mut client(world, program, args))
}

/// Both ways: one makes it, the other uses, changes and removes it.
#[test]
fn a_context_of_one_command_line_is_one_of_the_other() {
    let world = World::new(DHOW);
    let host = format!("host={}", world.host());
    for (maker, user) in [(DHOW, "docker"), ("docker", DHOW)] {
        let made = run(&world, maker, &["context", "create", "here", "--docker", &host, "--description", "Our own"]);
        assert_eq!(made.ok(), "here");
        made.says("Successfully created context \"here\"");
        run(&world, user, &["--context", "here", "ps"]).exits(0);
        run(&world, user, &["context", "use", "here"]).exits(0).says("Current context is now \"here\"");
        run(&world, maker, &["ps"]).exits(0);
        assert_eq!(run(&world, maker, &["context", "show"]).ok(), "here");
        run(&world, user, &["context", "update", "here", "--description", "Changed"]).exits(0);
        let described = run(&world, maker, &["context", "ls", "--format", "{{.Name}} {{.Description}}"]).ok();
        assert!(described.contains("here Changed"), "{described}");
        run(&world, maker, &["context", "export", "here", "file"]).exits(0).says("Written file \"file\"");
        run(&world, user, &["context", "import", "there", "file"]).exits(0);
        assert_eq!(run(&world, maker, &["--context", "there", "context", "show"]).ok(), "there");
        run(&world, maker, &["--context", "there", "ps"]).exits(0);
        run(&world, user, &["context", "rm", "here"]).exits(1).says("is in use, set -f flag to force remove");
        assert_eq!(run(&world, user, &["context", "rm", "-f", "here", "there"]).ok(), "here\nthere");
        assert_eq!(run(&world, maker, &["context", "show"]).ok(), "default");
        fs::remove_file(world.path().join("file")).expect("it was written");
    }
}

/// What is on the disk and what is printed is the same, whoever did it.
#[test]
fn files_and_words_are_dockers() {
    let world = World::new(DHOW);
    let certificates = Certificates::new();
    for name in ["ca.pem", "cert.pem", "key.pem"] {
        fs::copy(certificates.path("client").join(name), world.path().join(name)).expect("copied");
    }
    let docker = "host=tcp://10.0.0.9:2376,ca=ca.pem,cert=cert.pem,key=key.pem,skip-tls-verify=true";
    let mut written = Vec::new();
    for program in [DHOW, "docker"] {
        run(&world, program, &["context", "create", "far", "--docker", docker, "--description", "Far"]).exits(0);
        run(&world, program, &["context", "use", "far"]).exits(0);
        let tree = finish(Command::new("sh").current_dir(world.path()).args([
            "-c",
            "find .docker -printf '%m %y %p\\n' | sort; cat .docker/contexts/meta/*/meta.json .docker/config.json; cat .docker/contexts/tls/*/docker/*",
        ]));
        written.push(tree.ok());
        run(&world, "docker", &["context", "rm", "-f", "far"]).exits(0);
        fs::remove_dir_all(world.path().join(".docker")).expect("it was made");
    }
    assert_eq!(written[0], written[1]);
    run(&world, DHOW, &["context", "create", "far", "--docker", docker, "--description", "Far"]).exits(0);
    run(&world, DHOW, &["context", "create", "near", "--docker", "host=unix:///x"]).exits(0);
    let same = |args: &[&str]| {
        let (ours, stock) = (run(&world, DHOW, args), run(&world, "docker", args));
        let text = |outcome: &Outcome| {
            let masked = |text: String| text.replace("unix:///run/dhow/dhow.sock", "unix:///var/run/docker.sock");
            (outcome.code(), masked(outcome.stdout()), masked(outcome.stderr()))
        };
        assert_eq!(text(&ours), text(&stock), "{args:?}");
    };
    for args in [
        &["context", "ls", "--format", "{{.Name}} {{.Current}} {{.Description}} {{.DockerEndpoint}}"][..],
        &["context", "ls", "--format", "json"],
        &["context", "ls", "-q"],
        &["context", "inspect", "far"],
        &["context", "inspect", "far", "near", "--format", "{{.Name}} {{json .Endpoints}} {{.Storage.TLSPath}}"],
        &["context", "inspect", "nope"],
        &["context", "inspect"],
        &["context", "show"],
        &["context", "create", "far"],
        &["context", "create", "x/y"],
        &["context", "create", "default"],
        &["context", "create", "new", "--docker", "foo=bar"],
        &["context", "create", "new", "--from", "far", "--docker", "host=unix:///x"],
        &["context", "use", "nope"],
        &["context", "rm", "default"],
        &["context", "rm", "nope"],
        &["context", "rm", "-f", "nope"],
        &["context", "update", "nope", "--description", "x"],
        &["context", "export", "nope"],
        &["context", "import", "far", "ca.pem"],
        &["context", "import", "new", "nofile"],
        &["--context", "nope", "ps"],
    ] {
        same(args);
    }
}

#[test]
fn a_context_whose_secrets_cannot_be_written_is_none() {
    let world = World::new(DHOW);
    let certificates = Certificates::new();
    let place = |name: &str| certificates.path("client").join(name).display().to_string();
    let [ca, cert, key] = ["ca.pem", "cert.pem", "key.pem"].map(place);
    let docker = format!("host=tcp://10.0.0.9:2376,ca={ca},cert={cert},key={key}");
    run(&world, DHOW, &["context", "create", "far", "--docker", &docker]).exits(0);
    run(&world, DHOW, &["context", "export", "far", "file"]).exits(0);
    run(&world, DHOW, &["context", "rm", "far"]).exits(0);
    let secrets = world.path().join(".docker/contexts/tls");
    fs::remove_dir_all(&secrets).expect("it was made");
    fs::write(&secrets, "in the way").expect("a file");
    for args in [&["context", "import", "far", "file"][..], &["context", "create", "far", "--docker", &docker]] {
        run(&world, DHOW, args).exits(1).says(&secrets.display().to_string());
        assert_eq!(run(&world, DHOW, &["context", "ls", "-q"]).ok(), "default", "{args:?}");
    }
    fs::remove_file(&secrets).expect("it is there");
    run(&world, DHOW, &["context", "import", "far", "file"]).exits(0);
}

#[test]
fn flags_and_environment_win_over_the_context() {
    let world = World::new(DHOW);
    run(&world, DHOW, &["context", "create", "nowhere", "--docker", "host=unix:///nowhere"]).exits(0);
    run(&world, DHOW, &["context", "use", "nowhere"]).exits(0);
    run(&world, DHOW, &["ps"]).exits(1).says("unix:///nowhere");
    run(&world, DHOW, &["--host", &world.host(), "ps"]).exits(0);
    finish(client(&world, DHOW, &["ps"]).env("DOCKER_HOST", world.host())).exits(0);
    finish(client(&world, DHOW, &["ps"]).env("DOCKER_CONTEXT", "missing")).exits(1).says("context not found");
    let listed = finish(client(&world, DHOW, &["context", "ls"]).env("DOCKER_CONTEXT", "missing"));
    assert!(listed.ok().contains("missing *"), "{listed:?}");
    // Both refuse to guess which of the two is meant.
    run(&world, DHOW, &["--host", "unix:///x", "--context", "nowhere", "ps"]).exits(1).says("conflicting options");
}
