//! Docker's archives: `manifest.json` (Docker's image specification v1.2, "Combined Image JSON + Filesystem Changeset
//! Format").

use std::collections::{HashMap, HashSet};

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
    once_each(entries).into_iter().map(|entry| candidate(archive, entry)).collect()
}

/// The entries, those of the same image as one with all its names: an archive may be short and name an image very often.
fn once_each(entries: Vec<Entry>) -> Vec<Entry> {
    let (mut places, mut known) = (HashMap::new(), HashSet::new());
    let mut once: Vec<Entry> = Vec::new();
    for mut entry in entries {
        let place = *places.entry((entry.config.clone(), entry.layers.clone())).or_insert(once.len());
        let mut names = entry.repo_tags.take().unwrap_or_default();
        names.retain(|name| known.insert((place, name.clone())));
        if place == once.len() {
            once.push(entry);
        }
        once[place].repo_tags.get_or_insert_default().append(&mut names);
    }
    once
}

fn candidate(archive: &Archive, entry: Entry) -> Result<Candidate> {
    let names = entry.repo_tags.unwrap_or_default();
    let layer = |path: &String| Ok(Source::new(archive.file(path)?.clone(), None));
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
    fn entries_of_one_image_are_one() {
        let entry = |config: &str, names: &[&str]| Entry {
            config: config.to_owned(),
            repo_tags: (!names.is_empty()).then(|| names.iter().map(|name| (*name).to_owned()).collect()),
            layers: Some(vec!["layer".to_owned()]),
        };
        let once = once_each(vec![entry("one", &["a:1"]), entry("two", &[]), entry("one", &["a:1", "b:1"])]);
        let names: Vec<_> = once.iter().map(|entry| entry.repo_tags.clone().unwrap_or_default()).collect();
        assert_eq!(names, [vec!["a:1".to_owned(), "b:1".to_owned()], Vec::new()]);
    }

    #[test]
    fn other_documents_are_refused() {
        for text in ["", "{}", "[1]", "[{}]", r#"[{"Config":1}]"#] {
            let error = candidates(&Archive::default(), text.as_bytes()).unwrap_err();
            assert!(error.to_string().starts_with("invalid manifest.json"), "{text}: {error}");
        }
    }
}
