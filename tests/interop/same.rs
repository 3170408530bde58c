//! The scripts of `tests/scripts` against a stock engine, played with the stock `docker` and with ours.

use std::path::{Path, PathBuf};
use std::thread;

use dhow_testkit::{Outcome, Script, StockEngine, binary};

use crate::DHOW;

/// Scripts for engines as new as the client alone, and why. Docker's client writes a structure anew with the fields that an
/// older engine has not, and refuses flags by the engine's version; ours shows what the engine said, and lets it refuse.
const FOR_NEW_ENGINES: [&str; 2] = ["inspect", "volume"];

/// What one client did in all scripts of a theme, and the folder in which.
type Played = (PathBuf, Vec<Vec<Outcome>>);

/// Plays scripts one after the other with one engine, which takes long to start; on a thread of its own, which has a
/// network of its own.
fn play(scripts: &[Script], client: Option<&Path>) -> Played {
    let engine = StockEngine::with_networks();
    let outcomes = scripts.iter().map(|script| {
        let outcomes = script.play(&engine.path(), client, |program, args| engine.command(program, args));
        engine.renew();
        outcomes
    });
    let outcomes = outcomes.collect();
    (engine.path(), outcomes)
}

/// Plays the scripts of a theme.
fn same(theme: &str) {
    let mut scripts = Script::all_of(theme);
    scripts.retain(|script| !FOR_NEW_ENGINES.contains(&script.name()));
    let (ours, stock) = thread::scope(|scope| {
        let ours = scope.spawn(|| play(&scripts, Some(&binary(Path::new(DHOW)))));
        let stock = scope.spawn(|| play(&scripts, None));
        (
            ours.join().expect("our client's engine ends well"),
            stock.join().expect("the stock client's engine ends well"),
        )
    });
    let pairs = scripts.iter().zip(ours.1.iter().zip(&stock.1));
    let differences = pairs.flat_map(|(script, (own, other))| script.differences((&ours.0, own), (&stock.0, other)));
    // What the stock client says of flags that the engine is too old for; ours leaves that to the engine.
    let gated = |text: &String| {
        let stock = text.split_once("\nstock:").map_or("", |(_, stock)| stock);
        stock.contains("\" requires API version ")
    };
    let differences: Vec<String> = differences.filter(|text| !gated(text)).collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn context() {
    same("context");
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
fn life() {
    same("life");
}

#[test]
fn look() {
    same("look");
}

#[test]
fn network() {
    same("network");
}

#[test]
fn registry() {
    same("registry");
}

#[test]
fn run() {
    same("run");
}

#[test]
fn system() {
    same("system");
}
