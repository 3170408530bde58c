//! Programs of this host that the tests of networks use, with the libraries they need.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::shell::{self, Result};

/// Where one is a link, what it leads to stands under its name.
const TOOLS: [&str; 4] = ["docker", "flock", "ip", "nft"];

/// Those of both kinds of iptables; the engine uses the second of each.
const IPTABLES: [&str; 4] = ["ip6tables-legacy", "ip6tables-nft", "iptables-legacy", "iptables-nft"];
const ENDINGS: [&str; 2] = ["", "-restore"];

/// In this order; the machine has the same in its `PATH`.
const FOLDERS: [&str; 3] = ["/usr/local/bin", "/usr/sbin", "/usr/bin"];

/// What iptables(8) loads when a rule needs it, below the folder of the libraries.
const EXTENSIONS: &str = "xtables";

/// All files, under the paths at which they are needed. Libraries that are linked against nothing come once.
pub(crate) fn files() -> Result<BTreeSet<PathBuf>> {
    let mut files = BTreeSet::new();
    let iptables = IPTABLES.iter().flat_map(|program| ENDINGS.map(|ending| format!("{program}{ending}")));
    for tool in TOOLS.map(str::to_owned).into_iter().chain(iptables) {
        let paths = FOLDERS.map(|folder| Path::new(folder).join(&tool));
        let path =
            paths.into_iter().find(|path| path.exists()).ok_or_else(|| format!("{tool}: it is not installed"))?;
        files.extend(libraries(&path)?);
        files.insert(path);
    }
    let folders: BTreeSet<PathBuf> = files.iter().filter_map(|file| Some(file.parent()?.join(EXTENSIONS))).collect();
    // Where /lib is a link to /usr/lib, iptables looks into the latter.
    for folder in folders.into_iter().filter_map(|folder| folder.canonicalize().ok()) {
        let extensions = fs::read_dir(folder).into_iter().flatten().flatten();
        files.extend(extensions.map(|extension| extension.path()));
    }
    Ok(files)
}

/// What the dynamic linker loads for a program, itself included (ldd(1)); nothing for a static one.
pub(super) fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    let listed = shell::command("ldd").arg(program).output().map_err(|error| format!("ldd: {error}"))?;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    Ok(listed.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from).collect())
}
