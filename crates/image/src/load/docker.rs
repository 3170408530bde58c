//! Docker's archives: `manifest.json` (Docker's image specification v1.2, "Combined Image JSON + Filesystem Changeset
//! Format").

use dhow_errdefs::{Error, Result};
use dhow_oci::Reference;
use serde::Deserialize;

use super::Candidate;
use super::archive::Archive;
use crate::install::{Parts, Source};
use crate::name;

/// One image of `manifest.json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

/// The images of an archive with this `manifest.json`.
pub(super) fn candidates(archive: &Archive, document: &[u8]) -> Result<Vec<Candidate>> {
    let entries: Vec<Entry> = serde_json::from_slice(document)
        .map_err(|error| Error::invalid("invalid manifest.json in the archive").with_cause(error))?;
    entries.into_iter().map(|entry| candidate(archive, entry)).collect()
}

fn candidate(archive: &Archive, entry: Entry) -> Result<Candidate> {
    let names = entry.repo_tags.unwrap_or_default();
    let layer = |path: &String| Ok(Source { blob: archive.file(path)?.clone(), media_type: None });
    let parts = Parts {
        config: archive.file(&entry.config)?.clone(),
        layers: entry.layers.unwrap_or_default().iter().map(layer).collect::<Result<_>>()?,
        manifest: None,
    };
    Ok(Candidate { parts, names: names.iter().map(|name| tagged(name)).collect::<Result<_>>()? })
}

fn tagged(text: &str) -> Result<Reference> {
    let reference = Reference::parse(text)?;
    if reference.tag().is_none() || reference.digest().is_some() {
        return Err(Error::invalid(format!("invalid tag {text:?}")));
    }
    name::taggable(&reference)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_tags() {
        assert_eq!(tagged("a:1").unwrap().familiar(), "a:1");
        assert_eq!(tagged("a").unwrap_err().to_string(), "invalid tag \"a\"");
    }

    #[test]
    fn other_documents_are_refused() {
        for text in ["", "{}", "[1]", "[{}]", r#"[{"Config":1}]"#] {
            let error = candidates(&Archive::default(), text.as_bytes()).unwrap_err();
            assert!(error.to_string().starts_with("invalid manifest.json"), "{text}: {error}");
        }
    }
}
