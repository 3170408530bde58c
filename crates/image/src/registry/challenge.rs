//! What a registry wants to see (RFC 9110 section 11.6.1; RFC 6750 section 3).

use std::collections::BTreeMap;

/// One challenge of a `WWW-Authenticate` header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Challenge {
    /// In lower case, as in `bearer`.
    pub(super) scheme: String,
    /// Names in lower case.
    pub(super) parameters: BTreeMap<String, String>,
}

/// The challenges of one header; what cannot be read is left out.
pub(super) fn parse(header: &str) -> Vec<Challenge> {
    let mut challenges: Vec<Challenge> = Vec::new();
    let mut rest = header.trim_start();
    while !rest.is_empty() {
        let (word, after) = token(rest);
        if word.is_empty() {
            break;
        }
        let after = after.trim_start();
        rest = match (after.strip_prefix('='), challenges.last_mut()) {
            (Some(value), Some(challenge)) => {
                let (value, after) = parameter(value.trim_start());
                challenge.parameters.insert(word.to_ascii_lowercase(), value);
                after
            }
            _ => {
                challenges.push(Challenge { scheme: word.to_ascii_lowercase(), parameters: BTreeMap::new() });
                after
            }
        };
        rest = rest.trim_start_matches([' ', '\t', ',']);
    }
    challenges
}

fn token(text: &str) -> (&str, &str) {
    let end = text.find(|letter: char| !(letter.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~/:".contains(letter)));
    text.split_at(end.unwrap_or(text.len()))
}

/// A token or a quoted string, unquoted; and what comes after it.
fn parameter(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let (word, rest) = token(text);
        return (word.to_owned(), rest);
    };
    let mut value = String::new();
    let mut letters = quoted.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(letters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one(header: &str) -> (String, Vec<(String, String)>) {
        let mut challenges = parse(header);
        assert_eq!(challenges.len(), 1, "{header}");
        let challenge = challenges.remove(0);
        (challenge.scheme, challenge.parameters.into_iter().collect())
    }

    #[test]
    fn headers_of_registries_are_read() {
        let (scheme, parameters) =
            one(r#"Bearer realm="https://auth.example/token?a=b",service="reg", Scope="repository:a/b:pull,push""#);
        let expected =
            [("realm", "https://auth.example/token?a=b"), ("scope", "repository:a/b:pull,push"), ("service", "reg")];
        assert_eq!(scheme, "bearer");
        assert_eq!(parameters, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
        assert_eq!(one(r#"Basic realm="a \"b\"""#).1[0].1, r#"a "b""#);
        assert_eq!(one("Basic").0, "basic");
    }

    #[test]
    fn several_challenges_are_told_apart() {
        let schemes: Vec<String> =
            parse(r#"Negotiate, Basic realm="x", Bearer realm=y"#).into_iter().map(|one| one.scheme).collect();
        assert_eq!(schemes, ["negotiate", "basic", "bearer"]);
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic(header in ".*") {
            parse(&header);
        }
    }
}
