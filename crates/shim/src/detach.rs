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
    text.split(',').map(parse_key).collect()
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

/// Looks for the detach keys in what a client types. Bytes that may be their beginning are held back until it is decided.
#[derive(Debug, Default)]
pub(crate) struct Scanner {
    keys: Vec<u8>,
    /// How many of the keys have been typed.
    matched: usize,
}

/// What a scan found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Scan {
    /// All bytes are for the process.
    Pass(Vec<u8>),
    /// These are, and then the keys came. What was typed after them goes nowhere.
    Detach(Vec<u8>),
}

impl Scanner {
    /// Looks for these bytes; for none, nothing is ever found.
    pub(crate) fn new(keys: Vec<u8>) -> Self {
        Self { keys, matched: 0 }
    }

    /// Whether there is anything to look for.
    pub(crate) fn is_active(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Takes what was typed.
    pub(crate) fn scan(&mut self, typed: &[u8]) -> Scan {
        let mut pass = Vec::with_capacity(typed.len());
        if !self.is_active() {
            pass.extend_from_slice(typed);
            return Scan::Pass(pass);
        }
        for byte in typed {
            while self.matched > 0 && self.keys[self.matched] != *byte {
                self.release(&mut pass);
            }
            if self.keys[self.matched] != *byte {
                pass.push(*byte);
                continue;
            }
            self.matched += 1;
            if self.matched == self.keys.len() {
                self.matched = 0;
                return Scan::Detach(pass);
            }
        }
        Scan::Pass(pass)
    }

    /// Lets go of the fewest bytes that make the rest a beginning of the keys again.
    fn release(&mut self, pass: &mut Vec<u8>) {
        let held = &self.keys[..self.matched];
        let shorter = (0..self.matched).rev().find(|length| held.ends_with(&self.keys[..*length])).unwrap_or(0);
        pass.extend_from_slice(&held[..self.matched - shorter]);
        self.matched = shorter;
    }

    /// Gives back what is held: nothing more will be typed.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        let held = self.keys[..self.matched].to_vec();
        self.matched = 0;
        held
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spellings_are_dockers() {
        assert_eq!(parse_keys("ctrl-p,ctrl-q").unwrap(), DEFAULT_KEYS);
        assert_eq!(parse_keys("a,ctrl-@,ctrl-_,Z").unwrap(), [b'a', 0, 31, b'Z']);
        assert!(parse_keys("").unwrap().is_empty());
        for wrong in ["ctrl-", "ctrl-A", "shift-a", "ctrl-p,,ctrl-q", "ab"] {
            assert!(parse_keys(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn held_bytes_are_let_go_when_they_are_no_keys() {
        let mut scanner = Scanner::new(DEFAULT_KEYS.to_vec());
        assert_eq!(scanner.scan(b"ab\x10"), Scan::Pass(b"ab".to_vec()));
        assert_eq!(scanner.scan(b"c"), Scan::Pass(b"\x10c".to_vec()));
        assert_eq!(scanner.scan(b"\x10"), Scan::Pass(Vec::new()));
        assert_eq!(scanner.scan(b"\x10"), Scan::Pass(b"\x10".to_vec()));
        assert_eq!(scanner.scan(b"\x11rest"), Scan::Detach(Vec::new()));
        scanner.scan(b"\x10");
        assert_eq!(scanner.finish(), b"\x10");
    }

    proptest! {
        #[test]
        fn the_keys_are_found_where_they_first_are(
            keys in prop::collection::vec(0_u8..3, 1..5),
            typed in prop::collection::vec(0_u8..3, 0..40),
            cut in 0_usize..40,
        ) {
            let mut scanner = Scanner::new(keys.clone());
            let (first, second) = typed.split_at(cut.min(typed.len()));
            let mut passed = Vec::new();
            let mut detached = false;
            for part in [first, second] {
                match scanner.scan(part) {
                    _ if detached => {}
                    Scan::Pass(bytes) => passed.extend(bytes),
                    Scan::Detach(bytes) => {
                        passed.extend(bytes);
                        detached = true;
                    }
                }
            }
            let wanted = typed.windows(keys.len()).position(|window| window == keys);
            prop_assert_eq!(detached, wanted.is_some());
            match wanted {
                Some(at) => prop_assert_eq!(passed, &typed[..at]),
                None => {
                    passed.extend(scanner.finish());
                    prop_assert_eq!(passed, typed);
                }
            }
        }
    }
}
