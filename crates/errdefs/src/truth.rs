//! Yes and no.

/// What a word means, where Docker reads one: as Go's `strconv.ParseBool` does. `None` for any other word.
#[must_use]
pub fn parse_bool(word: &str) -> Option<bool> {
    match word {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::parse_bool;

    #[test]
    fn other_words_are_neither() {
        assert_eq!(["True", "0", "yes", "tRUE", ""].map(parse_bool), [Some(true), Some(false), None, None, None]);
    }
}
