//! TLS to the engine.

use std::io;
use std::sync::Arc;

use dhow_errdefs::Result;
use dhow_tls::TlsMaterial;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::copy_bidirectional_with_sizes;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use crate::helper::Trouble;

/// Bytes on their way in each direction: one record of TLS.
const RELAYED: usize = 16 * 1024;

/// How to speak TLS to one engine.
#[derive(Debug, Clone)]
pub struct Tls(Arc<ClientConfig>);

impl Tls {
    /// Reads the material.
    ///
    /// # Errors
    /// A certificate or key cannot be used; the text says which.
    pub fn new(material: TlsMaterial<'_>) -> Result<Self> {
        let mut config = dhow_tls::client(material)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config)))
    }

    /// Shakes hands. What comes back is the plain end of a relay, because those who take connections over want a socket
    /// that threads can read and write; trouble that the relay has later is noted.
    pub(crate) async fn connect(&self, stream: TcpStream, name: &str, trouble: Trouble) -> io::Result<UnixStream> {
        let server = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        let mut outer = TlsConnector::from(Arc::clone(&self.0)).connect(server, stream).await?;
        let (ours, mut inner) = UnixStream::pair()?;
        tokio::spawn(async move {
            if let Err(error) = copy_bidirectional_with_sizes(&mut inner, &mut outer, RELAYED, RELAYED).await {
                trouble.note(&error.to_string());
            }
        });
        Ok(ours)
    }
}
