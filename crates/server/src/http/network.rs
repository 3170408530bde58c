//! The door to the network.
//!
//! Everything behind a door works on unix sockets: a hijacked connection travels as a file descriptor into the shim, which
//! knows no TLS. So TLS ends here, at a relay between the client and a pair of unix sockets, and nothing else has to know
//! that there is a network.
//!
//! A stranger costs little: handshakes are bounded in number and time, and so are connections; the keep-alive of TCP finds
//! those whose other side has gone without a word.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::sockopt;
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional_with_sizes};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Tls;

/// How long a client may take to show its certificate.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Handshakes that go on at the same time on one port; more wait in the kernel.
const HANDSHAKES: usize = 256;
/// Connections of one port at the same time; more wait in the kernel.
const CONNECTIONS: usize = 4096;
/// Bytes on their way in each direction: one record of TLS.
const RELAYED: usize = 16 * 1024;
/// Silence after which TCP asks whether the other side is still there, how often it asks, and the pause between.
const SILENCE: Duration = Duration::from_secs(60);
const QUESTIONS: u32 = 4;
const PAUSE: Duration = Duration::from_secs(15);

/// A TCP port and who may come in.
#[derive(Debug)]
pub struct NetworkDoor {
    listener: TcpListener,
    /// Without it everybody who reaches the port rules the machine: whoever opens the door decides that.
    tls: Option<Tls>,
    handshakes: Arc<Semaphore>,
    connections: Arc<Semaphore>,
}

/// A client that has not shown its certificate yet.
pub(super) struct Stranger {
    stream: TcpStream,
    tls: Option<Tls>,
    handshake: OwnedSemaphorePermit,
    connection: OwnedSemaphorePermit,
}

impl NetworkDoor {
    /// A door on a port.
    #[must_use]
    pub fn new(listener: TcpListener, tls: Option<Tls>) -> Self {
        let (handshakes, connections) = (Semaphore::new(HANDSHAKES), Semaphore::new(CONNECTIONS));
        Self { listener, tls, handshakes: Arc::new(handshakes), connections: Arc::new(connections) }
    }

    pub(super) async fn accept(&self) -> io::Result<Stranger> {
        let permit = |of: &Arc<Semaphore>| Arc::clone(of).acquire_owned();
        let closed = |_| io::Error::other("the door is closed");
        let connection = permit(&self.connections).await.map_err(closed)?;
        let handshake = permit(&self.handshakes).await.map_err(closed)?;
        let (stream, _) = self.listener.accept().await?;
        Ok(Stranger { stream, tls: self.tls.clone(), handshake, connection })
    }
}

impl Stranger {
    /// Lets the client in: gives the socket on which it is served, and the relay that is to run beside.
    pub(super) async fn admit(self) -> io::Result<(UnixStream, impl Future<Output = ()>)> {
        let Self { stream, tls, handshake, connection } = self;
        stream.set_nodelay(true)?;
        keep_alive(&stream)?;
        let client = match tls {
            None => Client::Plain(stream),
            Some(tls) => {
                let shaken = tokio::time::timeout(HANDSHAKE, tls.acceptor().accept(stream)).await;
                Client::Tls(Box::new(shaken.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??))
            }
        };
        drop(handshake);
        let (served, inner) = UnixStream::pair()?;
        let relay = async move {
            match client {
                Client::Plain(stream) => relay(stream, inner).await,
                Client::Tls(stream) => relay(*stream, inner).await,
            }
            drop(connection);
        };
        Ok((served, relay))
    }
}

enum Client {
    Plain(TcpStream),
    Tls(Box<tokio_rustls::server::TlsStream<TcpStream>>),
}

/// Moves bytes until both directions are done; the end of one direction is passed on while the other goes on.
async fn relay(mut outer: impl AsyncRead + AsyncWrite + Unpin, mut inner: UnixStream) {
    // Whoever breaks off does so to us as to the server, which has seen it by then.
    drop(copy_bidirectional_with_sizes(&mut outer, &mut inner, RELAYED, RELAYED).await);
}

fn keep_alive(stream: &TcpStream) -> io::Result<()> {
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, SILENCE)?;
    sockopt::set_tcp_keepcnt(stream, QUESTIONS)?;
    sockopt::set_tcp_keepintvl(stream, PAUSE)?;
    Ok(())
}
