//! Fields that come twice: the last one counts, as in Go.
//!
//! serde's derived code refuses the second one. Hardly anybody writes one, so nothing is buffered for them: after a
//! refusal the name of the first one is blanked out in the text, which makes it a field that is not known, and the text
//! is read again. (A second deserializer, that of a buffered document, would cost 0.75 MB of the binary.)

/// How many fields of a document may come twice. Each costs a pass over the text.
pub(super) const MOST: usize = 32;

/// Blanks out the name of the field that comes a second time in front of this place, which is counted as serde_json does:
/// lines from 1, columns in bytes. `None`: no such field is there.
pub(super) fn without_first(text: &[u8], line: usize, column: usize) -> Option<Vec<u8>> {
    let lines = text.split_inclusive(|byte| *byte == b'\n').take(line.checked_sub(1)?);
    let end = lines.map(<[u8]>::len).sum::<usize>() + column;
    let names = names_in_front(text.get(..end)?);
    let (second, before) = names.split_last()?;
    let is_it = |name: &&Name| text[name.from..name.to].eq_ignore_ascii_case(&text[second.from..second.to]);
    let first = before.iter().rfind(is_it)?;
    let mut text = text.to_vec();
    // No field of ours has such a name.
    text[first.from..first.to].fill(b' ');
    Some(text)
}

/// Where a name stands in the text, without its quotes.
struct Name {
    from: usize,
    to: usize,
}

/// The names in the innermost object that is still open at the end of this text; the text has been read up to there.
fn names_in_front(text: &[u8]) -> Vec<Name> {
    let mut open: Vec<Vec<Name>> = Vec::new();
    // A string is a name unless a value is awaited: after a colon, and in lists, which have a level without names.
    let mut at = 0;
    while at < text.len() {
        match text[at] {
            b'{' | b'[' => open.push(Vec::new()),
            b'}' | b']' => drop(open.pop()),
            b'"' => {
                let to = end_of_string(text, at + 1);
                if is_name(text, at)
                    && let Some(names) = open.last_mut()
                {
                    names.push(Name { from: at + 1, to });
                }
                at = to;
            }
            _ => {}
        }
        at += 1;
    }
    open.pop().unwrap_or_default()
}

/// Whether the string that begins here stands where an object or the next of its fields begins.
fn is_name(text: &[u8], at: usize) -> bool {
    let before = text[..at].iter().rev().find(|byte| !byte.is_ascii_whitespace());
    matches!(before, Some(b'{' | b','))
}

/// The place of the quote that ends a string.
fn end_of_string(text: &[u8], from: usize) -> usize {
    let mut at = from;
    while at < text.len() && text[at] != b'"' {
        at += if text[at] == b'\\' { 2 } else { 1 };
    }
    at.min(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn without(text: &str, up_to: &str) -> Option<String> {
        let end = text.rfind(up_to)? + up_to.len();
        let line = text[..end].matches('\n').count() + 1;
        let column = end - text[..end].rfind('\n').map_or(0, |newline| newline + 1);
        without_first(text.as_bytes(), line, column).map(|text| String::from_utf8(text).expect("as before"))
    }

    #[test]
    fn the_first_one_of_the_same_object_is_blanked_out() {
        assert_eq!(without(r#"{"Ab":1,"aB":2}"#, r#""aB""#).as_deref(), Some(r#"{"  ":1,"aB":2}"#));
        let nested = "{\"a\":{\"a\":\"a\"},\n \"x\":[{\"a\":[\"a\",\"}\\\"{\"], \"a\" : 1}]}";
        let after = "{\"a\":{\"a\":\"a\"},\n \"x\":[{\" \":[\"a\",\"}\\\"{\"], \"a\" : 1}]}";
        assert_eq!(without(nested, "\"a\"").as_deref(), Some(after));
    }

    #[test]
    fn where_there_is_none_nothing_is_changed() {
        for (text, up_to) in [(r#"{"a":1,"b":{"a":2}}"#, r#""a""#), ("{}", "{"), ("", ""), (r#"["a","a"]"#, r#""b""#)] {
            assert_eq!(without(text, up_to), None, "{text}");
        }
        assert_eq!(without_first(b"{}", 0, 7), None);
        assert_eq!(without_first(b"{}", 9, 7), None);
    }
}
