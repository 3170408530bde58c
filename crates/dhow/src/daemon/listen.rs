//! The doors: sockets on which the engine listens.

use std::fs;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_server::{Listener, NetworkDoor, Tls};
use tokio::net::{TcpListener, UnixListener};

use super::activation::{self, Inherited};
use super::address::Address;
use super::settings::Settings;

/// Groups that get the socket when nobody names one, the first that there is.
const USUAL_GROUPS: [&str; 2] = ["dhow", "docker"];

/// How to open the doors.
#[derive(Debug)]
pub(crate) struct Doors {
    pub(crate) addresses: Vec<Address>,
    pub(crate) group: Option<String>,
    /// Set if every client from the network has to show a certificate.
    pub(crate) tls: Option<Tls>,
    /// Somebody said that whoever can reach the loopback port may rule this machine.
    pub(crate) insecure_on_loopback: bool,
    pub(crate) inherited: Vec<Inherited>,
}

impl Doors {
    /// Takes what the settings say about doors, and sees whether they can be opened.
    pub(crate) fn of(settings: &mut Settings, inherited: Vec<Inherited>) -> Result<Self> {
        let doors = Self {
            addresses: std::mem::take(&mut settings.addresses),
            group: settings.group.take(),
            tls: settings.tls.take().map(Tls::load).transpose()?,
            insecure_on_loopback: settings.insecure_on_loopback,
            inherited,
        };
        doors.check()?;
        Ok(doors)
    }

    /// Refuses what would let anybody in, and a group that there is not.
    fn check(&self) -> Result<()> {
        group_of_socket(self.group.as_deref())?;
        match self.addresses.iter().find(|address| self.is_open_to_all(address)) {
            None => Ok(()),
            Some(Address::Tcp(address)) => Err(refused(&format!("tcp://{address}"), address.ip().is_loopback())),
            Some(_) => Err(refused("fd://", false)),
        }
    }

    fn is_open_to_all(&self, address: &Address) -> bool {
        let plain = matches!(address, Address::Tcp(_)) && self.tls.is_none();
        plain && !(self.insecure_on_loopback && address.is_loopback())
    }

    /// Opens every door. The files that this makes are ours until the second is dropped.
    pub(crate) fn open(mut self) -> Result<(Vec<Listener>, Vec<SocketFile>)> {
        let (mut listeners, mut files) = (Vec::new(), Vec::new());
        for address in std::mem::take(&mut self.addresses) {
            match &address {
                Address::Unix(path) => {
                    listeners.push(Listener::Unix(unix(path, self.group.as_deref())?));
                    files.push(SocketFile::of(path));
                }
                Address::Tcp(address) => listeners.push(self.tcp(*address)?),
                Address::Inherited(which) => {
                    for socket in activation::choose(&mut self.inherited, which.as_deref())? {
                        listeners.push(self.inherited(socket)?);
                    }
                }
            }
        }
        Ok((listeners, files))
    }

    fn tcp(&self, address: SocketAddr) -> Result<Listener> {
        let step = || format!("listen on tcp://{address}");
        let listener = std::net::TcpListener::bind(address).context(step)?;
        listener.set_nonblocking(true).context(step)?;
        let listener = TcpListener::from_std(listener).context(step)?;
        Ok(Listener::Network(NetworkDoor::new(listener, self.tls.clone())))
    }

    fn inherited(&self, socket: OwnedFd) -> Result<Listener> {
        let step = || "listen on an inherited socket";
        rustix::io::ioctl_fionbio(&socket, true).map_err(std::io::Error::from).context(step)?;
        if activation::is_unix(&socket)? {
            return Ok(Listener::Unix(UnixListener::from_std(socket.into()).context(step)?));
        }
        let listener = std::net::TcpListener::from(socket);
        let address = Address::Tcp(listener.local_addr().context(step)?);
        if self.is_open_to_all(&address) {
            return Err(refused("fd://", address.is_loopback()));
        }
        let listener = TcpListener::from_std(listener).context(step)?;
        Ok(Listener::Network(NetworkDoor::new(listener, self.tls.clone())))
    }
}

fn refused(address: &str, loopback: bool) -> Error {
    let refused = format!(
        "refusing to listen on {address} without TLS that verifies clients: whoever can reach the port would be root on \
         this machine"
    );
    let certificates = "give --tlsverify with --tlscacert, --tlscert and --tlskey, or use ssh:// to a unix socket";
    Error::denied(refused).with_hint(match loopback {
        false => certificates.to_owned(),
        true => format!(
            "{certificates}; --insecure-tcp-on-loopback opens it to every user and every web page of this machine"
        ),
    })
}

