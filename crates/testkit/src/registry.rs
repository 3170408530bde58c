//! Debian's registry on a loopback port.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::{TokenServer, eventually};

/// bcrypt of the password, as `htpasswd -B` writes it.
const USERS: &str = "me:$2y$05$51AZPLPR9ME.PF36wd4riOtGozsj1GA0XONbW/iW5tgH4lkzDYJjK\n";

/// A registry (package docker-registry) that lives as long as the test.
#[derive(Debug)]
pub struct Registry {
    child: Child,
    address: String,
    folder: TempDir,
}

impl Registry {
    /// Starts one that is open to all, empty and without TLS.
    #[must_use]
    pub fn start() -> Self {
        Self::with("127.0.0.1", |_| String::new())
    }

    /// The same at another of this network's addresses.
    #[must_use]
    pub fn at(host: &str) -> Self {
        Self::with(host, |_| String::new())
    }

    /// One that speaks TLS only, with `cert.pem` and `key.pem` of a folder, and takes clients only whose certificates come
    /// from its `ca.pem`.
    #[must_use]
    pub fn secure(host: &str, certificates: &Path) -> Self {
        Self::with(host, |_| tls(certificates))
    }

    /// The same that takes only what that server gives, which speaks without TLS.
    #[must_use]
    pub fn secure_with_tokens(host: &str, certificates: &Path, server: &TokenServer) -> Self {
        Self::with(host, |_| tls(certificates) + &server.section())
    }

    /// The same that sends everybody to a token server at that address.
    #[must_use]
    pub fn secure_with_realm(host: &str, certificates: &Path, realm: &str) -> Self {
        Self::with(host, |_| tls(certificates) + &tokens(realm, &certificates.join("cert.pem")))
    }

    /// The same for the user `me` with the password `secret`, and nobody else.
    #[must_use]
    pub fn guarded() -> Self {
        Self::with("127.0.0.1", |folder| {
            let users = folder.join("users");
            fs::write(&users, USERS).expect("written");
            format!("auth:\n  htpasswd:\n    realm: test\n    path: {}\n", users.display())
        })
    }

    /// One that takes only what that server gives.
    #[must_use]
    pub fn with_tokens(server: &TokenServer) -> Self {
        Self::with("127.0.0.1", |_| server.section())
    }

    fn with(host: &str, more: impl FnOnce(&Path) -> String) -> Self {
        crate::isolate();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let address = format!("{host}:{}", free_port());
        let config = format!(
            "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: {address}\n{}",
            folder.path().join("data").display(),
            more(folder.path())
        );
        let path = folder.path().join("config.yml");
        fs::write(&path, config).expect("a configuration");
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(&path).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("install the package docker-registry: the tests pull from it");
        eventually("the registry answers", || TcpStream::connect(&address).is_ok());
        Self { child, address, folder }
    }

    /// Where it keeps what it has.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// `host:port`.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.clone()
    }

    /// A name in it, as in `127.0.0.1:41234/app:1`.
    #[must_use]
    pub fn name(&self, rest: &str) -> String {
        format!("{}/{rest}", self.address)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // Our own child: it is there until it is waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a registry needs for TLS, from a folder.
fn tls(certificates: &Path) -> String {
    let file = |name: &str| certificates.join(name).display().to_string();
    let (certificate, key, authority) = (file("cert.pem"), file("key.pem"), file("ca.pem"));
    format!("  tls:\n    certificate: {certificate}\n    key: {key}\n    clientcas:\n      - {authority}\n")
}

/// What a registry needs to take what a token server gives: where that is, and its certificate.
pub(crate) fn tokens(realm: &str, certificate: &Path) -> String {
    let certificate = certificate.display();
    format!(
        "auth:\n  token:\n    realm: {realm}\n    service: test\n    issuer: test\n    rootcertbundle: {certificate}\n"
    )
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("bound").port()
}
