//! Names as they are given to images.

use dhow_errdefs::{Error, Result};
use dhow_oci::{Digest, Reference};
use dhow_store::TagRecord;

/// The name with its tag, if an image may be given that name.
pub(crate) fn taggable(reference: &Reference) -> Result<Reference> {
    if reference.digest().is_some() {
        return Err(Error::invalid("refusing to create a tag with a digest reference"));
    }
    if reference.familiar_name() == "sha256" {
        return Err(Error::invalid("refusing to create an ambiguous tag using digest algorithm as name"));
    }
    Ok(reference.clone().with_default_tag())
}

/// The names of one image, apart: with tags and with digests, both as Docker prints them and in its order.
#[derive(Debug, Default)]
pub(crate) struct Names {
    pub tags: Vec<Reference>,
    pub digests: Vec<Reference>,
}

impl Names {
    pub(crate) fn new(records: &[TagRecord]) -> Self {
        let mut names = Self::default();
        // What is stored was written by this crate; a name that a later version wrote otherwise is not shown.
        for reference in records.iter().filter_map(|record| Reference::parse(&record.name).ok()) {
            let kind = if reference.digest().is_some() { &mut names.digests } else { &mut names.tags };
            kind.push(reference);
        }
        names
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.tags.is_empty() && self.digests.is_empty()
    }

    pub(crate) fn all(&self) -> Vec<Reference> {
        self.tags.iter().chain(&self.digests).cloned().collect()
    }
}

/// As Docker prints them.
pub(crate) fn familiar(references: &[Reference]) -> Vec<String> {
    references.iter().map(Reference::familiar).collect()
}

/// The first twelve digits of an ID, as Docker prints it in messages.
pub(crate) fn short(id: &Digest) -> String {
    let mut hex = id.hex();
    hex.truncate(12);
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn not_every_name_can_be_given() {
        let given = |text: &str| taggable(&Reference::parse(text).unwrap()).map(|name| name.familiar());
        assert_eq!(given("a").unwrap(), "a:latest");
        assert_eq!(given("reg.example/a/b:1").unwrap(), "reg.example/a/b:1");
        assert!(given("sha256:abc").unwrap_err().to_string().contains("ambiguous tag"));
        assert!(given(&format!("a@{}", Digest::of(b""))).unwrap_err().to_string().contains("digest reference"));
    }
}