/// The file of a socket that this engine has made. Removed when dropped, if it is still that: an engine that comes next
/// does not wait for the end of this one, and has put its own in the place.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    made: Option<Identity>,
}

/// Device and number of a file, and when it was made: a number is given again, perhaps at once. Who changes the owner of a
/// socket or its mode changes none of it.
type Identity = (u64, u64, (i64, i64));

impl SocketFile {
    fn of(path: &Path) -> Self {
        Self { path: path.to_owned(), made: identity(path) }
    }
}

fn identity(path: &Path) -> Option<Identity> {
    let file = fs::symlink_metadata(path).ok()?;
    Some((file.dev(), file.ino(), (file.mtime(), file.mtime_nsec())))
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.made.is_some() && self.made == identity(&self.path) {
            drop(fs::remove_file(&self.path));
        }
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
    // The group first: until both are done, the file lets nobody in but its owner (umask 022).
    give_to(path, group_of_socket(group)?, group.is_some()).context(step)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o660)).context(step)?;
    Ok(listener)
}

/// Gives the socket to a group. One that nobody named may be none of ours: the user namespace of an ordinary user's
/// engine has few groups, and then the socket stays its owner's.
fn give_to(path: &Path, group: Option<u32>, named: bool) -> std::io::Result<()> {
    match group.map(|group| std::os::unix::fs::chown(path, None, Some(group))) {
        Some(Err(error)) if named => Err(error),
        _ => Ok(()),
    }
}

/// The group that was named, or a usual one where we may give files away.
fn group_of_socket(named: Option<&str>) -> Result<Option<u32>> {
    let table = || fs::read_to_string("/etc/group").context(|| "read /etc/group");
    match named {
        Some("") => Ok(None),
        Some(name) => group_id(name, &table()?).map(Some),
        None if rustix::process::geteuid().is_root() => {
            let table = table().unwrap_or_default();
            Ok(USUAL_GROUPS.iter().find_map(|group| group_id(group, &table).ok()))
        }
        None => Ok(None),
    }
}

/// A group's number; read from the file, because a static binary has no NSS.
fn group_id(group: &str, table: &str) -> Result<u32> {
    if let Ok(number) = group.parse() {
        return Ok(number);
    }
    let mut rows = table.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let row = rows.find(|row| row.first() == Some(&group));
    row.and_then(|row| row.get(2)?.parse().ok())
        .ok_or_else(|| Error::not_found(format!("group {group} not found in /etc/group")).with_hint("give its number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_of_an_engine_that_came_since_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("sock");
        let bind = || {
            let listener = std::os::unix::net::UnixListener::bind(&path).expect("bound");
            (listener, SocketFile::of(&path))
        };
        let (listener, old) = bind();
        drop(listener);
        fs::remove_file(&path).expect("as an engine does that finds nobody there");
        let (_listener, new) = bind();
        drop(old);
        assert!(UnixStream::connect(&path).is_ok());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("changed");
        drop(new);
        assert!(!path.exists());
    }

    fn doors(address: &str, insecure_on_loopback: bool) -> Doors {
        let addresses = vec![Address::parse(address, false).expect("good")];
        Doors { addresses, group: None, tls: None, insecure_on_loopback, inherited: Vec::new() }
    }

    #[test]
    fn plain_tcp_is_refused_unless_somebody_insists_on_loopback() {
        assert!(doors("unix:///a", false).check().is_ok());
        let error = doors("tcp://127.0.0.1:1", false).check().expect_err("plain");
        assert!(error.hint().expect("a hint").contains("--insecure-tcp-on-loopback"), "{error}");
        assert!(doors("tcp://127.0.0.1:1", true).check().is_ok());
        let error = doors("tcp://0.0.0.0:1", true).check().expect_err("open to all");
        assert!(error.to_string().starts_with("refusing to listen on tcp://0.0.0.0:1 without TLS"), "{error}");
        assert!(!error.hint().expect("a hint").contains("insecure"), "{error}");
    }

    #[test]
    fn groups_are_names_or_numbers() {
        let table = "root:x:0:\ndocker:x:106:me\n";
        assert_eq!(group_id("7", table).expect("a number"), 7);
        assert_eq!(group_id("docker", table).expect("a name"), 106);
        assert!(group_id("no-such-group", table).is_err());
    }
}
