//! Every command of Docker's that we have, played as scripts with the stock `docker` and with ours, each in a world of
//! its own: they print the same and end the same.

mod walk;

use std::path::{Path, PathBuf};
use std::thread;

use dhow_testkit::{Outcome, Script, World};

use crate::DHOW;

/// Plays one script in a new world; on a thread of its own, which has a network of its own.
fn play(script: &Script, client: Option<&Path>) -> (PathBuf, Vec<Outcome>) {
    let world = World::with_busybox(DHOW);
    let outcomes = script.play(world.path(), client, |program, args| world.client(program, args));
    (world.path().to_owned(), outcomes)
}

fn compare(script: &Script) -> Vec<String> {
    let (ours, stock) = thread::scope(|scope| {
        let ours = scope.spawn(|| play(script, Some(&dhow_testkit::binary(Path::new(DHOW)))));
        let stock = scope.spawn(|| play(script, None));
        (ours.join().expect("our client's world ends well"), stock.join().expect("the stock client's world ends well"))
    });
    script.differences((&ours.0, &ours.1), (&stock.0, &stock.1))
}

/// Plays the scripts of a theme.
fn same(theme: &str) {
    let scripts = Script::all_of(theme);
    let differences: Vec<String> = scripts.iter().flat_map(compare).collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// The themes below.
const THEMES: [&str; 10] =
    ["context", "files", "image", "life", "look", "network", "registry", "run", "system", "volume"];

#[test]
fn every_script_has_a_theme_that_is_played() {
    assert_eq!(Script::themes(), THEMES);
}

#[test]
fn life() {
    same("life");
}

#[test]
fn look() {
    same("look");
}

#[test]
fn run() {
    same("run");
}

#[test]
fn files() {
    same("files");
}

#[test]
fn image() {
    same("image");
}

#[test]
fn network() {
    same("network");
}

#[test]
fn volume() {
    same("volume");
}

#[test]
fn context() {
    same("context");
}

#[test]
fn system() {
    same("system");
}

#[test]
fn registry() {
    same("registry");
}
