//! An authority and the certificates it signs, made by the `openssl` program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use dhow_testkit::finish;
use tempfile::TempDir;

/// A folder with `ca.pem`, and below it `engine/` and `client/` with `ca.pem`, `cert.pem` and `key.pem` each.
pub(crate) struct Certificates {
    folder: TempDir,
}

impl Certificates {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let made = Self { folder };
        made.openssl("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -subj /CN=ca -days 2");
        made.sign("engine", "subjectAltName=IP:127.0.0.1,IP:192.0.2.7,DNS:localhost\nextendedKeyUsage=serverAuth");
        made.sign("client", "extendedKeyUsage=clientAuth");
        made
    }

    /// A folder with a certificate that signs itself, as people make it for a registry of their own.
    pub(crate) fn self_signed(&self) -> PathBuf {
        let folder = self.path("self");
        fs::create_dir_all(&folder).expect("made");
        self.openssl("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout self/key.pem -out self/cert.pem -subj /CN=self -days 2 -addext subjectAltName=IP:127.0.0.1,IP:192.0.2.7,DNS:localhost");
        fs::copy(self.path("ca.pem"), folder.join("ca.pem")).expect("copied");
        folder
    }

    fn sign(&self, who: &str, extensions: &str) {
        let folder = self.path(who);
        fs::create_dir_all(&folder).expect("made");
        fs::write(folder.join("ext"), extensions).expect("written");
        self.openssl(&format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {who}/key.pem -out {who}/request -subj /CN={who}"
        ));
        self.openssl(&format!(
            "x509 -req -in {who}/request -CA ca.pem -CAkey ca.key -CAcreateserial -out {who}/cert.pem -days 2 -extfile {who}/ext"
        ));
        fs::copy(self.path("ca.pem"), folder.join("ca.pem")).expect("copied");
    }

    fn openssl(&self, line: &str) {
        finish(Command::new("openssl").args(line.split(' ')).current_dir(self.folder.path())).exits(0);
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The words for TLS with what is in a folder.
    pub(crate) fn flags(folder: &Path) -> Vec<String> {
        let file = |flag: &str, name: &str| format!("--{flag}={}", folder.join(name).display());
        vec![
            "--tlsverify".to_owned(),
            file("tlscacert", "ca.pem"),
            file("tlscert", "cert.pem"),
            file("tlskey", "key.pem"),
        ]
    }
}
