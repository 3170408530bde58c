//! Keys that detach.

/// Docker's keys when nobody chose others.
const DEFAULT: [u8; 2] = [0x10, 0x11];

/// Looks for the keys in what is typed.
#[derive(Debug)]
pub(crate) struct Escape {
    keys: Vec<u8>,
    matched: usize,
}

impl Escape {
    /// The keys of a description such as `ctrl-p,ctrl-q`; the default for none. One that cannot be read never matches:
    /// the engine has refused it already.
    pub(crate) fn new(described: Option<&str>) -> Self {
        let keys = match described {
            None | Some("") => Some(DEFAULT.to_vec()),
            Some(text) => text.split(',').map(key).collect(),
        };
        Self { keys: keys.unwrap_or_default(), matched: 0 }
    }

    /// Passes typed bytes through to `forward`, without the keys; `true` when all of them came one after the other. The
    /// first keys of a sequence are held back until it is clear whether it goes on.
    pub(crate) fn feed(&mut self, typed: &[u8], forward: &mut Vec<u8>) -> bool {
        if self.keys.is_empty() {
            forward.extend_from_slice(typed);
            return false;
        }
        for &byte in typed {
            if byte == self.keys[self.matched] {
                self.matched += 1;
                if self.matched == self.keys.len() {
                    return true;
                }
                continue;
            }
            forward.extend_from_slice(&self.keys[..self.matched]);
            self.matched = 0;
            if byte == self.keys[0] && self.keys.len() > 1 {
                self.matched = 1;
            } else {
                forward.push(byte);
            }
        }
        false
    }
}

fn key(word: &str) -> Option<u8> {
    match (word.strip_prefix("ctrl-").map(str::as_bytes), word.as_bytes()) {
        (Some([letter @ (b'a'..=b'z' | b'A'..=b'Z' | b'@'..=b'_')]), _) => Some(letter.to_ascii_uppercase() & 0x1f),
        (None, [byte]) => Some(*byte),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(escape: &mut Escape, typed: &[u8]) -> (Vec<u8>, bool) {
        let mut forward = Vec::new();
        let detached = escape.feed(typed, &mut forward);
        (forward, detached)
    }

    #[test]
    fn the_keys_are_swallowed_and_everything_else_passes() {
        let mut escape = Escape::new(None);
        assert_eq!(feed(&mut escape, b"ab\x10"), (b"ab".to_vec(), false));
        assert_eq!(feed(&mut escape, b"c"), (b"\x10c".to_vec(), false));
        assert_eq!(feed(&mut escape, b"\x10\x10"), (b"\x10".to_vec(), false));
        assert_eq!(feed(&mut escape, b"\x11"), (Vec::new(), true));
    }

    #[test]
    fn other_keys_can_be_chosen() {
        assert!(feed(&mut Escape::new(Some("ctrl-a,x")), b"\x01x").1);
        assert!(feed(&mut Escape::new(Some("ctrl-@")), b"\x00").1);
        assert!(feed(&mut Escape::new(Some("ctrl-]")), b"\x1d").1);
        assert_eq!(feed(&mut Escape::new(Some("nonsense")), b"\x10\x11"), (b"\x10\x11".to_vec(), false));
    }
}
