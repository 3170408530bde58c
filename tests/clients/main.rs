//! Clients that others have written, as their users use them: docker-py, dockerode and bollard. Each test has an engine of
//! its own; `cargo xtask test` installs docker-py and dockerode.

mod bollard;

use std::path::Path;
use std::process::Command;

use dhow_testkit::{World, finish};

/// The binary under test.
const DHOW: &str = env!("CARGO_BIN_EXE_dhow");

/// Where the clients' programs are, and where `cargo xtask test` puts what they need.
const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

fn docker_py(topic: &str) {
    // Debian's own interpreter: its package is installed for that one.
    run("/usr/bin/python3", "docker_py.py", topic);
}

fn dockerode(topic: &str) {
    run("node", "dockerode.js", topic);
}

fn run(interpreter: &str, program: &str, topic: &str) {
    let world = World::with_busybox(DHOW);
    let workspace = Path::new(WORKSPACE);
    let mut command = Command::new(interpreter);
    command.arg(workspace.join("tests/clients").join(program)).arg(topic).env("DOCKER_HOST", world.host());
    command.env("NODE_PATH", workspace.join("target/dockerode/node_modules")).env("HOME", world.path());
    finish(&mut command).exits(0);
}

macro_rules! topics {
    ($client:ident: $($topic:ident),* $(,)?) => {
        mod $client {
            $(#[test] fn $topic() { super::$client(stringify!($topic)); })*
        }
    };
}

topics!(docker_py: life_cycle, exec, attach, logs, stats, events, archive, system);
topics!(dockerode: life_cycle, exec, attach, logs, stats, events, archive, run);
