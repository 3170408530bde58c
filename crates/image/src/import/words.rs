//! Words of a Dockerfile instruction: quotes, escapes, variables (Dockerfile reference, "Environment replacement").

use dhow_errdefs::{Error, Result};

/// Finds the value of a variable.
pub(super) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The words of a line, without quotes and with variables replaced.
pub(super) fn split(line: &str, lookup: Lookup) -> Result<Vec<String>> {
    let mut reader = Reader { rest: line.trim(), lookup };
    let mut words = Vec::new();
    while !reader.rest.is_empty() {
        words.push(reader.text(char::is_whitespace)?);
        reader.rest = reader.rest.trim_start();
    }
    Ok(words)
}

/// The whole line as one word.
pub(super) fn expand(line: &str, lookup: Lookup) -> Result<String> {
    Reader { rest: line.trim(), lookup }.text(|_| false)
}

struct Reader<'a> {
    rest: &'a str,
    lookup: Lookup<'a>,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let letter = self.rest.chars().next()?;
        self.rest = &self.rest[letter.len_utf8()..];
        Some(letter)
    }

    /// Up to a letter that ends it, which stays.
    fn text(&mut self, ends: fn(char) -> bool) -> Result<String> {
        let mut text = String::new();
        while let Some(letter) = self.rest.chars().next().filter(|letter| !ends(*letter)) {
            self.next();
            match letter {
                '\'' => text += self.single_quoted()?,
                '"' => self.double_quoted(&mut text)?,
                '\\' => text.extend(self.next()),
                '$' => text += &self.variable()?,
                letter => text.push(letter),
            }
        }
        Ok(text)
    }

    fn single_quoted(&mut self) -> Result<&str> {
        let (quoted, rest) = self.rest.split_once('\'').ok_or_else(|| unfinished("a quote"))?;
        self.rest = rest;
        Ok(quoted)
    }

    fn double_quoted(&mut self, text: &mut String) -> Result<()> {
        loop {
            match self.next().ok_or_else(|| unfinished("a quote"))? {
                '"' => return Ok(()),
                '$' => *text += &self.variable()?,
                '\\' => match self.next().ok_or_else(|| unfinished("a quote"))? {
                    letter @ ('"' | '$' | '\\') => text.push(letter),
                    letter => text.extend(['\\', letter]),
                },
                letter => text.push(letter),
            }
        }
    }

    /// Behind `$`: `NAME`, `{NAME}`, `{NAME:-word}`, `{NAME:+word}`.
    fn variable(&mut self) -> Result<String> {
        let Some(rest) = self.rest.strip_prefix('{') else {
            let name = self.name();
            return Ok(if name.is_empty() { "$".to_owned() } else { (self.lookup)(&name).unwrap_or_default() });
        };
        self.rest = rest;
        let name = self.name();
        let value = (self.lookup)(&name).filter(|value| !value.is_empty());
        let operator = self.rest.get(..2).filter(|two| matches!(*two, ":-" | ":+"));
        let Some(operator) = operator.map(str::to_owned) else {
            return self.close(&name).map(|()| value.unwrap_or_default());
        };
        self.rest = &self.rest[2..];
        let word = self.text(|letter| letter == '}')?;
        self.close(&name)?;
        Ok(match (operator.as_str(), value) {
            (":-", value) => value.unwrap_or(word),
            (_, Some(_)) => word,
            (_, None) => String::new(),
        })
    }

    fn close(&mut self, name: &str) -> Result<()> {
        match self.next() {
            Some('}') if !name.is_empty() => Ok(()),
            Some(_) => Err(Error::invalid(format!("unsupported modifier in substitution of ${{{name}"))),
            None => Err(unfinished("a variable")),
        }
    }

    fn name(&mut self) -> String {
        let ends = |letter: char| !letter.is_ascii_alphanumeric() && letter != '_';
        let end = self.rest.find(ends).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        name.to_owned()
    }
}

fn unfinished(what: &str) -> Error {
    Error::invalid(format!("unexpected end of statement while looking for the end of {what}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lookup(name: &str) -> Option<String> {
        (name == "A").then(|| "a b".to_owned())
    }

    #[test]
    fn words_are_those_of_a_shell() {
        for (line, words) in [
            ("a  b", &["a", "b"][..]),
            ("a=\"x y\" 'z $A'", &["a=x y", "z $A"]),
            (r#"a\ b "q\"\n""#, &["a b", r#"q"\n"#]),
            ("$A ${A} ${B:-c} ${A:+d} ${B:+e}x", &["a b", "a b", "c", "d", "x"]),
            (r"\$A $ é", &["$A", "$", "é"]),
            ("", &[]),
        ] {
            assert_eq!(split(line, &lookup).unwrap(), words, "{line}");
        }
        for bad in ["'a", "\"a", "${A", "${A:-", "${", "${A:?x}", "${}"] {
            assert!(split(bad, &lookup).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_line_is_answered(line in ".{0,60}") {
            let _ = split(&line, &lookup);
        }

        #[test]
        fn quoted_words_come_back(words in prop::collection::vec("[^'\n]{1,8}", 1..4)) {
            let line = words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ");
            prop_assert_eq!(split(&line, &lookup).unwrap(), words);
        }
    }
}
