//! Where an engine keeps its things when nobody says: the system's places for root, the XDG base directories else.

use std::env;
use std::path::PathBuf;

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

impl Paths {
    /// The places for the user who runs this process.
    pub(crate) fn of_this_user() -> Self {
        let path = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        Self::of(Surroundings {
            uid: rustix::process::geteuid().as_raw(),
            data_root: path(DATA_ROOT_VARIABLE),
            exec_root: path(EXEC_ROOT_VARIABLE),
            home: path("HOME"),
            data_home: path("XDG_DATA_HOME"),
            config_home: path("XDG_CONFIG_HOME"),
            runtime_dir: path("XDG_RUNTIME_DIR"),
        })
    }

    fn of(around: Surroundings) -> Self {
        let (data_root, exec_root, config_file) = if around.uid == 0 {
            ("/var/lib/dhow".into(), "/run/dhow".into(), "/etc/dhow/daemon.toml".into())
        } else {
            let home = around.home.unwrap_or_else(|| "/".into());
            let data = around.data_home.unwrap_or_else(|| home.join(".local/share"));
            let config = around.config_home.unwrap_or_else(|| home.join(".config"));
            let runtime = around.runtime_dir.unwrap_or_else(|| format!("/tmp/dhow-{}", around.uid).into());
            (data.join("dhow"), runtime.join("dhow"), config.join("dhow/daemon.toml"))
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

    pub(crate) fn pidfile(&self) -> PathBuf {
        self.exec_root.join("dhow.pid")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(paths.exec_root, PathBuf::from("/tmp/dhow-1000/dhow"));
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
