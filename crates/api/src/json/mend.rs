//! Text that is no Unicode: Go puts U+FFFD for each byte and each half of a pair that stands alone, and goes on.

use std::borrow::Cow;

/// U+FFFD as an escape.
const ESCAPED: &[u8] = b"\\ufffd";

/// The text with everything replaced that is no Unicode; the text itself where there is nothing, which is cheap to see.
pub(super) fn mended(text: &[u8]) -> Cow<'_, [u8]> {
    let text = match std::str::from_utf8(text) {
        Ok(_) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(in_utf8(text).into_bytes()),
    };
    if has_surrogates(&text) { Cow::Owned(in_pairs(&text)) } else { text }
}

/// The text with each byte replaced that is no UTF-8.
pub(crate) fn in_utf8(text: &[u8]) -> String {
    let mut mended = String::with_capacity(text.len() + 64);
    for chunk in text.utf8_chunks() {
        mended.push_str(chunk.valid());
        mended.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    mended
}

/// Whether something looks like an escape of half a pair.
fn has_surrogates(text: &[u8]) -> bool {
    text.windows(4).any(|it| {
        it[0] == b'\\' && it[1] == b'u' && it[2] | 0x20 == b'd' && matches!(it[3] | 0x20, b'8' | b'9' | b'a'..=b'f')
    })
}

/// Halves of a pair that stand alone are replaced; nothing changes its place.
fn in_pairs(text: &[u8]) -> Vec<u8> {
    let mut mended = text.to_vec();
    let mut at = 0;
    while at < text.len() {
        at += match (text[at], code(&text[at..])) {
            (b'\\', Some(0xd800..0xdc00)) if matches!(code(&text[at + 6..]), Some(0xdc00..0xe000)) => 12,
            (b'\\', Some(0xd800..0xe000)) => {
                mended[at..at + 6].copy_from_slice(ESCAPED);
                6
            }
            // What is escaped begins no escape itself.
            (b'\\', _) => 2,
            _ => 1,
        };
    }
    mended
}

/// What an escape at the beginning stands for, if it is one by number.
fn code(text: &[u8]) -> Option<u32> {
    let digits = text.strip_prefix(b"\\u")?.get(..4)?;
    digits.iter().try_fold(0, |code, digit| Some(code << 4 | char::from(*digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mend(text: &[u8]) -> Vec<u8> {
        mended(text).into_owned()
    }

    #[test]
    fn what_stands_alone_is_replaced() {
        for (text, wanted) in [
            (&br#""\ud800""#[..], &br#""\ufffd""#[..]),
            (br#""\uDFFFx\ud83d\ude00""#, br#""\ufffdx\ud83d\ude00""#),
            (br#""\ud800\ud83d\ude00""#, br#""\ufffd\ud83d\ude00""#),
            (br#""\ude00\ud83d""#, br#""\ufffd\ufffd""#),
            (br#""\\ud800 \ud7ff \ue000""#, br#""\\ud800 \ud7ff \ue000""#),
            (br#""\ud8"#, br#""\ud8"#),
            (b"\"\xff\xe2\x82a\"", "\"\u{fffd}\u{fffd}\u{fffd}a\"".as_bytes()),
        ] {
            assert_eq!(mend(text), wanted, "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn good_text_is_not_copied() {
        assert!(matches!(mended("{\"a\": \"é \\u00e9 \\\\ü\"}".as_bytes()), Cow::Borrowed(_)));
    }

    proptest! {
        #[test]
        fn every_string_can_be_read_then(text in r#"(\\u[dD][0-9a-fA-F]{3}|\\u[0-9a-f]{4}|\\\\|[a-z])*"#, bytes: Vec<u8>) {
            let bytes: Vec<u8> = bytes.into_iter().filter(|byte| *byte >= 0x80).collect();
            let document = [b"\"", text.as_bytes(), &bytes, b"\""].concat();
            prop_assert!(serde_json::from_slice::<String>(&mended(&document)).is_ok());
        }
    }
}
