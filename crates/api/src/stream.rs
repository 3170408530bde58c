//! Messages of the JSON streams (pull, import, load) and the frames of multiplexed output.
#![allow(missing_docs, reason = "the fields are Docker's and documented by its API")]

use serde::{Deserialize, Serialize};

use crate::zero::is_zero;

/// Content type of a raw stream: a terminal's bytes as they are.
pub const RAW: &str = "application/vnd.docker.raw-stream";
/// Content type of a stream of [frames](Channel::header), from version 1.42.
pub const MULTIPLEXED: &str = "application/vnd.docker.multiplexed-stream";

/// Which stream a frame belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Channel {
    Stdin = 0,
    Stdout = 1,
    Stderr = 2,
    /// The engine's own errors.
    System = 3,
}

impl Channel {
    /// The eight bytes before `length` bytes of this stream: channel, three zeros, length with the highest byte first.
    #[must_use]
    pub const fn header(self, length: u32) -> [u8; 8] {
        let [a, b, c, d] = length.to_be_bytes();
        [self as u8, 0, 0, 0, a, b, c, d]
    }

    /// Reads a header. `None` if the first byte names no channel.
    #[must_use]
    pub const fn from_header(header: [u8; 8]) -> Option<(Self, u32)> {
        let [channel, _, _, _, a, b, c, d] = header;
        let channel = match channel {
            0 => Self::Stdin,
            1 => Self::Stdout,
            2 => Self::Stderr,
            3 => Self::System,
            _ => return None,
        };
        Some((channel, u32::from_be_bytes([a, b, c, d])))
    }
}

/// One message of a JSON stream.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Message {
    #[serde(skip_serializing_if = "is_zero")]
    pub stream: String,
    #[serde(skip_serializing_if = "is_zero")]
    pub status: String,
    #[serde(rename = "progressDetail", skip_serializing_if = "is_zero")]
    pub progress_detail: Option<Progress>,
    /// The bar in words, for old clients.
    #[serde(skip_serializing_if = "is_zero")]
    pub progress: String,
    #[serde(skip_serializing_if = "is_zero")]
    pub id: String,
    #[serde(rename = "errorDetail", skip_serializing_if = "is_zero")]
    pub error_detail: Option<ErrorDetail>,
    #[serde(skip_serializing_if = "is_zero")]
    pub error: String,
    #[serde(skip_serializing_if = "is_zero")]
    pub aux: Option<serde_json::Value>,
}

/// How far something is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    #[serde(skip_serializing_if = "is_zero")]
    pub current: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub total: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub units: String,
    #[serde(rename = "hidecounts", skip_serializing_if = "is_zero")]
    pub hide_counts: bool,
}

/// Why a stream ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ErrorDetail {
    #[serde(skip_serializing_if = "is_zero")]
    pub code: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub message: String,
    /// As in [`ErrorResponse`](crate::error::ErrorResponse).
    #[serde(skip_serializing_if = "is_zero")]
    pub hint: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_come_back() {
        for channel in [Channel::Stdin, Channel::Stdout, Channel::Stderr, Channel::System] {
            assert_eq!(Channel::from_header(channel.header(70_000)), Some((channel, 70_000)));
        }
        assert_eq!(Channel::Stderr.header(258), [2, 0, 0, 0, 0, 0, 1, 2]);
        assert_eq!(Channel::from_header([9, 0, 0, 0, 0, 0, 0, 0]), None);
    }

    #[test]
    fn messages_hold_only_what_they_say() {
        let message =
            Message { status: "Loading".into(), progress_detail: Some(Progress::default()), ..Message::default() };
        assert_eq!(serde_json::to_string(&message).expect("plain data"), r#"{"status":"Loading","progressDetail":{}}"#);
    }
}
