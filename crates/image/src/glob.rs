//! Go's `path.Match`, which Docker's filters of names use: `*` and `?` do not cross a slash.

/// Whether the whole text fits the pattern; nothing when the pattern is malformed.
pub(crate) fn matches(pattern: &str, text: &str) -> Option<bool> {
    let pattern = compile(pattern)?;
    let text: Vec<char> = text.chars().collect();
    Some(fits(&pattern, &text))
}

#[derive(Debug)]
enum Token {
    Letter(char),
    Any,
    Run,
    Class { negated: bool, ranges: Vec<(char, char)> },
}

impl Token {
    fn takes(&self, letter: char) -> bool {
        match self {
            Self::Letter(own) => *own == letter,
            Self::Any | Self::Run => letter != '/',
            Self::Class { negated, ranges } => {
                ranges.iter().any(|&(low, high)| (low..=high).contains(&letter)) != *negated && letter != '/'
            }
        }
    }
}

fn compile(pattern: &str) -> Option<Vec<Token>> {
    let mut letters = pattern.chars();
    let mut tokens = Vec::new();
    while let Some(letter) = letters.next() {
        tokens.push(match letter {
            '*' => Token::Run,
            '?' => Token::Any,
            '[' => class(&mut letters)?,
            '\\' => Token::Letter(letters.next()?),
            letter => Token::Letter(letter),
        });
    }
    Some(tokens)
}

/// Behind `[`, up to and with `]`.
fn class(letters: &mut std::str::Chars) -> Option<Token> {
    let escaped = |letters: &mut std::str::Chars| match letters.next()? {
        '\\' => letters.next(),
        '-' | ']' => None,
        letter => Some(letter),
    };
    let negated = letters.as_str().starts_with('^');
    if negated {
        letters.next();
    }
    let mut ranges = Vec::new();
    loop {
        if letters.as_str().starts_with(']') && !ranges.is_empty() {
            letters.next();
            return Some(Token::Class { negated, ranges });
        }
        let low = escaped(letters)?;
        let mut high = low;
        if letters.as_str().starts_with('-') {
            letters.next();
            high = escaped(letters)?;
        }
        ranges.push((low, high));
    }
}

/// Only the last `*` is ever tried again, so that the time is at most the product of both lengths.
fn fits(pattern: &[Token], text: &[char]) -> bool {
    let (mut at, mut position) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while position < text.len() || at < pattern.len() {
        match pattern.get(at) {
            Some(Token::Run) => {
                retry = Some((at, position));
                at += 1;
                continue;
            }
            Some(token) if text.get(position).is_some_and(|&letter| token.takes(letter)) => {
                at += 1;
                position += 1;
                continue;
            }
            _ => {}
        }
        match retry {
            Some((star, from)) if text.get(from).is_some_and(|&letter| letter != '/') => {
                retry = Some((star, from + 1));
                at = star + 1;
                position = from + 1;
            }
            _ => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn patterns_match_as_in_go() {
        for (pattern, text, expected) in [
            ("busybox", "busybox", true),
            ("busy*", "busybox:latest", true),
            ("*", "a/b", false),
            ("*/*", "a/b:1", true),
            ("a?c", "abc", true),
            ("a?c", "a/c", false),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("[\\]]", "]", true),
            ("a\\*", "a*", true),
            ("a\\*", "ab", false),
            ("*a*b*c", "xxaxxbxxc", true),
            ("*a*b*c", "xxaxxbxx", false),
            ("", "", true),
            ("*", "", true),
            ("?", "", false),
        ] {
            assert_eq!(matches(pattern, text), Some(expected), "{pattern} on {text}");
        }
        for malformed in ["[", "[]", "[a", "a\\", "[a-]", "[-a]"] {
            assert_eq!(matches(malformed, "a"), None, "{malformed}");
        }
    }

    proptest! {
        #[test]
        fn any_pattern_is_answered(pattern in "[a-c*?\\[\\]^\\\\/-]{0,12}", text in "[a-c/]{0,12}") {
            let _ = matches(&pattern, &text);
        }

        #[test]
        fn a_text_matches_itself_and_its_runs(text in "[a-z:.]{1,12}", cut in 0usize..12) {
            let cut = cut.min(text.len());
            prop_assert_eq!(matches(&text, &text), Some(true));
            let pattern = format!("{}*", &text[..cut]);
            prop_assert_eq!(matches(&pattern, &text), Some(true));
        }
    }
}
