//! Connecting clients to a container's streams.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use dhow_errdefs::{Result, ResultExt};
use dhow_shim::protocol;
use rustix::net::{SendFlags, send};
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;

use crate::container::{Attachment, Command, Container};
use crate::core::Core;
use crate::{AttachOptions, ClientStream, LogEntry, LogOptions, readiness};

/// In bytes: what is gathered of a log before it is sent.
const PIECE: usize = 64 << 10;

/// The bytes of a key sequence; Docker's default where none is given.
pub(crate) fn detach_keys(text: Option<&str>) -> Result<Vec<u8>> {
    match text {
        None | Some("") => Ok(dhow_shim::detach::DEFAULT_KEYS.to_vec()),
        Some(text) => dhow_shim::detach::parse_keys(text),
    }
}

impl Core {
    /// Sends what was logged, if that is wanted, and hands the socket over; see [`crate::Engine::attach`].
    pub(crate) async fn attach(
        self: Arc<Self>,
        container: Arc<Container>,
        options: AttachOptions,
        mut stream: ClientStream,
        announced: impl Send,
    ) -> Result<()> {
        let keys = detach_keys(options.detach_keys.as_deref())?;
        let mut announced = Some(announced);
        if options.logs {
            let (log, tty) = (self.logs(&container, &replay(&options)).await?, container.view().spec.tty);
            stream = send_log(stream, log, tty, || drop(announced.take())).await?;
        }
        if !options.stream {
            return Ok(());
        }
        let spec = &container.view().spec;
        let wanted = protocol::Attach {
            stdin: options.stdin && spec.open_stdin,
            stdout: options.stdout,
            stderr: options.stderr,
            multiplex: !spec.tty,
            detach_keys: keys,
            leftover: Vec::new(),
        };
        let attachment = Attachment { container: Arc::clone(&container), stream, wanted };
        container.ask(|reply| Command::Attach(attachment, reply)).await
    }
}

fn replay(options: &AttachOptions) -> LogOptions {
    LogOptions { stdout: options.stdout, stderr: options.stderr, ..LogOptions::default() }
}

/// Writes a log to a client as its container would have written it. Waits for a client that does not read, without a
/// thread, and tells that it does.
async fn send_log(
    stream: ClientStream,
    mut log: mpsc::Receiver<Result<LogEntry>>,
    tty: bool,
    mut waits: impl FnMut() + Send,
) -> Result<ClientStream> {
    let step = || "send the log to the client";
    let socket = readiness::watch_socket(UnixStream::from(stream.fd)).context(step)?;
    let mut bytes = Vec::new();
    while let Some(entry) = log.recv().await {
        frame(&entry?, tty, &mut bytes);
        if log.is_empty() || bytes.len() >= PIECE {
            send_all(&socket, &bytes, &mut waits).await.context(step)?;
            bytes.clear();
        }
    }
    Ok(ClientStream { fd: socket.into_inner().into(), leftover: stream.leftover })
}

fn frame(entry: &LogEntry, tty: bool, bytes: &mut Vec<u8>) {
    if !tty {
        bytes.extend([if entry.stderr { 2 } else { 1 }, 0, 0, 0]);
        bytes.extend(u32::try_from(entry.line.len()).unwrap_or(u32::MAX).to_be_bytes());
    }
    bytes.extend(&entry.line);
}

async fn send_all(socket: &AsyncFd<UnixStream>, mut bytes: &[u8], waits: &mut (impl FnMut() + Send)) -> io::Result<()> {
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    while !bytes.is_empty() {
        let sent = match send(socket.get_ref(), bytes, flags) {
            Err(rustix::io::Errno::AGAIN) => {
                waits();
                let mut ready = socket.writable().await?;
                match ready.try_io(|socket| Ok(send(socket.get_ref(), bytes, flags)?)) {
                    Ok(sent) => sent?,
                    Err(_) => continue,
                }
            }
            sent => sent?,
        };
        bytes = &bytes[sent..];
    }
    Ok(())
}
