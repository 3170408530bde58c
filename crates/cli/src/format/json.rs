//! JSON text, changed without being understood: the engine's order of fields and spelling of numbers stay.

/// Puts one thing per line, as Go's `json.Indent` does with four spaces.
pub(crate) fn indent(text: &str, prefix: &str) -> String {
    indent_by(text, prefix, "    ")
}

/// The same with another step.
pub(crate) fn indent_by(text: &str, prefix: &str, step: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let mut depth = 0;
    let mut characters = compact(text).into_chars();
    while let Some(c) = characters.next() {
        match c {
            '"' => characters.string_into(&mut out),
            '{' | '[' => {
                out.push(c);
                if let Some(close @ ('}' | ']')) = characters.peek() {
                    out.push(close);
                    characters.next();
                } else {
                    depth += 1;
                    new_line(&mut out, prefix, step, depth);
                }
            }
            '}' | ']' => {
                depth -= 1;
                new_line(&mut out, prefix, step, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                new_line(&mut out, prefix, step, depth);
            }
            ':' => out.push_str(": "),
            other => out.push(other),
        }
    }
    out
}

fn new_line(out: &mut String, prefix: &str, step: &str, depth: usize) {
    out.push('\n');
    out.push_str(prefix);
    out.extend(std::iter::repeat_n(step, depth));
}

/// Takes the blanks between tokens away.
pub(crate) fn compact(text: &str) -> Compact {
    let mut out = String::with_capacity(text.len());
    let (mut inside, mut escaped) = (false, false);
    for c in text.chars() {
        match (inside, c) {
            (false, ' ' | '\n' | '\r' | '\t') => continue,
            (false, '"') => inside = true,
            (true, '"') if !escaped => inside = false,
            _ => {}
        }
        escaped = inside && c == '\\' && !escaped;
        out.push(c);
    }
    Compact(out)
}

/// Text without blanks between tokens.
pub(crate) struct Compact(pub(crate) String);

impl Compact {
    fn into_chars(self) -> Characters {
        Characters { text: self.0, at: 0 }
    }
}

struct Characters {
    text: String,
    at: usize,
}

impl Characters {
    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    /// Copies the rest of a string whose first quote was taken.
    fn string_into(&mut self, out: &mut String) {
        out.push('"');
        let mut escaped = false;
        while let Some(c) = self.next() {
            out.push(c);
            match c {
                '"' if !escaped => return,
                '\\' => escaped = !escaped,
                _ => escaped = false,
            }
        }
    }
}

/// A string as Go's `json.Marshal` writes it: `<`, `>` and `&` escaped.
pub(crate) fn quote(text: &str) -> String {
    let plain = serde_json::to_string(text).expect("strings are JSON");
    if !plain.contains(['<', '>', '&', '\u{2028}', '\u{2029}']) {
        return plain;
    }
    let escapes =
        [('<', "\\u003c"), ('>', "\\u003e"), ('&', "\\u0026"), ('\u{2028}', "\\u2028"), ('\u{2029}', "\\u2029")];
    escapes.iter().fold(plain, |text, (c, escape)| text.replace(*c, escape))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn indents_as_go_does() {
        let text = r#"{"b":[1,"x, \"y\": {"],"a":{},"c":[],"d":{"e":null}}"#;
        let expected = "{\n    \"b\": [\n        1,\n        \"x, \\\"y\\\": {\"\n    ],\n    \"a\": {},\n    \"c\": [],\n    \"d\": {\n        \"e\": null\n    }\n}";
        assert_eq!(indent(text, ""), expected);
        assert_eq!(indent(expected, ""), expected);
        assert_eq!(compact(expected).0, text);
    }

    #[test]
    fn go_escapes_what_html_would_read() {
        assert_eq!(quote("<none> & \"x\""), "\"\\u003cnone\\u003e \\u0026 \\\"x\\\"\"");
    }

    proptest! {
        #[test]
        fn indenting_keeps_the_meaning(words in proptest::collection::vec(".*", 0..4)) {
            let text = serde_json::to_string(&words).unwrap();
            let back: Vec<String> = serde_json::from_str(&indent(&text, "  ")).unwrap();
            prop_assert_eq!(back, words);
        }
    }
}
