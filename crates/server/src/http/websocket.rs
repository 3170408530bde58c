//! Web sockets (RFC 6455) over a container's streams.
//!
//! The shim knows nothing of them: it gets one end of a pair of sockets, and what goes over the other is put into frames
//! here. So a session over a web socket ends with the engine, unlike one over a hijacked connection.

use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use dhow_engine::ClientStream;
use dhow_errdefs::{Error, Result, ResultExt};
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use hyper::header::{
    CONNECTION, HeaderMap, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use hyper::upgrade::OnUpgrade;
use hyper::{StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};

use super::{Response, respond};

/// Most bytes of a message from a client, in however many fragments it comes.
const MESSAGE: usize = 1 << 20;
/// Bytes of output that are put into one frame.
const PIECE: usize = 32 << 10;
/// How long a client may take to hear our goodbye and to answer it.
const GOODBYE: Duration = Duration::from_secs(2);

/// How a container's output becomes frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Framing {
    /// Docker's frames of eight bytes and a payload are to be taken off: a container without a terminal.
    pub(crate) multiplexed: bool,
    /// Text in place of binary frames, as before API 1.28.
    pub(crate) text: bool,
    /// The client's messages are input.
    pub(crate) stdin: bool,
}

type Taken = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

/// A request for a web socket that was checked.
pub(crate) struct WebSocket {
    upgrade: OnUpgrade,
    accept: HeaderValue,
}

impl WebSocket {
    /// Checks the client's half of the opening handshake (section 4.2.1).
    pub(crate) fn asked(headers: &HeaderMap, upgrade: Option<OnUpgrade>) -> Result<Self> {
        let is = |name: header::HeaderName, wanted: &str| {
            let value = headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
            value.split(',').any(|word| word.trim().eq_ignore_ascii_case(wanted))
        };
        if !is(UPGRADE, "websocket") || !is(CONNECTION, "upgrade") {
            return Err(Error::invalid("not websocket protocol"));
        }
        if !is(SEC_WEBSOCKET_VERSION, "13") {
            return Err(Error::invalid("unsupported websocket version: only 13 is spoken"));
        }
        let key = headers.get(SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes).filter(|key| key.len() == 24);
        let key = key.ok_or_else(|| Error::invalid("missing or bad Sec-WebSocket-Key"))?;
        let accept = HeaderValue::try_from(derive_accept_key(key)).expect("base64 is a header's value");
        let upgrade = upgrade.ok_or_else(|| Error::invalid("this connection cannot be upgraded"))?;
        Ok(Self { upgrade, accept })
    }

    /// Answers 101; `take` gets the socket that stands for the client.
    pub(crate) fn answer<T: Future<Output = Result<()>> + Send + 'static>(
        self,
        framing: Framing,
        take: impl FnOnce(ClientStream) -> T + Send + 'static,
    ) -> Response {
        let upgrade = self.upgrade;
        let take = Box::new(move |stream| -> Taken { Box::pin(take(stream)) });
        tokio::spawn(async move {
            if let Err(error) = serve(upgrade, framing, take).await {
                tracing::debug!("web socket: {error}");
            }
        });
        let mut response = respond::status_only(StatusCode::SWITCHING_PROTOCOLS);
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_ACCEPT, self.accept);
        response
    }
}

async fn serve(
    upgrade: OnUpgrade,
    framing: Framing,
    take: Box<dyn FnOnce(ClientStream) -> Taken + Send>,
) -> Result<()> {
    let upgraded = upgrade.await.map_err(|cause| Error::cancelled("upgrade a connection").with_cause(cause))?;
    let (ours, theirs) = UnixStream::pair().context(|| "make a pair of sockets")?;
    let theirs = theirs.into_std().context(|| "hand a socket over")?;
    // By itself, because it may have more to say of what was logged than a socket holds. Its failure ends the session.
    let taken = take(ClientStream { fd: OwnedFd::from(theirs), leftover: Vec::new() });
    tokio::spawn(async move { taken.await.inspect_err(|error| tracing::warn!("attach a web socket: {error}")) });
    // Frames without a mask are refused by default, as section 5.1 wants it.
    let limits = WebSocketConfig::default().max_message_size(Some(MESSAGE)).max_frame_size(Some(MESSAGE));
    let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(limits)).await;
    converse(socket.split(), ours.into_split(), framing).await;
    Ok(())
}

/// Moves bytes both ways until the client or the container has had enough.
async fn converse(
    (mut to_client, mut from_client): (impl Sink<Message> + Unpin, impl Stream<Item = Incoming> + Unpin),
    (mut output, mut input): (OwnedReadHalf, OwnedWriteHalf),
    framing: Framing,
) {
    let code = tokio::select! {
        () = send_output(&mut output, &mut to_client, framing) => CloseCode::Normal,
        code = take_input(&mut from_client, &mut input, framing.stdin) => code,
    };
    drop((output, input));
    let goodbye = async {
        // The client may be gone already, or read nothing of it.
        let _ = to_client.send(Message::Close(Some(CloseFrame { code, reason: "".into() }))).await;
        while from_client.next().await.is_some_and(|message| message.is_ok()) {}
    };
    drop(tokio::time::timeout(GOODBYE, goodbye).await);
}

