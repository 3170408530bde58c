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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_names_keep_their_slashes() {
        assert_eq!(segment("reg:5000/a/b:tag"), "reg:5000/a/b:tag");
        assert_eq!(segment("a b?c/ü"), "a%20b%3Fc/%C3%BC");
    }
}
