//! Who may depend on whom: `deps.txt` is the truth, compared with `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde::Deserialize;

use crate::shell::{self, Result};

/// Rooms that must not link an async runtime (wall 3).
const SYNCHRONOUS: [&str; 6] = ["dhow-sys", "dhow-tls", "dhow-cgroups", "dhow-runtime", "dhow-shim", "dhow-logs"];

#[derive(Deserialize)]
pub(super) struct Metadata {
    pub(super) packages: Vec<Package>,
    resolve: Resolve,
    workspace_members: Vec<String>,
}

#[derive(Deserialize)]
pub(super) struct Package {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) version: String,
    pub(super) license: Option<String>,
    pub(super) source: Option<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Edge>,
}

#[derive(Deserialize)]
struct Edge {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    kind: Option<String>,
}

impl Metadata {
    pub(super) fn load() -> Result<Self> {
        let target = shell::target();
        let json =
            shell::output(shell::cargo().args(["metadata", "--format-version", "1", "--filter-platform", &target]))?;
        serde_json::from_str(&json).map_err(|error| format!("cargo metadata: {error}"))
    }

    fn name<'a>(&'a self, id: &'a str) -> &'a str {
        self.packages.iter().find(|package| package.id == id).map_or(id, |package| &package.name)
    }

    /// What a package links, tests and build scripts apart.
    fn direct(&self, id: &str) -> Vec<&str> {
        let node = self.resolve.nodes.iter().find(|node| node.id == id);
        node.map_or_else(Vec::new, |node| {
            node.deps
                .iter()
                .filter(|edge| edge.dep_kinds.iter().any(|kind| kind.kind.is_none()))
                .map(|edge| edge.pkg.as_str())
                .collect()
        })
    }

    fn closure<'a>(&'a self, id: &'a str, seen: &mut BTreeSet<&'a str>) {
        for dependency in self.direct(id) {
            if seen.insert(dependency) {
                self.closure(dependency, seen);
            }
        }
    }

    /// One line a room: its name, and the names of what it links.
    fn table(&self) -> BTreeMap<String, BTreeSet<String>> {
        self.workspace_members
            .iter()
            .map(|id| {
                let names = self.direct(id).into_iter().map(|id| self.name(id).to_owned()).collect();
                (self.name(id).to_owned(), names)
            })
            .collect()
    }
}

fn render(table: &BTreeMap<String, BTreeSet<String>>) -> String {
    let mut text = String::from(
        "# What each room links. Written by `cargo xtask tidy --write`; a change here is a change of the plan.\n",
    );
    for (room, dependencies) in table {
        let names: Vec<&str> = dependencies.iter().map(String::as_str).collect();
        text.push_str(&format!("{room}: {}\n", names.join(" ")));
    }
    text
}

/// Writes the present state to `deps.txt`.
pub(super) fn write(metadata: &Metadata) -> Result {
    let path = shell::root().join("deps.txt");
    fs::write(&path, render(&metadata.table())).map_err(|error| format!("{}: {error}", path.display()))
}

/// Compares `deps.txt` with the truth, and checks wall 3.
pub(super) fn check(metadata: &Metadata) -> Result<Vec<String>> {
    let path = shell::root().join("deps.txt");
    let written = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut faults = Vec::new();
    let now = render(&metadata.table());
    for line in now.lines().filter(|line| !written.lines().any(|other| other == *line)) {
        faults.push(format!("deps.txt does not say: {line} (if the plan changed: cargo xtask tidy --write)"));
    }
    for id in &metadata.workspace_members {
        if SYNCHRONOUS.contains(&metadata.name(id)) {
            let mut seen = BTreeSet::new();
            metadata.closure(id, &mut seen);
            if seen.iter().any(|id| metadata.name(id) == "tokio") {
                faults.push(format!("{} links tokio: the rooms below the engine are synchronous", metadata.name(id)));
            }
        }
    }
    Ok(faults)
}
