//! Names of images, with Docker's normalisation (distribution, "reference": the grammar of names).
//!
//! ```text
//! busybox                         → docker.io/library/busybox
//! me/app:1                        → docker.io/me/app:1
//! localhost:5000/app@sha256:…     → as it is
//! ```
//!
//! The first part of a name is a registry when it has a dot or a colon, or is `localhost`.

use std::fmt;
use std::str::FromStr;

use dhow_errdefs::{Error, Result};

use crate::Digest;

/// The registry that a name without one means.
pub const DEFAULT_REGISTRY: &str = "docker.io";

/// The address under which clients keep what they show to the default registry: its first one, kept for old files.
pub const DEFAULT_SERVER: &str = "https://index.docker.io/v1/";

/// The tag that a name without one means, where a tag is needed.
pub const DEFAULT_TAG: &str = "latest";

/// Where Docker Hub keeps names of one part.
const OFFICIAL: &str = "library";

/// Longest name of a repository, its registry included.
const LONGEST_NAME: usize = 255;

/// Longest tag.
const LONGEST_TAG: usize = 128;

/// A normalised name of an image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Reference {
    /// Parses what a person typed.
    ///
    /// # Errors
    /// Invalid, in the words that Docker's users know.
    pub fn parse(text: &str) -> Result<Self> {
        if text.len() == 64 && Digest::from_hex(text).is_ok() {
            return Err(Error::invalid(format!(
                "invalid repository name ({text}), cannot specify 64-byte hexadecimal strings"
            )));
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse::<Digest>().map_err(|_| malformed())?)),
            None => (text, None),
        };
        let (name, tag) = split_tag(rest);
        let (registry, repository) = split_registry(name);
        check_tag(tag)?;
        check_name(registry, &repository)?;
        Ok(Self { registry: registry.to_owned(), repository, tag: tag.map(str::to_owned), digest })
    }

    /// The registry, as in `docker.io`.
    #[must_use]
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The repository in its registry, as in `library/busybox`.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag, if there is one.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, if there is one.
    #[must_use]
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The same name with the tag `latest` if it has neither tag nor digest.
    #[must_use]
    pub fn with_default_tag(mut self) -> Self {
        if self.tag.is_none() && self.digest.is_none() {
            self.tag = Some(DEFAULT_TAG.to_owned());
        }
        self
    }

    /// The same repository with another tag and no digest.
    ///
    /// # Errors
    /// Invalid when the tag is none.
    pub fn with_tag(&self, tag: &str) -> Result<Self> {
        check_tag(Some(tag))?;
        Ok(Self { tag: Some(tag.to_owned()), digest: None, ..self.clone() })
    }

    /// The same repository with a digest and no tag.
    #[must_use]
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self { tag: None, digest: Some(digest), ..self.clone() }
    }

    /// The repository's name in full, as in `docker.io/library/busybox`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// The repository's name as Docker prints it, as in `busybox`.
    #[must_use]
    pub fn familiar_name(&self) -> String {
        if self.registry != DEFAULT_REGISTRY {
            return self.name();
        }
        let official = self.repository.strip_prefix("library/").filter(|rest| !rest.contains('/'));
        official.unwrap_or(&self.repository).to_owned()
    }

    /// The whole reference as Docker prints it, as in `busybox:latest`.
    #[must_use]
    pub fn familiar(&self) -> String {
        self.familiar_name() + &self.suffix()
    }

    /// The whole reference in full, as in `docker.io/library/busybox:latest`: what is stored.
    #[must_use]
    pub fn canonical(&self) -> String {
        self.name() + &self.suffix()
    }

    fn suffix(&self) -> String {
        let tag = self.tag.as_ref().map(|tag| format!(":{tag}")).unwrap_or_default();
        let digest = self.digest.map(|digest| format!("@{digest}")).unwrap_or_default();
        tag + &digest
    }
}

impl FromStr for Reference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

/// The canonical form.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.canonical())
    }
}

fn malformed() -> Error {
    Error::invalid("invalid reference format")
}

/// A colon behind the last slash begins a tag; one before it belongs to a registry's port.
fn split_tag(text: &str) -> (&str, Option<&str>) {
    let last_part = text.rfind('/').map_or(0, |slash| slash + 1);
    match text[last_part..].find(':') {
        Some(colon) => (&text[..last_part + colon], Some(&text[last_part + colon + 1..])),
        None => (text, None),
    }
}

fn split_registry(name: &str) -> (&str, String) {
    let (registry, rest) = match name.split_once('/') {
        Some((first, rest)) if is_registry(first) => (first, rest),
        _ => (DEFAULT_REGISTRY, name),
    };
    let registry = if registry == "index.docker.io" { DEFAULT_REGISTRY } else { registry };
    if registry == DEFAULT_REGISTRY && !rest.contains('/') {
        return (registry, format!("{OFFICIAL}/{rest}"));
    }
    (registry, rest.to_owned())
}

fn is_registry(part: &str) -> bool {
    part.contains(['.', ':']) || part == "localhost" || part.chars().any(|letter| letter.is_ascii_uppercase())
}

fn check_tag(tag: Option<&str>) -> Result<()> {
    let Some(tag) = tag else { return Ok(()) };
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let bytes = tag.as_bytes();
    let good = (1..=LONGEST_TAG).contains(&bytes.len())
        && word(bytes[0])
        && bytes.iter().all(|&byte| word(byte) || byte == b'.' || byte == b'-');
    if good { Ok(()) } else { Err(malformed()) }
}

