//! What makes a text no JSON, in the words of Go's `encoding/json`, for which tests of clients look.

use std::fmt;

/// The first thing in a text that makes it no JSON document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A byte where it may not be, and where that is.
    Character(u8, &'static str),
    /// The text ends before the document does.
    End,
    /// Something follows the document.
    Trailing,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Character(byte, place) => write!(f, "invalid character {} {place}", Quoted(*byte)),
            Self::End => f.write_str("unexpected EOF"),
            Self::Trailing => f.write_str("content after the document"),
        }
    }
}

/// A byte between quotation marks, as Go writes it.
struct Quoted(u8);

impl fmt::Display for Quoted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            b'\'' => f.write_str(r"'\''"),
            b'"' => f.write_str("'\"'"),
            b'\\' => f.write_str(r"'\\'"),
            b'\n' => f.write_str(r"'\n'"),
            b'\r' => f.write_str(r"'\r'"),
            b'\t' => f.write_str(r"'\t'"),
            byte @ (0..0x20 | 0x7f) => write!(f, "'\\x{byte:02x}'"),
            byte => write!(f, "'{}'", char::from(byte)),
        }
    }
}

/// The first fault of a text (RFC 8259, section 2); `None`: it is JSON.
#[must_use]
pub fn fault(text: &[u8]) -> Option<Fault> {
    let mut scanner = Scanner { rest: text, open: Vec::new() };
    scanner.document().err()
}

/// Reads no values, only where they end.
struct Scanner<'a> {
    rest: &'a [u8],
    /// How the lists and objects end that are open, the outermost first.
    open: Vec<u8>,
}

type Outcome = Result<(), Fault>;

