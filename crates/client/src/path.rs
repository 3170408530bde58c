//! Names as parts of paths.

use dhow_errdefs::{Error, Result};

/// Escapes a name, but leaves `/`, `:` and `@`: images have them, and engines route on them unescaped.
pub(crate) fn segment(name: &str) -> String {
    let mut escaped = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(at) = rest.find(['/', ':', '@']) {
        escaped.push_str(&dhow_api::query::encode(&rest[..at]));
        escaped.push_str(&rest[at..=at]);
        rest = &rest[at + 1..];
    }
    escaped.push_str(&dhow_api::query::encode(rest));
    escaped
}

/// A name of a container, a network or a volume: blanks around it are none of it.
pub(crate) fn object(name: &str) -> String {
    segment(name.trim())
}

/// The same for a name that does not stand in a path; one is needed.
pub(crate) fn named(kind: &str, name: &str) -> Result<String> {
    match name.trim() {
        "" => Err(no_name(kind)),
        name => Ok(name.to_owned()),
    }
}

/// Docker's words about a name of a container, a network or a volume that is none.
#[must_use]
pub fn no_name(kind: &str) -> Error {
    Error::invalid(format!("invalid {kind} name or ID: value is empty"))
}

/// What a path asks about without saying which: engines would only say that there is no such page.
pub(crate) fn nameless(path: &str) -> Option<&'static str> {
    let kinds = [("/containers/", "container"), ("/networks/", "network"), ("/volumes/", "volume")];
    let empty = |prefix: &str| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    kinds.iter().find(|(prefix, _)| empty(prefix)).map(|(_, kind)| *kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_missed_where_there_should_be_one() {
        for blank in ["", " ", "\t"] {
            assert_eq!(nameless(&format!("/containers/{}/json", object(blank))), Some("container"));
        }
        assert_eq!(nameless("/volumes/"), Some("volume"));
        assert_eq!((nameless("/containers/json"), nameless("/volumes"), nameless("/networks/x")), (None, None, None));
    }

    #[test]
    fn image_names_keep_their_slashes() {
        assert_eq!(segment("reg:5000/a/b:tag"), "reg:5000/a/b:tag");
        assert_eq!(segment("a b?c/ü"), "a%20b%3Fc/%C3%BC");
        assert_eq!((object(" a b "), segment(" a ")), ("a%20b".into(), "%20a%20".into()));
    }
}
