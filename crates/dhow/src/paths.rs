//! Where an engine keeps its things when nobody says: the system's places for root, the XDG base directories else.

use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::{env, fs};

/// Sets the data root, as `--data-root` does.
pub(crate) const DATA_ROOT_VARIABLE: &str = "DHOW_DATA_ROOT";
/// Sets the exec root, as `--exec-root` does; the default socket and pid file are in it.
pub(crate) const EXEC_ROOT_VARIABLE: &str = "DHOW_EXEC_ROOT";

/// Default places of one user's engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Paths {
    pub(crate) data_root: PathBuf,
    pub(crate) exec_root: PathBuf,
    pub(crate) config_file: PathBuf,
}

/// What the places depend on; read once from the environment.
#[derive(Debug, Clone, Default)]
struct Surroundings {
    uid: u32,
    data_root: Option<PathBuf>,
    exec_root: Option<PathBuf>,
    home: Option<PathBuf>,
    data_home: Option<PathBuf>,
    config_home: Option<PathBuf>,
    runtime_dir: Option<PathBuf>,
}

/// The log of an engine that was started on demand.
pub(crate) fn engine_log(data_root: &Path) -> PathBuf {
    data_root.join("engine.log")
}

impl Paths {
    /// The places for the user who runs this process.
    pub(crate) fn of_this_user() -> Self {
        // Absolute, as the engine sees them: it works in `/`, and the client has to look in the same places.
        let path = |name: &str| {
            let value = env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)?;
            Some(std::path::absolute(&value).unwrap_or(value))
        };
        let uid = rustix::process::geteuid().as_raw();
        let exec_root = path(EXEC_ROOT_VARIABLE);
        let runtime_dir = path("XDG_RUNTIME_DIR").or_else(|| {
            let wanted = uid != 0 && exec_root.is_none();
            wanted.then(|| own_folder(&PathBuf::from(format!("/tmp/dhow-{uid}")), uid)).flatten()
        });
        Self::of(Surroundings {
            uid,
            data_root: path(DATA_ROOT_VARIABLE),
            exec_root,
            home: path("HOME"),
            data_home: path("XDG_DATA_HOME"),
            config_home: path("XDG_CONFIG_HOME"),
            runtime_dir,
        })
    }

    fn of(around: Surroundings) -> Self {
        let (data_root, exec_root, config_file) = if around.uid == 0 {
            ("/var/lib/dhow".into(), "/run/dhow".into(), "/etc/dhow/daemon.toml".into())
        } else {
            let home = around.home.unwrap_or_else(|| "/".into());
            let data = around.data_home.unwrap_or_else(|| home.join(".local/share"));
            let config = around.config_home.unwrap_or_else(|| home.join(".config"));
            let data = data.join("dhow");
            let runtime = around.runtime_dir.map_or_else(|| data.join("run"), |runtime| runtime.join("dhow"));
            (data, runtime, config.join("dhow/daemon.toml"))
        };
        Self {
            data_root: around.data_root.unwrap_or(data_root),
            exec_root: around.exec_root.unwrap_or(exec_root),
            config_file,
        }
    }

    /// The address at which the engine listens and the client looks.
    pub(crate) fn default_host(&self) -> String {
        format!("unix://{}", self.exec_root.join("dhow.sock").display())
    }

    /// Folders with the certificates of registries, as Docker has them: first the one beside the configuration file that is
    /// in force, which lies in `folder`, then ours.
    pub(crate) fn certificates(&self, folder: &Path) -> Vec<PathBuf> {
        let own = self.config_file.with_file_name("certs.d");
        let stock = if own.starts_with("/etc") {
            "/etc/docker/certs.d".into()
        } else {
            // Where rootless Docker looks: beside our own folder in the user's configuration.
            own.parent().and_then(Path::parent).map_or_else(PathBuf::new, |config| config.join("docker/certs.d"))
        };
        vec![folder.join("certs.d"), own, stock]
    }

    pub(crate) fn pidfile(&self) -> PathBuf {
        self.exec_root.join("dhow.pid")
    }
}

/// A folder that nobody else can have put anything into, made if it is missing. In `/tmp` anybody could have been first,
/// and would get what we say to the engine.
fn own_folder(path: &Path, uid: u32) -> Option<PathBuf> {
    // It may be there already; what counts is what is there then.
    let _ = fs::DirBuilder::new().mode(0o700).create(path);
    let found = fs::symlink_metadata(path).ok()?;
    let ours = found.is_dir() && found.uid() == uid && found.mode() & 0o022 == 0;
    ours.then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_others_can_write_is_not_ours() {
        let folder = tempfile::tempdir().expect("a folder");
        let (ours, open) = (folder.path().join("ours"), folder.path().join("open"));
        let uid = rustix::process::geteuid().as_raw();
        assert_eq!(own_folder(&ours, uid), Some(ours.clone()));
        assert_eq!(own_folder(&ours, uid + 1), None);
        fs::create_dir(&open).expect("made");
        fs::set_permissions(&open, std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("opened");
        assert_eq!(own_folder(&open, uid), None);
    }

    #[test]
    fn root_has_the_systems_places() {
        let paths = Paths::of(Surroundings { home: Some("/root".into()), ..Surroundings::default() });
        assert_eq!(paths.default_host(), "unix:///run/dhow/dhow.sock");
        assert_eq!(paths.data_root, PathBuf::from("/var/lib/dhow"));
    }

    #[test]
    fn an_ordinary_user_has_places_of_their_own() {
        let around = Surroundings { uid: 1000, home: Some("/home/u".into()), ..Surroundings::default() };
        let paths = Paths::of(around.clone());
        assert_eq!(paths.data_root, PathBuf::from("/home/u/.local/share/dhow"));
        assert_eq!(paths.exec_root, PathBuf::from("/home/u/.local/share/dhow/run"));
        let paths = Paths::of(Surroundings { runtime_dir: Some("/run/user/1000".into()), ..around });
        assert_eq!(paths.default_host(), "unix:///run/user/1000/dhow/dhow.sock");
    }

    #[test]
    fn variables_win() {
        let around =
            Surroundings { data_root: Some("/d".into()), exec_root: Some("/e".into()), ..Surroundings::default() };
        let paths = Paths::of(around);
        assert_eq!((paths.data_root, paths.exec_root), (PathBuf::from("/d"), PathBuf::from("/e")));
    }
}
