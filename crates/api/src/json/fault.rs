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
            7 => f.write_str(r"'\a'"),
            8 => f.write_str(r"'\b'"),
            11 => f.write_str(r"'\v'"),
            12 => f.write_str(r"'\f'"),
            byte @ (0..0x20 | 0x7f) => write!(f, "'\\x{byte:02x}'"),
            byte @ (0x80..0xa0 | 0xad) => write!(f, "'\\u{byte:04x}'"),
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

/// Where something else stands in one of the three words.
const TRUE: [&str; 3] =
    ["in literal true (expecting 'r')", "in literal true (expecting 'u')", "in literal true (expecting 'e')"];
const FALSE: [&str; 4] = [
    "in literal false (expecting 'a')",
    "in literal false (expecting 'l')",
    "in literal false (expecting 's')",
    "in literal false (expecting 'e')",
];
const NULL: [&str; 3] =
    ["in literal null (expecting 'u')", "in literal null (expecting 'l')", "in literal null (expecting 'l')"];

/// Reads no values, only where they end. How deep they lie in each other costs memory and no stack.
struct Scanner<'a> {
    rest: &'a [u8],
    /// The lists and objects that are open, the outermost first.
    open: Vec<Open>,
}

/// A list or object that has begun.
struct Open {
    /// How it ends.
    close: u8,
    /// Nothing has been in it yet.
    empty: bool,
}

type Outcome = Result<(), Fault>;

const VALUE: &str = "looking for beginning of value";

impl Scanner<'_> {
    fn document(&mut self) -> Outcome {
        self.value()?;
        while let Some(open) = self.open.last_mut() {
            let (close, empty) = (open.close, std::mem::take(&mut open.empty));
            self.next(close, empty)?;
        }
        self.blanks();
        if self.rest.is_empty() { Ok(()) } else { Err(Fault::Trailing) }
    }

    /// The next thing in the innermost list or object, or its end.
    fn next(&mut self, close: u8, empty: bool) -> Outcome {
        let byte = self.take_next()?;
        let first = match byte {
            _ if byte == close => {
                self.open.pop();
                return Ok(());
            }
            byte if empty => byte,
            b',' => self.take_next()?,
            byte if close == b'}' => return Err(Fault::Character(byte, "after object key:value pair")),
            byte => return Err(Fault::Character(byte, "after array element")),
        };
        if close == b'}' { self.member(first) } else { self.value_from(first) }
    }

    /// A key whose first byte was taken, its colon, and its value or the beginning of that.
    fn member(&mut self, first: u8) -> Outcome {
        if first != b'"' {
            return Err(Fault::Character(first, "looking for beginning of object key string"));
        }
        self.string()?;
        match self.take_next()? {
            b':' => self.value(),
            byte => Err(Fault::Character(byte, "after object key")),
        }
    }

    fn value(&mut self) -> Outcome {
        let first = self.take_next()?;
        self.value_from(first)
    }

    /// A value, or the beginning of a list or object.
    fn value_from(&mut self, first: u8) -> Outcome {
        match first {
            b'{' => self.open.push(Open { close: b'}', empty: true }),
            b'[' => self.open.push(Open { close: b']', empty: true }),
            b'"' => self.string()?,
            b't' => self.word(b"rue", TRUE)?,
            b'f' => self.word(b"alse", FALSE)?,
            b'n' => self.word(b"ull", NULL)?,
            b'-' => {
                let digit = self.take()?;
                self.number(digit, "in numeric literal")?;
            }
            first => self.number(first, VALUE)?,
        }
        Ok(())
    }

    fn take_next(&mut self) -> Result<u8, Fault> {
        self.blanks();
        self.take()
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
            ("{\"a\":1,}", "invalid character '}' looking for beginning of object key string"),
            ("\"\u{7}\"", r"invalid character '\a' in string literal"),
            ("{\"a\":", "unexpected EOF"),
            ("{} x", "content after the document"),
        ] {
            assert_eq!(fault(text.as_bytes()).map(|fault| fault.to_string()).as_deref(), Some(said), "{text}");
        }
    }

    #[test]
    fn depth_costs_no_stack() {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let deep = |close: &str| open.repeat(1_000_000) + "1" + &close.repeat(1_000_000);
            assert_eq!(fault(deep("").as_bytes()), Some(Fault::End));
            assert_eq!(fault(deep(close).as_bytes()), None);
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
