//! The doors: sockets on which the engine listens.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_server::Listener;
use tokio::net::UnixListener;

/// Opens every address. Only unix sockets yet: a door to the network needs TLS.
pub(crate) fn all(hosts: &[String], group: Option<&str>) -> Result<Vec<Listener>> {
    hosts.iter().map(|host| unix(&socket_path(host)?, group).map(Listener::Unix)).collect()
}

/// Removes the sockets' files; a missing one is no fault.
pub(crate) fn remove(hosts: &[String]) {
    hosts.iter().filter_map(|host| socket_path(host).ok()).for_each(|path| drop(fs::remove_file(path)));
}

fn socket_path(host: &str) -> Result<PathBuf> {
    match host.strip_prefix("unix://") {
        Some(path) if path.starts_with('/') => Ok(PathBuf::from(path)),
        _ => Err(Error::invalid(format!("invalid bind address ({host})"))
            .with_hint("an address is unix:///path/of/a/socket; tcp:// is not supported yet")),
    }
}

fn unix(path: &Path, group: Option<&str>) -> Result<UnixListener> {
    let step = || format!("listen on {}", path.display());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).context(step)?;
    }
    if UnixStream::connect(path).is_ok() {
        return Err(Error::already_exists(format!("{}: another engine answers there", step())));
    }
    drop(fs::remove_file(path));
    let listener = UnixListener::bind(path).context(step)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o660)).context(step)?;
    if let Some(group) = group {
        std::os::unix::fs::chown(path, None, Some(group_id(group)?)).context(step)?;
    }
    Ok(listener)
}

/// A group's number; read from the file, because a static binary has no NSS.
fn group_id(group: &str) -> Result<u32> {
    if let Ok(number) = group.parse() {
        return Ok(number);
    }
    let table = fs::read_to_string("/etc/group").context(|| "read /etc/group")?;
    let mut rows = table.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let row = rows.find(|row| row.first() == Some(&group));
    row.and_then(|row| row.get(2)?.parse().ok())
        .ok_or_else(|| Error::not_found(format!("group {group} not found in /etc/group")).with_hint("give its number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_absolute_unix_addresses_are_taken() {
        assert_eq!(socket_path("unix:///a/b").expect("good"), PathBuf::from("/a/b"));
        for bad in ["tcp://127.0.0.1:2375", "unix://relative", "/a/b"] {
            assert!(socket_path(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn groups_are_names_or_numbers() {
        assert_eq!(group_id("0").expect("a number"), 0);
        assert_eq!(group_id("root").expect("a name"), 0);
        assert!(group_id("no-such-group").is_err());
    }
}
