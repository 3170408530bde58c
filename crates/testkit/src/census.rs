//! What belongs to an engine compared with what it lists: whatever no listed object owns is astray.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::leftovers;

/// What an engine makes in its data root. (`volumes` and `lost` are compared by their contents, or not at all.)
const DATA_ROOT: [&str; 18] = [
    "boot",
    "containers",
    "content",
    "engine-id",
    "engine.log",
    "events.log",
    "events.log.1",
    "format",
    "layers",
    "lock",
    "metadata.db",
    "metadata.db-shm",
    "metadata.db-wal",
    "metadata.reserve",
    "spare",
    "trash",
    "volumes",
    "lost",
];

/// Where an engine keeps its things, and what it lists.
pub(crate) struct Census<'a> {
    pub(crate) root: &'a Path,
    pub(crate) data_root: PathBuf,
    pub(crate) exec_root: PathBuf,
    pub(crate) cgroup_parent: &'a str,
    /// Full ids of all containers.
    pub(crate) containers: HashSet<String>,
    /// Ids of the containers of which processes may be there.
    pub(crate) running: HashSet<String>,
    /// For each image its id and the digests of its layers, lowest first.
    pub(crate) images: Vec<(String, Vec<String>)>,
}

impl Census<'_> {
    /// Everything that is astray, one line each.
    pub(crate) fn astray(&self) -> Vec<String> {
        let mut found = self.processes();
        let own = format!(" {} ", self.data_root.display());
        let shm = self.running.iter().map(|id| format!(" {} ", self.shm().join(id).display())).collect::<Vec<_>>();
        let is_owned = |line: &String| shm.iter().chain([&own]).any(|place| line.contains(place));
        found.extend(leftovers::mounts(self.root).into_iter().filter(|line| !is_owned(line)));
        let mut below = Vec::new();
        leftovers::cgroups(Path::new("/sys/fs/cgroup"), self.cgroup_parent, 0, &mut below);
        // What containers are shown of trees that they are not in goes with the engine.
        below.retain(|path| !path.ends_with("bare"));
        found.extend(below.iter().filter(|path| !self.runs(path)).map(|path| format!("cgroup {}", path.display())));
        self.folder(self.exec_root.join("containers"), |id| self.running.contains(id), &mut found);
        self.folder(self.shm(), |id| self.running.contains(id), &mut found);
        self.folder(self.data_root.join("containers"), |id| self.containers.contains(id), &mut found);
        self.folder(self.data_root.clone(), |name| DATA_ROOT.contains(&name), &mut found);
        self.folder(self.data_root.join("trash"), |_| false, &mut found);
        self.folder(self.data_root.join("content/ingest"), |_| false, &mut found);
        self.blobs_and_layers(&mut found);
        found
    }

    /// Where shared memory of containers that run is mounted.
    fn shm(&self) -> PathBuf {
        self.exec_root.join("shm")
    }

    /// Listed objects of which something is missing, one line each.
    pub(crate) fn incomplete(&self) -> Vec<String> {
        let folder = |id: &&String| !self.data_root.join("containers").join(id).is_dir();
        let missing = self.containers.iter().filter(folder).map(|id| format!("no folder of container {id}"));
        let shims = leftovers::shims(self.root);
        let alone = |id: &&String| shims.iter().filter(|(_, line)| line.contains(id.as_str())).count() != 1;
        let unwatched = self.running.iter().filter(alone).map(|id| format!("not one shim for container {id}"));
        missing.chain(unwatched).collect()
    }

    fn runs(&self, path: &Path) -> bool {
        path.file_name().is_some_and(|name| self.running.contains(&*name.to_string_lossy()))
    }

    fn processes(&self) -> Vec<String> {
        let listed = |line: &str| self.running.iter().any(|id| line.contains(id.as_str()));
        let shims = leftovers::shims(self.root).into_iter().filter(|(_, line)| !listed(line));
        shims.map(|(pid, line)| format!("process {pid}: {line}")).collect()
    }

    fn folder(&self, folder: PathBuf, listed: impl Fn(&str) -> bool, found: &mut Vec<String>) {
        found.extend(names(&folder).into_iter().filter(|name| !listed(name)).map(|name| format!("{folder:?}/{name}")));
    }

    /// Images of the tests are imported from plain archives: their blobs are the configuration and the archives.
    fn blobs_and_layers(&self, found: &mut Vec<String>) {
        let digests = self.images.iter().flat_map(|(id, layers)| layers.iter().chain([id]));
        let blobs: HashSet<&str> = digests.map(|digest| digest.trim_start_matches("sha256:")).collect();
        self.folder(self.data_root.join("content/sha256"), |name| blobs.contains(name), found);
        let chains: HashSet<&[String]> =
            self.images.iter().flat_map(|(_, layers)| (1..=layers.len()).map(|end| &layers[..end])).collect();
        let folders: Vec<String> = names(&self.data_root.join("layers"));
        // Those two are no image's, but every container's.
        let unpacked = folders.iter().filter(|name| !["base", "empty"].contains(&name.as_str())).count();
        if unpacked != chains.len() {
            found.push(format!("{unpacked} unpacked layers of {} listed ones: {folders:?}", chains.len()));
        }
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}
