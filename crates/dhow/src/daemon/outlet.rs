//! What connects the networks of an engine without root with the outside.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use dhow_engine::NoOutlet;

/// In this order: `pasta` gives the networks the host's own addresses.
const PROGRAMS: [&str; 2] = ["pasta", "slirp4netns"];

/// Both make a link there (Documentation/networking/tuntap.rst).
const DEVICE: &str = "/dev/net/tun";

/// The program, if there is one and it can do its work; else what is missing.
pub(super) fn find() -> Result<PathBuf, NoOutlet> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let found = choose(&folders, Path::new(DEVICE));
    if let Err(NoOutlet { why, remedy }) = &found {
        tracing::warn!("containers have no bridges and publish no ports: {why}; {remedy}");
    }
    found
}

fn choose(folders: &[PathBuf], device: &Path) -> Result<PathBuf, NoOutlet> {
    let program = installed(folders).ok_or_else(|| NoOutlet {
        why: "neither pasta nor slirp4netns is installed".to_owned(),
        remedy: "install pasta (Debian: passt) or slirp4netns".to_owned(),
    })?;
    let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let opened = File::options().read(true).write(true).open(device);
    let device = device.display();
    match opened {
        Ok(_) => Ok(program),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(NoOutlet {
            why: format!("{name} needs {device}, which is not there"),
            remedy: format!("load the module tun, or give this machine the device {device}"),
        }),
        Err(error) => Err(NoOutlet {
            why: format!("{name} needs {device}, which cannot be opened: {error}"),
            remedy: format!("let this user open it: chmod 666 {device}"),
        }),
    }
}

fn installed(folders: &[PathBuf]) -> Option<PathBuf> {
    let in_folder = |program: &'static str| folders.iter().map(move |folder| folder.join(program));
    PROGRAMS.into_iter().flat_map(in_folder).find(|path: &PathBuf| Path::is_file(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let (folders, device) = ([folder.path().to_owned()], folder.path().join("tun"));
        assert!(choose(&folders, &device).unwrap_err().why.contains("neither pasta nor"));
        std::fs::write(folder.path().join("pasta"), "").unwrap();
        let missing = choose(&folders, &device).unwrap_err();
        assert!(
            missing.why.starts_with("pasta needs ") && missing.why.ends_with("tun, which is not there"),
            "{missing:?}"
        );
        std::fs::write(&device, "").unwrap();
        assert_eq!(choose(&folders, &device), Ok(folder.path().join("pasta")));
    }

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
