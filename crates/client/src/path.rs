//! Names as parts of paths.

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
        assert_eq!(nameless(&format!("/containers/{}/json", segment(""))), Some("container"));
        assert_eq!(nameless("/volumes/"), Some("volume"));
        assert_eq!((nameless("/containers/json"), nameless("/volumes"), nameless("/networks/x")), (None, None, None));
    }

    #[test]
    fn image_names_keep_their_slashes() {
        assert_eq!(segment("reg:5000/a/b:tag"), "reg:5000/a/b:tag");
        assert_eq!(segment("a b?c/ü"), "a%20b%3Fc/%C3%BC");
    }
}
