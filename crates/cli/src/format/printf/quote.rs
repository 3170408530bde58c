//! Go's quoted strings.

use std::fmt::Write;

/// A text between quotes as Go's `strconv.Quote` writes it; with `ascii`, without a letter of another alphabet.
pub(super) fn quoted(text: &str, ascii: bool) -> String {
    enclosed(text.chars(), '"', ascii)
}

/// The same for one letter.
pub(super) fn quoted_letter(letter: char, ascii: bool) -> String {
    enclosed([letter].into_iter(), '\'', ascii)
}

fn enclosed(letters: impl Iterator<Item = char>, quote: char, ascii: bool) -> String {
    let mut out = String::from(quote);
    for letter in letters {
        match escape(letter, quote) {
            Some(escaped) => out.push_str(escaped),
            None => plain(letter, ascii, &mut out),
        }
    }
    out.push(quote);
    out
}

fn escape(letter: char, quote: char) -> Option<&'static str> {
    Some(match letter {
        '"' if quote == '"' => "\\\"",
        '\'' if quote == '\'' => "\\'",
        '\\' => "\\\\",
        '\x07' => "\\a",
        '\x08' => "\\b",
        '\x0c' => "\\f",
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        '\x0b' => "\\v",
        _ => return None,
    })
}

fn plain(letter: char, ascii: bool, out: &mut String) {
    let code = u32::from(letter);
    let written = match code {
        _ if !letter.is_control() && (!ascii || letter.is_ascii()) => return out.push(letter),
        0..0x80 => write!(out, "\\x{code:02x}"),
        0x80..0x10000 => write!(out, "\\u{code:04x}"),
        _ => write!(out, "\\U{code:08x}"),
    };
    written.expect("writing to a String cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_go_quotes() {
        assert_eq!(quoted("a\"b\n\x01é\u{7f}", false), "\"a\\\"b\\n\\x01é\\x7f\"");
        assert_eq!(quoted("é\u{1f600}", true), "\"\\u00e9\\U0001f600\"");
        assert_eq!(
            ["\0", "'", "A"].map(|text| quoted_letter(text.chars().next().unwrap(), false)),
            ["'\\x00'", "'\\''", "'A'"]
        );
    }
}
