//! Paths: the version before them, and patterns whose names may hold slashes.

use dhow_api::query::decode;
use dhow_api::version::Version;
use dhow_errdefs::{Error, Result};
use hyper::Method;

use super::Call;
use super::respond::Answer;
use crate::routes::{Prepared, Raw};

/// A path with at most one name in it: `/images/{name..}/json`.
///
/// `{x}` stands for one segment, `{x..}` for one or more: image names have slashes, and clients send them bare as well as
/// escaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pattern {
    prefix: &'static str,
    suffix: &'static str,
    name: Name,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Name {
    None,
    Segment,
    Path,
}

impl Pattern {
    /// Reads a pattern at compile time.
    pub(crate) const fn new(text: &'static str) -> Self {
        let bytes = text.as_bytes();
        let mut open = 0;
        while open < bytes.len() && bytes[open] != b'{' {
            open += 1;
        }
        if open == bytes.len() {
            return Self { prefix: text, suffix: "", name: Name::None };
        }
        let mut close = open;
        while bytes[close] != b'}' {
            close += 1;
        }
        let name = if bytes[close - 1] == b'.' { Name::Path } else { Name::Segment };
        let (prefix, rest) = text.split_at(open);
        let (_, suffix) = rest.split_at(close - open + 1);
        Self { prefix, suffix, name }
    }

    /// The name in a path, still escaped (empty for a pattern without one); `None` if the path is another.
    fn matches<'p>(&self, path: &'p str) -> Option<&'p str> {
        let name = path.strip_prefix(self.prefix)?.strip_suffix(self.suffix)?;
        let fits = match self.name {
            Name::None => name.is_empty(),
            Name::Segment => !name.is_empty() && !name.contains('/'),
            Name::Path => !name.is_empty() && !name.starts_with('/') && !name.ends_with('/'),
        };
        fits.then_some(name)
    }
}

/// One operation of the API.
pub(crate) struct Route {
    pub(crate) method: Method,
    pub(crate) pattern: Pattern,
    pub(crate) handler: fn(Call) -> Answer,
    /// For operations that may want the raw connection: what to do with a request read by hand.
    pub(crate) hijack: Option<fn(Raw) -> Prepared>,
}

impl Route {
    /// The name in the path, if this is the operation that is asked for.
    pub(crate) fn matches(&self, method: &Method, path: &str) -> Option<Result<String>> {
        if *method != self.method {
            return None;
        }
        let name = self.pattern.matches(path)?;
        Some(decode(name, false).ok_or_else(|| Error::invalid(format!("invalid URL escape in {path:?}"))))
    }
}

/// Splits `/v1.41/info` into the version and `/info`. Without a version: the newest.
pub(crate) fn split_version(path: &str) -> (Result<Version>, &str) {
    let versioned = path.strip_prefix("/v").and_then(|rest| {
        let (version, _) = rest.split_once('/')?;
        let looks_like_one = version.starts_with(|first: char| first.is_ascii_digit())
            && version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        looks_like_one.then(|| (version, &rest[version.len()..]))
    });
    match versioned {
        None => (Ok(Version::MAX), path),
        Some((version, rest)) => (checked(version), rest),
    }
}

fn checked(text: &str) -> Result<Version> {
    let version = text.parse().map_err(|_| Error::invalid(format!("invalid API version: {text}")))?;
    if version > Version::MAX {
        let most = Version::MAX;
        return Err(Error::invalid(format!(
            "client version {text} is too new. Maximum supported API version is {most}"
        )));
    }
    if version < Version::MIN {
        let least = Version::MIN;
        return Err(Error::invalid(format!(
            "client version {text} is too old. Minimum supported API version is {least}, \
             please upgrade your client to a newer version"
        )));
    }
    Ok(version)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(pattern: &'static str, path: &str) -> Option<String> {
        Pattern::new(pattern).matches(path).map(str::to_owned)
    }

    #[test]
    fn names_of_images_hold_slashes() {
        let pattern = "/images/{name..}/json";
        assert_eq!(name(pattern, "/images/a.b:5000/c/d:e/json").as_deref(), Some("a.b:5000/c/d:e"));
        assert_eq!(name(pattern, "/images/json/json").as_deref(), Some("json"));
        for other in ["/images/json", "/images//json", "/images/a/history", "/images/a/json/"] {
            assert_eq!(name(pattern, other), None, "{other}");
        }
    }

    #[test]
    fn other_names_hold_none() {
        assert_eq!(name("/containers/{id}/json", "/containers/x/json").as_deref(), Some("x"));
        assert_eq!(name("/containers/{id}/json", "/containers/x/y/json"), None);
        assert_eq!(name("/containers/{id}", "/containers/"), None);
        assert_eq!(name("/info", "/info").as_deref(), Some(""));
        assert_eq!(name("/info", "/info/"), None);
    }

    #[test]
    fn versions_are_cut_off_and_checked() {
        let (version, rest) = split_version("/v1.41/containers/json");
        assert_eq!((version.expect("good"), rest), (Version::new(1, 41), "/containers/json"));
        assert_eq!(split_version("/info").1, "/info");
        assert_eq!(split_version("/volumes/x").1, "/volumes/x");
        let said = |path| split_version(path).0.expect_err("refused").to_string();
        assert_eq!(said("/v1.99/info"), "client version 1.99 is too new. Maximum supported API version is 1.51");
        assert!(said("/v1.9/info").starts_with("client version 1.9 is too old. Minimum supported API version is 1.24"));
        assert!(said("/v1/info").starts_with("invalid API version"));
    }

    proptest! {
        #[test]
        fn a_name_that_is_put_in_comes_out(image in "[a-z0-9]([a-z0-9./:@_-]{0,20}[a-z0-9])?") {
            prop_assert_eq!(name("/images/{name..}/tag", &format!("/images/{image}/tag")), Some(image));
        }

        #[test]
        fn no_path_makes_it_panic(path in ".*") {
            for pattern in ["/images/{name..}/tag", "/containers/{id}", "/info"] {
                name(pattern, &path);
            }
            drop(split_version(&path).0);
        }
    }
}