impl Scanner<'_> {
    fn document(&mut self) -> Outcome {
        self.value("looking for beginning of value")?;
        while let Some(&close) = self.open.last() {
            self.next(close)?;
        }
        self.blanks();
        if self.rest.is_empty() { Ok(()) } else { Err(Fault::Trailing) }
    }

    /// Goes on in the innermost list or object, after one of its values.
    fn next(&mut self, close: u8) -> Outcome {
        self.blanks();
        let place = if close == b'}' { "after object key:value pair" } else { "after array element" };
        match self.take()? {
            byte if byte == close => drop(self.open.pop()),
            b',' if close == b'}' => self.key()?,
            b',' => self.value("looking for beginning of value")?,
            byte => return Err(Fault::Character(byte, place)),
        }
        Ok(())
    }

    /// A value, or the beginning of a list or object.
    fn value(&mut self, place: &'static str) -> Outcome {
        self.blanks();
        match self.take()? {
            b'{' => self.enter(b'}'),
            b'[' => self.enter(b']'),
            b'"' => self.string(),
            b't' => self.word(
                b"rue",
                [
                    "in literal true (expecting 'r')",
                    "in literal true (expecting 'u')",
                    "in literal true (expecting 'e')",
                ],
            ),
            b'f' => self.word(
                b"alse",
                [
                    "in literal false (expecting 'a')",
                    "in literal false (expecting 'l')",
                    "in literal false (expecting 's')",
                    "in literal false (expecting 'e')",
                ],
            ),
            b'n' => self.word(
                b"ull",
                [
                    "in literal null (expecting 'u')",
                    "in literal null (expecting 'l')",
                    "in literal null (expecting 'l')",
                ],
            ),
            b'-' => {
                let first = self.take()?;
                self.number(first, "in numeric literal")
            }
            first => self.number(first, place),
        }
    }

    /// Into a list or object, up to its first value; out again where it has none.
    fn enter(&mut self, close: u8) -> Outcome {
        self.blanks();
        if self.rest.first() == Some(&close) {
            self.rest = &self.rest[1..];
            return Ok(());
        }
        self.open.push(close);
        if close == b'}' { self.key() } else { self.value("looking for beginning of value") }
    }

    /// A key, its colon and its value.
    fn key(&mut self) -> Outcome {
        self.blanks();
        match self.take()? {
            b'"' => self.string()?,
            byte => return Err(Fault::Character(byte, "looking for beginning of object key string")),
        }
        self.blanks();
        match self.take()? {
            b':' => self.value("looking for beginning of value"),
            byte => Err(Fault::Character(byte, "after object key")),
        }
    }

    fn string(&mut self) -> Outcome {
        loop {
            match self.take()? {
                b'"' => return Ok(()),
                b'\\' => self.escape()?,
                byte @ 0..0x20 => return Err(Fault::Character(byte, "in string literal")),
                _ => {}
            }
        }
    }

    fn escape(&mut self) -> Outcome {
        match self.take()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(()),
            b'u' => (0..4).try_for_each(|_| match self.take()? {
                digit if digit.is_ascii_hexdigit() => Ok(()),
                byte => Err(Fault::Character(byte, "in \\u hexadecimal character escape")),
            }),
            byte => Err(Fault::Character(byte, "in string escape code")),
        }
    }

    fn word<const LENGTH: usize>(&mut self, rest: &[u8; LENGTH], places: [&'static str; LENGTH]) -> Outcome {
        rest.iter().zip(places).try_for_each(|(wanted, place)| match self.take()? {
            byte if byte == *wanted => Ok(()),
            byte => Err(Fault::Character(byte, place)),
        })
    }

    /// A number whose first digit was taken; `place` is where one was expected.
    fn number(&mut self, first: u8, place: &'static str) -> Outcome {
        match first {
            b'0' => {}
            b'1'..=b'9' => self.digits(),
            byte => return Err(Fault::Character(byte, place)),
        }
        if self.rest.first() == Some(&b'.') {
            self.rest = &self.rest[1..];
            self.some_digits("after decimal point in numeric literal")?;
        }
        if let Some(b'e' | b'E') = self.rest.first() {
            self.rest = &self.rest[1..];
            if let Some(b'+' | b'-') = self.rest.first() {
                self.rest = &self.rest[1..];
            }
            self.some_digits("in exponent of numeric literal")?;
        }
        Ok(())
    }

    fn some_digits(&mut self, place: &'static str) -> Outcome {
        match self.take()? {
            digit if digit.is_ascii_digit() => self.digits(),
            byte => return Err(Fault::Character(byte, place)),
        }
        Ok(())
    }

    fn digits(&mut self) {
        let count = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.rest = &self.rest[count..];
    }

    fn blanks(&mut self) {
        let count = self.rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')).count();
        self.rest = &self.rest[count..];
    }

    fn take(&mut self) -> Result<u8, Fault> {
        let (&byte, rest) = self.rest.split_first().ok_or(Fault::End)?;
        self.rest = rest;
        Ok(byte)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn faults_are_told_in_gos_words() {
        for (text, said) in [
            ("{invalid json", "invalid character 'i' looking for beginning of object key string"),
            ("{'a':1}", r"invalid character '\'' looking for beginning of object key string"),
            ("x", "invalid character 'x' looking for beginning of value"),
            ("[1,]", "invalid character ']' looking for beginning of value"),
            ("{\"a\" 1}", "invalid character '1' after object key"),
            ("{\"a\":1 \"b\"}", "invalid character '\"' after object key:value pair"),
            ("[1 2]", "invalid character '2' after array element"),
            ("\"a\nb\"", r"invalid character '\n' in string literal"),
            (r#""\q""#, "invalid character 'q' in string escape code"),
            (r#""\u12x""#, r"invalid character 'x' in \u hexadecimal character escape"),
            ("tru3", "invalid character '3' in literal true (expecting 'e')"),
            ("-x", "invalid character 'x' in numeric literal"),
            ("1.x", "invalid character 'x' after decimal point in numeric literal"),
            ("1e]", "invalid character ']' in exponent of numeric literal"),
            ("{\"a\":", "unexpected EOF"),
            ("{} x", "content after the document"),
        ] {
            assert_eq!(fault(text.as_bytes()).map(|fault| fault.to_string()).as_deref(), Some(said), "{text}");
        }
    }

    proptest! {
        #[test]
        fn exactly_what_serde_refuses_is_no_json(text in r#"[\[\]{}:,"0-9.eE+ntrufals \\-]{0,24}"#) {
            let good = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            prop_assert_eq!(fault(text.as_bytes()).is_none(), good, "{}", text);
        }
    }
}
