//! Every command that help lists: that it is compared at all, its help, and what it says to words that are wrong.

use std::collections::BTreeSet;

use dhow_testkit::{Script, World};

use super::compare;
use crate::DHOW;

/// Commands of Docker's that are not ours, and groups of them.
const NOT_OURS: [&str; 8] = ["build", "builder", "buildx", "checkpoint", "image build", "plugin", "swarm", "trust"];

/// What a client's help says.
type Help<'a> = &'a dyn Fn(&[&str]) -> String;

/// The words that begin the lines of a part of help.
fn listed<'a>(help: &'a str, part: &'a str) -> impl Iterator<Item = &'a str> {
    let lines = help.lines().skip_while(move |line| *line != part).skip(1);
    let lines = lines.take_while(|line| !line.is_empty());
    // Docker marks what comes from a plugin.
    lines.filter_map(|line| line.split_whitespace().next()).map(|word| word.trim_end_matches('*'))
}

/// All names of all commands: `ps`, `container ls`, `container list`.
fn names(help: Help<'_>) -> BTreeSet<String> {
    let whole = help(&["--help"]);
    let mut names: BTreeSet<String> =
        ["Common Commands:", "Commands:"].iter().flat_map(|part| listed(&whole, part)).map(str::to_owned).collect();
    for group in listed(&whole, "Management Commands:").filter(|group| !NOT_OURS.contains(group)) {
        let own = help(&[group, "--help"]);
        names.extend(listed(&own, "Commands:").map(|command| format!("{group} {command}")));
    }
    names.extend(names.clone().iter().flat_map(|name| aliases(help, name)));
    names.retain(|name| !NOT_OURS.iter().any(|other| name == other || name.starts_with(&format!("{other} "))));
    names
}

fn help_of(help: Help<'_>, name: &str) -> String {
    let words: Vec<&str> = name.split(' ').chain(["--help"]).collect();
    help(&words)
}

/// The other names of a command.
fn aliases(help: Help<'_>, name: &str) -> Vec<String> {
    let own = help_of(help, name);
    let line = own.lines().skip_while(|line| *line != "Aliases:").nth(1).unwrap_or_default();
    line.split(", ").filter_map(|alias| alias.trim().split_once(' ')).map(|(_, name)| name.to_owned()).collect()
}

/// The names that both clients have, and what follows each in its line of usage.
fn both() -> Vec<(String, String)> {
    let world = World::new(DHOW);
    let ours = names(&|words| world.dhow(words).stdout());
    let stock_help = |words: &[&str]| world.docker(words).stdout();
    let stock = names(&stock_help);
    let missing: Vec<&String> = stock.difference(&ours).collect();
    assert!(missing.is_empty(), "Docker's client has these and ours has not: {missing:?}");
    let usage = |name: &String| {
        let own = help_of(&stock_help, name);
        let line = own.lines().next().unwrap_or_default();
        (name.clone(), line.rsplit_once(&format!("{name} ")).map_or("", |(_, rest)| rest).to_owned())
    };
    ours.intersection(&stock).map(usage).collect()
}

#[test]
fn every_command_is_played() {
    let scripts: Vec<Script> = Script::themes().iter().flat_map(|theme| Script::all_of(theme)).collect();
    let played = |name: &str| {
        let called = [format!("docker {name} "), format!("docker {name}\n")];
        scripts.iter().flat_map(Script::lines).any(|line| called.iter().any(|name| format!("{line}\n").contains(name)))
    };
    let forgotten: Vec<String> = both().into_iter().map(|(name, _)| name).filter(|name| !played(name)).collect();
    assert!(forgotten.is_empty(), "no script plays {forgotten:?}");
}

/// Its explanations are our own, and there are flags that Docker has not; how a command is used and its names are the same.
#[test]
fn help_names_the_same() {
    let parts = r"/^Usage/,/^$/p; /^Aliases/,/^$/p";
    let lines = both().into_iter().map(|(name, _)| format!("docker {name} --help | sed -nE '{parts}'"));
    same_of("help", lines.collect());
}

#[test]
fn mistakes_are_told_in_the_same_words() {
    let mut lines = Vec::new();
    for (name, usage) in both() {
        lines.extend(["--nonsense", "-Z", "--nonsense=1 word"].map(|wrong| format!("docker {name} {wrong}")));
        let mut words = usage.split(' ').filter(|word| *word != "[OPTIONS]" && !word.is_empty());
        if words.clone().any(|word| !word.starts_with('[')) {
            lines.push(format!("{} {name}", other_words(&name)));
        }
        if words.all(|word| !word.contains("...") && word != "OPTIONS]") {
            lines.push(format!("{} {name} one two three four", other_words(&name)));
        }
    }
    same_of("mistakes", lines);
}

/// Docker's client does not count the words of `context use` itself, and its library says it in another way.
fn other_words(name: &str) -> &'static str {
    if name == "context use" { "~docker" } else { "docker" }
}

fn same_of(name: &str, lines: Vec<String>) {
    let differences = compare(&Script::new(name, lines));
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
