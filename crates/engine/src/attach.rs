//! Connecting clients to a container's streams.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use dhow_errdefs::{Result, ResultExt};
use dhow_logs::{Reader, Step, Stream};
use dhow_shim::protocol;

use crate::container::{Attachment, Command, Container};
use crate::core::Core;
use crate::{AttachOptions, ClientStream, LogOptions};

/// The bytes of a key sequence; Docker's default where none is given.
pub(crate) fn detach_keys(text: Option<&str>) -> Result<Vec<u8>> {
    match text {
        None | Some("") => Ok(dhow_shim::detach::DEFAULT_KEYS.to_vec()),
        Some(text) => dhow_shim::detach::parse_keys(text),
    }
}

impl Core {
    /// Sends what was logged, if that is wanted, and hands the socket over.
    pub(crate) async fn attach(
        self: Arc<Self>,
        container: Arc<Container>,
        options: AttachOptions,
        stream: ClientStream,
    ) -> Result<()> {
        let spec = Arc::clone(&container.view().spec);
        let keys = detach_keys(options.detach_keys.as_deref())?;
        let mut stream = stream;
        if options.logs {
            let log = crate::logs::open(&self, &container, &replay(&options))?;
            stream = tokio::task::spawn_blocking(move || send_log(stream, log, spec.tty))
                .await
                .map_err(|error| dhow_errdefs::Error::internal("send the log").with_cause(error))??;
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

/// Writes a log to a client as its container would have written it. Blocks as long as the client does not read.
fn send_log(stream: ClientStream, log: Option<Reader>, tty: bool) -> Result<ClientStream> {
    let Some(mut log) = log else { return Ok(stream) };
    let socket = UnixStream::from(stream.fd);
    socket.set_nonblocking(false).context(|| "prepare the client's connection")?;
    while let Step::Entry(entry) = log.read()? {
        let mut bytes = Vec::with_capacity(entry.line.len() + 8);
        if !tty {
            bytes.extend([if entry.stream == Stream::Stdout { 1 } else { 2 }, 0, 0, 0]);
            bytes.extend(u32::try_from(entry.line.len()).unwrap_or(u32::MAX).to_be_bytes());
        }
        bytes.extend(&entry.line);
        (&socket).write_all(&bytes).context(|| "send the log to the client")?;
    }
    Ok(ClientStream { fd: socket.into(), leftover: stream.leftover })
}