fn check_name(registry: &str, repository: &str) -> Result<()> {
    if repository.to_lowercase() != *repository {
        let message = format!("invalid reference format: repository name ({repository}) must be lowercase");
        return Err(Error::invalid(message));
    }
    if !is_host(registry) || !repository.split('/').all(is_path_component) {
        return Err(malformed());
    }
    let length = registry.len() + 1 + repository.len();
    if length > LONGEST_NAME {
        return Err(Error::invalid(format!("repository name must not be more than {LONGEST_NAME} characters")));
    }
    Ok(())
}

/// `host[:port]`, the host a name, an IPv4 address or an IPv6 address in brackets.
fn is_host(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let Some((address, after)) = rest.split_once(']') else { return false };
            let good = !address.is_empty() && address.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':');
            return good && (after.is_empty() || after.strip_prefix(':').is_some_and(is_port));
        }
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    host.split('.').all(label) && port.is_none_or(is_port)
}

fn is_port(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Letters and digits, with single separators between them: `.`, `_`, `__`, or any number of `-`.
fn is_path_component(component: &str) -> bool {
    let bytes = component.as_bytes();
    let word = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    if !bytes.first().is_some_and(word) || !bytes.last().is_some_and(word) {
        return false;
    }
    let separators = bytes.split(word).filter(|run| !run.is_empty());
    separators.into_iter().all(|run| matches!(run, b"." | b"_" | b"__") || run.iter().all(|&byte| byte == b'-'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn canonical(text: &str) -> String {
        Reference::parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).canonical()
    }

    #[test]
    fn names_are_normalised_as_docker_does() {
        let digest = Digest::of(b"");
        for (typed, full, familiar) in [
            ("busybox", "docker.io/library/busybox", "busybox"),
            ("busybox:1.36", "docker.io/library/busybox:1.36", "busybox:1.36"),
            ("me/app", "docker.io/me/app", "me/app"),
            ("docker.io/busybox", "docker.io/library/busybox", "busybox"),
            ("index.docker.io/busybox", "docker.io/library/busybox", "busybox"),
            ("localhost/app", "localhost/app", "localhost/app"),
            ("localhost:5000/a/b/c:t", "localhost:5000/a/b/c:t", "localhost:5000/a/b/c:t"),
            ("reg.example:80/x", "reg.example:80/x", "reg.example:80/x"),
            ("[::1]:5000/x", "[::1]:5000/x", "[::1]:5000/x"),
            ("a__b/c-d--e.f", "docker.io/a__b/c-d--e.f", "a__b/c-d--e.f"),
        ] {
            assert_eq!(canonical(typed), full);
            assert_eq!(Reference::parse(typed).expect("good").familiar(), familiar);
        }
        assert_eq!(canonical(&format!("x@{digest}")), format!("docker.io/library/x@{digest}"));
        assert_eq!(canonical(&format!("x:1@{digest}")), format!("docker.io/library/x:1@{digest}"));
    }

    #[test]
    fn what_docker_refuses_is_refused() {
        for bad in [
            "",
            ":",
            ":tag",
            "a:",
            "a:-",
            "-a",
            "a/",
            "/a",
            "a//b",
            "a..b",
            "a___b",
            "a b",
            "a:b:c",
            "a@b",
            "a@sha256:12",
            "é",
            "host:port/x",
            "a._b",
            "x:.y",
            "library/",
        ] {
            let error = Reference::parse(bad).expect_err(bad);
            assert!(error.to_string().starts_with("invalid reference format"), "{bad}: {error}");
        }
        let upper = Reference::parse("Busybox").expect_err("upper case");
        assert_eq!(upper.to_string(), "invalid reference format: repository name (library/Busybox) must be lowercase");
        let upper = Reference::parse("reg.example/My/App:1").expect_err("upper case");
        assert_eq!(upper.to_string(), "invalid reference format: repository name (My/App) must be lowercase");
        let hex = Reference::parse(&Digest::of(b"").hex()).expect_err("an id");
        assert!(hex.to_string().contains("cannot specify 64-byte hexadecimal strings"));
        assert!(Reference::parse(&"a".repeat(300)).is_err());
        assert!(Reference::parse(&format!("a:{}", "t".repeat(129))).is_err());
    }

    #[test]
    fn the_default_tag_is_for_names_without_tag_and_digest() {
        let tagged = |text: &str| Reference::parse(text).expect("good").with_default_tag().familiar();
        assert_eq!(tagged("a"), "a:latest");
        assert_eq!(tagged("a:1"), "a:1");
        let digest = Digest::of(b"");
        assert_eq!(tagged(&format!("a@{digest}")), format!("a@{digest}"));
    }

    proptest! {
        /// Whatever is accepted prints to something that parses to the same.
        #[test]
        fn accepted_names_round_trip(text in "[a-zA-Z0-9_./:@-]{0,40}") {
            if let Ok(reference) = Reference::parse(&text) {
                prop_assert_eq!(&Reference::parse(&reference.canonical()).unwrap(), &reference);
                prop_assert_eq!(&Reference::parse(&reference.familiar()).unwrap(), &reference);
            }
        }

        /// Nothing makes the parser panic.
        #[test]
        fn any_text_is_answered(text in ".{0,300}") {
            let _ = Reference::parse(&text);
        }
    }
}
