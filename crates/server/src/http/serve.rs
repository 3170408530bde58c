//! Doors and how long they are open.

use std::sync::Arc;
use std::time::Duration;

use dhow_engine::Engine;
use dhow_errdefs::{Error, Result};
use hyper::header::HeaderValue;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::handover::Handovers;
use super::network::Stranger;
use super::turns::Turns;
use super::{Context, NetworkDoor, connection};

/// How long requests that are going on may take after the server was told to end. What they asked of the engine goes on
/// without them; only streams (logs, events, wait) last longer than this.
const LAST_ANSWERS: Duration = Duration::from_millis(500);
/// Each holds a thread, of which the runtime has 512 for everything that waits for the disk.
const ARCHIVES_AT_ONCE: usize = 32;
/// Pause after an accept failed for want of descriptors or memory.
const BREATH: Duration = Duration::from_millis(100);

/// A door.
#[derive(Debug)]
pub enum Listener {
    /// A unix socket; its file's mode says who may come in.
    Unix(UnixListener),
    /// A TCP port.
    Network(NetworkDoor),
}

/// Who came to a door.
enum Visitor {
    Local(UnixStream),
    Remote(Stranger),
}

impl Listener {
    async fn accept(&self) -> std::io::Result<Visitor> {
        match self {
            Self::Unix(listener) => listener.accept().await.map(|(stream, _)| Visitor::Local(stream)),
            Self::Network(door) => door.accept().await.map(Visitor::Remote),
        }
    }
}

/// Answers on all listeners until `shutdown` resolves, then finishes what is going on.
///
/// Sockets that were handed to containers (attach, exec) are not touched by the end.
///
/// # Errors
/// [`InvalidArgument`](dhow_errdefs::Class::InvalidArgument) if there is no listener.
pub async fn serve(engine: Arc<Engine>, listeners: Vec<Listener>, shutdown: impl Future<Output = ()>) -> Result<()> {
    if listeners.is_empty() {
        return Err(Error::invalid("no address to listen on"));
    }
    let server = HeaderValue::try_from(format!("dhow/{} (linux)", engine.config().version))
        .map_err(|cause| Error::invalid("the version cannot be written into a header").with_cause(cause))?;
    let archives = Arc::new(Turns::new(ARCHIVES_AT_ONCE));
    let context = Arc::new(Context { engine, handovers: Handovers::default(), archives, server });
    let (end, ended) = watch::channel(false);
    let ended = End(ended);
    let mut doors = JoinSet::new();
    for listener in listeners {
        doors.spawn(accept(Arc::clone(&context), listener, ended.clone()));
    }
    shutdown.await;
    end.send_replace(true);
    doors.join_all().await;
    Ok(())
}

/// The end of the server, which can be waited for.
#[derive(Debug, Clone)]
pub(super) struct End(watch::Receiver<bool>);

impl End {
    pub(super) async fn wait(&mut self) {
        // A sender that is gone means the same.
        drop(self.0.wait_for(|ended| *ended).await);
    }
}

/// Accepts until the end, then gives the open connections a moment.
async fn accept(context: Arc<Context>, listener: Listener, ended: End) {
    let mut end = ended.clone();
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(Visitor::Local(stream)) => {
                    drop(connections.spawn(connection::serve(Arc::clone(&context), stream, ended.clone())));
                }
                Ok(Visitor::Remote(stranger)) => {
                    drop(connections.spawn(remote(Arc::clone(&context), stranger, ended.clone())));
                }
                Err(error) if connection::is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::error!("accept a connection: {error}");
                    tokio::time::sleep(BREATH).await;
                }
            },
            Some(_) = connections.join_next() => {}
            () = end.wait() => break,
        }
    }
    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    drop(tokio::time::timeout(LAST_ANSWERS, all).await);
}

async fn remote(context: Arc<Context>, stranger: Stranger, ended: End) {
    match stranger.admit().await {
        Ok((stream, relay)) => {
            tokio::join!(connection::serve(context, stream, ended), relay);
        }
        Err(error) => tracing::debug!("a client from the network was not let in: {error}"),
    }
}
