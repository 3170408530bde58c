//! What connects the networks of an engine without root with the outside.

use std::fs::File;
use std::path::{Path, PathBuf};

/// In this order: `pasta` gives the networks the host's own addresses.
const PROGRAMS: [&str; 2] = ["pasta", "slirp4netns"];

/// Both make a link there (Documentation/networking/tuntap.rst).
const DEVICE: &str = "/dev/net/tun";

/// The program, if there is one and it can do its work; else says what is missing.
pub(super) fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let Some(program) = installed(&folders) else {
        tracing::warn!("containers have no bridges and publish no ports: install pasta (Debian: passt) or slirp4netns");
        return None;
    };
    if let Err(error) = File::options().read(true).write(true).open(DEVICE) {
        tracing::warn!("containers have no bridges and publish no ports: open {DEVICE}: {error}; chmod 666 {DEVICE}");
        return None;
    }
    Some(program)
}

fn installed(folders: &[PathBuf]) -> Option<PathBuf> {
    let in_folder = |program: &'static str| folders.iter().map(move |folder| folder.join(program));
    PROGRAMS.into_iter().flat_map(in_folder).find(|path: &PathBuf| Path::is_file(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pasta_is_preferred_wherever_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let folders = ["a", "b"].map(|name| folder.path().join(name));
        folders.iter().for_each(|folder| std::fs::create_dir(folder).unwrap());
        assert_eq!(installed(&folders), None);
        std::fs::write(folders[0].join("slirp4netns"), "").unwrap();
        assert_eq!(installed(&folders), Some(folders[0].join("slirp4netns")));
        std::fs::write(folders[1].join("pasta"), "").unwrap();
        assert_eq!(installed(&folders), Some(folders[1].join("pasta")));
    }
}
