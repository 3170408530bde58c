//! What is true for every request.

mod body;
mod call;
mod connection;
mod handover;
mod hijack;
mod network;
mod path;
mod respond;
mod serve;
mod sniff;
mod status;
mod stream;
mod tls;
mod turns;
mod upload;
mod websocket;

pub(crate) use body::{Body, ChunkWriter, PieceSender};
pub(crate) use call::{Call, Context, check_for_json, not_the_json, read_json, registry};
pub(crate) use hijack::Hijack;
pub use network::NetworkDoor;
pub(crate) use path::{Pattern, Route};
pub(crate) use respond::{Response, json, json_list, json_stream, no_content, plain_json, raw_error, status_only};
pub use serve::{Listener, serve};
pub(crate) use stream::Prefixed;
pub use tls::{Tls, TlsFiles};
pub(crate) use upload::Upload;
pub(crate) use websocket::{Framing, WebSocket};
