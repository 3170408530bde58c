//! The reference: a page per command in `docs/reference/` and a man page each, made of the tables that the program itself
//! uses, and of `prose.md`, which is written by hand. `cargo xtask docs` runs this and writes; without its word, the test
//! only looks whether what is checked in is still true.

mod man;
mod markdown;
mod prose;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::command::Command;
use crate::commands::{ALL, GROUPS};
use crate::flags::Flag;

/// Set by `cargo xtask docs`: the folder for man pages. The pages of `docs/reference` are written beside.
const WRITE: &str = "DHOW_WRITE_REFERENCE";

/// A command's name as a file's.
fn file_name(name: &str) -> String {
    name.replace(' ', "-")
}

/// The flags that people see, sorted.
fn flags(command: &Command) -> Vec<&'static Flag> {
    let mut flags: Vec<&Flag> =
        command.flags.iter().flat_map(|table| table.iter()).filter(|flag| !flag.hidden).collect();
    flags.sort_by_key(|flag| flag.long);
    flags
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference")
}

/// All pages by file name.
fn pages() -> BTreeMap<String, String> {
    let prose = prose::read();
    let page = |command: &&Command| {
        let words = prose.get(command.names[0]).copied().unwrap_or_default();
        (file_name(command.names[0]) + ".md", markdown::page(command, words))
    };
    let mut pages: BTreeMap<String, String> = ALL.iter().map(page).collect();
    pages.insert("README.md".to_owned(), markdown::index(GROUPS, ALL));
    pages
}

fn write(man: &Path) {
    let pages = pages();
    for entry in fs::read_dir(folder()).into_iter().flatten().flatten() {
        if !pages.contains_key(&entry.file_name().to_string_lossy().into_owned()) {
            fs::remove_file(entry.path()).expect("a page of a command that is gone");
        }
    }
    fs::create_dir_all(folder()).expect("the folder of the reference");
    pages.iter().for_each(|(name, text)| fs::write(folder().join(name), text).expect("a page"));
    fs::create_dir_all(man).expect("the folder of man pages");
    let prose = prose::read();
    for command in ALL {
        let words = prose.get(command.names[0]).copied().unwrap_or_default();
        let name = format!("dhow-{}.1", file_name(command.names[0]));
        fs::write(man.join(name), man::page(command, words)).expect("a man page");
    }
    fs::write(man.join("dhow.1"), man::of_program(GROUPS, ALL)).expect("a man page");
}

#[test]
fn the_reference_says_what_the_tables_say() {
    if let Some(man) = std::env::var_os(WRITE) {
        write(Path::new(&man));
    }
    let (mut stale, pages) = (Vec::new(), pages());
    for (name, text) in &pages {
        if fs::read_to_string(folder().join(name)).unwrap_or_default() != *text {
            stale.push(name.clone());
        }
    }
    let there = fs::read_dir(folder()).into_iter().flatten().flatten();
    let there = there.map(|entry| entry.file_name().to_string_lossy().into_owned());
    stale.extend(there.filter(|name| !pages.contains_key(name)));
    assert!(stale.is_empty(), "docs/reference is stale: {stale:?}; run `cargo xtask docs` and commit");
}

#[test]
fn every_command_is_explained() {
    let prose = prose::read();
    let silent: Vec<&str> =
        ALL.iter().map(|command| command.names[0]).filter(|name| !prose.contains_key(name)).collect();
    assert!(silent.is_empty(), "crates/cli/src/reference/prose.md says nothing about {silent:?}");
    for (name, words) in prose {
        assert!(words.contains("\n    dhow "), "prose.md has no example of {name}");
    }
}
