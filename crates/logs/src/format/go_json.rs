//! Strings as dockerd's json-file driver writes them: Go's `encoding/json`, but a tab is `\u0009`.

/// Appends the text between the quotes. `<`, `>`, `&`, U+2028 and U+2029 are escaped, bytes that are no UTF-8 become
/// U+FFFD, one by one.
pub(super) fn escape(out: &mut Vec<u8>, bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return escape_text(out, text);
    }
    for chunk in bytes.utf8_chunks() {
        escape_text(out, chunk.valid());
        for _ in chunk.invalid() {
            out.extend_from_slice(b"\\ufffd");
        }
    }
}

fn escape_text(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    let (mut plain, mut at) = (0, 0);
    while let Some(found) = bytes[at..].iter().position(|byte| SPECIAL[usize::from(*byte)]) {
        at += found;
        let length = match bytes[at..] {
            [0xE2, 0x80, 0xA8 | 0xA9, ..] => 3,
            [0xE2, ..] => 0,
            _ => 1,
        };
        if length > 0 {
            out.extend_from_slice(&bytes[plain..at]);
            escape_one(out, &bytes[at..at + length]);
            plain = at + length;
        }
        at += length.max(1);
    }
    out.extend_from_slice(&bytes[plain..]);
}

/// Bytes that are escaped, or begin a character that may be: U+2028 and U+2029 are E2 80 A8 and E2 80 A9.
const SPECIAL: [bool; 256] = {
    let mut special = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        special[byte] = byte < 0x20 || matches!(byte as u8, b'"' | b'\\' | b'<' | b'>' | b'&' | 0xE2);
        byte += 1;
    }
    special
};

fn escape_one(out: &mut Vec<u8>, character: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    match character {
        [byte @ (b'"' | b'\\')] => out.extend_from_slice(&[b'\\', *byte]),
        [b'\n'] => out.extend_from_slice(b"\\n"),
        [b'\r'] => out.extend_from_slice(b"\\r"),
        [byte] => {
            let digits = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
            out.extend_from_slice(b"\\u00");
            out.extend_from_slice(&digits);
        }
        [.., 0xA8] => out.extend_from_slice(b"\\u2028"),
        _ => out.extend_from_slice(b"\\u2029"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        escape(&mut out, bytes);
        String::from_utf8(out).unwrap()
    }

    /// What dockerd 20.10 put into its log for the same output.
    #[test]
    fn the_same_bytes_as_docker() {
        assert_eq!(escaped(b"a<b>&c\n"), r"a\u003cb\u003e\u0026c\n");
        assert_eq!(escaped(b"tab\tq\"b\\c\r\n"), r#"tab\u0009q\"b\\c\r\n"#);
        assert_eq!(escaped(b"\x1b[0m\x08\x7f\x0c"), "\\u001b[0m\\u0008\x7f\\u000c");
        assert_eq!(escaped("é\u{2028}\u{2029}€".as_bytes()), "é\\u2028\\u2029€");
        assert_eq!(escaped(b"\xff\xfe!\xe2\x82"), r"\ufffd\ufffd!\ufffd\ufffd");
    }
}