type Incoming = std::result::Result<Message, SocketError>;

/// Takes messages until the client closes or breaks the rules; says with which code that is to be answered.
async fn take_input(
    messages: &mut (impl Stream<Item = Incoming> + Unpin),
    input: &mut OwnedWriteHalf,
    stdin: bool,
) -> CloseCode {
    loop {
        match messages.next().await {
            Some(Ok(message @ (Message::Binary(_) | Message::Text(_)))) if stdin => {
                // A program that reads no more hinders nobody from listening to it.
                let _ = input.write_all(&message.into_data()).await;
            }
            Some(Ok(Message::Close(_))) | None => return CloseCode::Normal,
            // Pings are answered below us.
            Some(Ok(_)) => {}
            Some(Err(SocketError::Capacity(_))) => return CloseCode::Size,
            Some(Err(SocketError::Utf8(_))) => return CloseCode::Invalid,
            Some(Err(_)) => return CloseCode::Protocol,
        }
    }
}

/// Sends what the container writes until it ends or the client is gone.
async fn send_output(output: &mut OwnedReadHalf, client: &mut (impl Sink<Message> + Unpin), framing: Framing) {
    let (mut buffer, mut frames) = (vec![0; PIECE], Frames::default());
    while let Ok(count @ 1..) = output.read(&mut buffer).await {
        let mut rest = &buffer[..count];
        while !rest.is_empty() {
            let payload = if framing.multiplexed { frames.next(&mut rest) } else { std::mem::take(&mut rest) };
            if !payload.is_empty() && client.send(message(payload, framing.text)).await.is_err() {
                return;
            }
        }
    }
}

fn message(payload: &[u8], text: bool) -> Message {
    match text {
        true => Message::text(String::from_utf8_lossy(payload).into_owned()),
        false => Message::Binary(Bytes::copy_from_slice(payload)),
    }
}

/// Takes Docker's frames apart: eight bytes of head, of which the last four are the length, and the payload.
#[derive(Debug, Default)]
struct Frames {
    head: Vec<u8>,
    /// Of the payload, bytes still to come.
    left: usize,
}

impl Frames {
    /// Takes the next piece of a payload off the bytes; nothing where these are all head.
    fn next<'a>(&mut self, bytes: &mut &'a [u8]) -> &'a [u8] {
        if self.left == 0 {
            let (head, rest) = bytes.split_at(bytes.len().min(8 - self.head.len()));
            self.head.extend_from_slice(head);
            *bytes = rest;
            let Ok(whole) = <[u8; 8]>::try_from(&self.head[..]) else { return &[] };
            self.head.clear();
            let [.., a, b, c, d] = whole;
            self.left = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        }
        let (payload, rest) = bytes.split_at(bytes.len().min(self.left));
        *bytes = rest;
        self.left -= payload.len();
        payload
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn taken_apart(bytes: &[u8], cuts: usize) -> Vec<u8> {
        let (mut frames, mut payload) = (Frames::default(), Vec::new());
        for mut piece in bytes.chunks(cuts) {
            while !piece.is_empty() {
                payload.extend_from_slice(frames.next(&mut piece));
            }
        }
        payload
    }

    proptest! {
        #[test]
        fn frames_may_arrive_in_any_pieces(
            payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..6),
            cuts in 1_usize..30,
        ) {
            let mut bytes = Vec::new();
            for payload in &payloads {
                bytes.extend([1, 0, 0, 0]);
                bytes.extend(u32::try_from(payload.len()).unwrap().to_be_bytes());
                bytes.extend(payload);
            }
            prop_assert_eq!(taken_apart(&bytes, cuts), payloads.concat());
        }
    }

    #[tokio::test]
    async fn a_client_that_reads_no_goodbye_is_left() {
        let sink = futures_util::sink::unfold((), |(), _: Message| std::future::pending::<Result<(), SocketError>>());
        let messages = futures_util::stream::empty();
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let framing = Framing { multiplexed: false, text: false, stdin: false };
        converse((Box::pin(sink), messages), ours.into_split(), framing).await;
    }

    /// The example of section 1.3.
    #[test]
    fn the_key_is_answered() {
        assert_eq!(derive_accept_key(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn what_is_no_handshake_is_refused() {
        let refusal = |pairs: &[(&'static str, &'static str)]| {
            let pairs = pairs
                .iter()
                .map(|(name, value)| (header::HeaderName::from_static(name), HeaderValue::from_static(value)));
            WebSocket::asked(&pairs.collect(), None).err().map(|error| error.to_string()).unwrap_or_default()
        };
        let (upgrade, connection) = (("upgrade", "WebSocket"), ("connection", "keep-alive, Upgrade"));
        let key = ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        let version = ("sec-websocket-version", "13");
        assert_eq!(refusal(&[]), "not websocket protocol");
        assert_eq!(refusal(&[("upgrade", "tcp"), connection, key, version]), "not websocket protocol");
        assert!(refusal(&[upgrade, connection, key, ("sec-websocket-version", "8")]).contains("only 13"));
        assert!(refusal(&[upgrade, connection, version]).contains("Sec-WebSocket-Key"));
        assert_eq!(refusal(&[upgrade, connection, key, version]), "this connection cannot be upgraded");
    }
}
