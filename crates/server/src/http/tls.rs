//! TLS that knows both sides: the engine shows its certificate, and only clients with one of the authority's come in.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use dhow_errdefs::{Error, Result};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

/// The PEM files of a door to the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The authority that signs clients' certificates.
    pub authority: PathBuf,
    /// The engine's certificate, those of its issuers behind it.
    pub certificate: PathBuf,
    /// The key that belongs to it.
    pub key: PathBuf,
}

/// What is in the files; read again on demand, so that certificates can be renewed under a running engine.
#[derive(Debug, Clone)]
pub struct Tls {
    files: TlsFiles,
    current: Arc<RwLock<Arc<ServerConfig>>>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// A file is missing or is not what it should be; the text names it.
    pub fn load(files: TlsFiles) -> Result<Self> {
        let current = Arc::new(RwLock::new(Arc::new(read(&files)?)));
        Ok(Self { files, current })
    }

    /// Reads the files again. New connections use what is in them; after an error the old certificates stay in force.
    ///
    /// # Errors
    /// As [`Tls::load`].
    pub fn reload(&self) -> Result<()> {
        let fresh = Arc::new(read(&self.files)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

fn read(files: &TlsFiles) -> Result<ServerConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    for authority in certificates(&files.authority)? {
        roots.add(authority).map_err(|cause| unusable(&files.authority, cause))?;
    }
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let clients = clients.build().map_err(|cause| unusable(&files.authority, cause))?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|cause| unusable(&files.key, cause))?;
    let chain = certificates(&files.certificate)?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|cause| Error::internal("choose versions of TLS").with_cause(cause))?
        .with_client_cert_verifier(clients)
        .with_single_cert(chain, key)
        .map_err(|cause| unusable(&files.certificate, cause))?;
    // Hijacked connections are HTTP/1.1.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn certificates(path: &PathBuf) -> Result<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<std::result::Result<Vec<_>, _>>);
    match read.map_err(|cause| unusable(path, cause))? {
        none if none.is_empty() => Err(Error::invalid(format!("{}: no certificate in it", path.display()))),
        some => Ok(some),
    }
}

fn unusable(path: &std::path::Path, cause: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::invalid(format!("use {} for TLS", path.display())).with_cause(cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_missing_or_empty_are_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = TlsFiles {
            authority: folder.path().join("ca.pem"),
            certificate: folder.path().join("cert.pem"),
            key: folder.path().join("key.pem"),
        };
        let missing = Tls::load(files.clone()).expect_err("missing").to_string();
        assert!(missing.contains("ca.pem"), "{missing}");
        std::fs::write(&files.authority, "nothing\n").expect("written");
        let empty = Tls::load(files).expect_err("empty").to_string();
        assert!(empty.contains("ca.pem: no certificate in it"), "{empty}");
    }
}
