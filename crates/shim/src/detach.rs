//! Detach keys: their spelling, and finding them in what a person types.

use dhow_errdefs::{Error, Result};

/// What Docker uses where nobody says otherwise: `ctrl-p,ctrl-q`.
pub const DEFAULT_KEYS: [u8; 2] = [0x10, 0x11];

/// The bytes of a spelling such as `ctrl-p,ctrl-q` or `a,ctrl-@`; an empty one has no bytes.
///
/// # Errors
/// `InvalidArgument` in Docker's words for an unknown key.
pub fn parse_keys(text: &str) -> Result<Vec<u8>> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    text.split(',').map(|key| parse_key(key)).collect()
}

fn parse_key(key: &str) -> Result<u8> {
    let unknown = || Error::invalid(format!("Unknown character: '{key}'"));
    if let [byte] = key.as_bytes() {
        return Ok(*byte);
    }
    let [byte] = key.strip_prefix("ctrl-").ok_or_else(unknown)?.as_bytes() else { return Err(unknown()) };
    match byte {
        b'a'..=b'z' => Ok(byte - b'a' + 1),
        b'@' => Ok(0),
        b'[' => Ok(27),
        b'\\' => Ok(28),
        b']' => Ok(29),
        b'^' => Ok(30),
        b'_' => Ok(31),
        _ => Err(unknown()),
    }
}
