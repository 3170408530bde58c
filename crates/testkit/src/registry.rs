//! Debian's registry on a loopback port.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::eventually;

/// bcrypt of the password, as `htpasswd -B` writes it.
const USERS: &str = "me:$2y$05$51AZPLPR9ME.PF36wd4riOtGozsj1GA0XONbW/iW5tgH4lkzDYJjK\n";

/// A registry (package docker-registry) that lives as long as the test.
#[derive(Debug)]
pub struct Registry {
    child: Child,
    port: u16,
    _folder: TempDir,
}

impl Registry {
    /// Starts one that is open to all, empty and without TLS.
    #[must_use]
    pub fn start() -> Self {
        Self::with(|_| String::new())
    }

    /// The same for the user `me` with the password `secret`, and nobody else.
    #[must_use]
    pub fn guarded() -> Self {
        Self::with(|folder| {
            let users = folder.join("users");
            fs::write(&users, USERS).expect("written");
            format!("auth:\n  htpasswd:\n    realm: test\n    path: {}\n", users.display())
        })
    }

    fn with(more: impl FnOnce(&Path) -> String) -> Self {
        crate::isolate();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let port = free_port();
        let config = format!(
            "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: 127.0.0.1:{port}\n{}",
            folder.path().join("data").display(),
            more(folder.path())
        );
        let path = folder.path().join("config.yml");
        fs::write(&path, config).expect("a configuration");
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(&path).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("install the package docker-registry: the tests pull from it");
        eventually("the registry answers", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Self { child, port, _folder: folder }
    }

    /// `host:port`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// A name in it, as in `127.0.0.1:41234/app:1`.
    #[must_use]
    pub fn name(&self, rest: &str) -> String {
        format!("127.0.0.1:{}/{rest}", self.port)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // Our own child: it is there until it is waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("bound").port()
}
