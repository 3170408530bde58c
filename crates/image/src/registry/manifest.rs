//! Manifests and indexes.

use bytes::Bytes;
use dhow_errdefs::{Error, Result};
use dhow_oci::{Digest, media};
use reqwest::Client;
use reqwest::header::{ACCEPT, CONTENT_TYPE};

use super::failure::Wanted;
use super::session::Repository;

/// Longest manifest: as long as registries must take one (OCI distribution-spec, "Pushing Manifests").
const LONGEST: usize = 4 << 20;

/// The header in which a registry says a manifest's digest.
const DIGEST: &str = "Docker-Content-Digest";

/// A manifest or an index, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// What the registry calls it.
    pub(crate) media_type: String,
    /// Its bytes.
    pub(crate) bytes: Vec<u8>,
    /// Their digest.
    pub(crate) digest: Digest,
}

impl Repository<'_> {
    /// The manifest with that tag or digest. One that is asked for by digest has it.
    pub(crate) fn manifest(&self, tag: &str, digest: Option<&Digest>) -> Result<Found> {
        let wanted = digest.map_or_else(|| tag.to_owned(), ToString::to_string);
        let url = self.url(&format!("manifests/{wanted}"));
        let answer =
            self.send("Get", &url, Wanted::Manifest(self.name()), |client| client.get(&url).header(ACCEPT, ACCEPTED))?;
        let header = |name| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (media_type, said) = (header(CONTENT_TYPE.as_str()).unwrap_or_default(), header(DIGEST));
        let bytes = self.body(answer, LONGEST, &url)?;
        let found = Digest::of(&bytes);
        let said = said.and_then(|text| text.parse::<Digest>().ok());
        match digest.copied().or(said) {
            Some(expected) if expected != found => Err(Error::data_loss(format!(
                "manifest verification failed for digest {expected}: {url} gave one with digest {found}"
            ))),
            _ => Ok(Found { media_type: kind(&media_type, &bytes), bytes, digest: found }),
        }
    }

    /// Stores a manifest or an index under a tag, or under its digest alone.
    pub(crate) fn put_manifest(&self, tag: Option<&str>, media_type: &str, bytes: &[u8]) -> Result<Digest> {
        let digest = Digest::of(bytes);
        let url = self.url(&format!("manifests/{}", tag.map_or_else(|| digest.to_string(), str::to_owned)));
        let body = Bytes::copy_from_slice(bytes);
        let put = |client: &Client| client.put(&url).header(CONTENT_TYPE, media_type).body(body.clone());
        self.send("Put", &url, Wanted::Push, put)?;
        Ok(digest)
    }

    /// The digest that a tag has now, if the registry says so without sending the manifest.
    pub(crate) fn manifest_digest(&self, tag: &str) -> Option<Digest> {
        let url = self.url(&format!("manifests/{tag}"));
        let asked = self
            .send("Head", &url, Wanted::Manifest(self.name()), |client| client.head(&url).header(ACCEPT, ACCEPTED))
            .ok()?;
        asked.headers().get(DIGEST)?.to_str().ok()?.parse().ok()
    }
}

const ACCEPTED: &str = "application/vnd.oci.image.index.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json";

/// The media type without its parameters; where a server says nothing of use, what the document says.
fn kind(header: &str, bytes: &[u8]) -> String {
    let header = header.split(';').next().unwrap_or_default().trim();
    if media::is_manifest(header) || media::is_index(header) {
        return header.to_owned();
    }
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Kind {
        #[serde(default)]
        media_type: String,
    }
    let said = serde_json::from_slice::<Kind>(bytes).map(|kind| kind.media_type).unwrap_or_default();
    if said.is_empty() { header.to_owned() } else { said }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_is_what_the_header_or_the_document_says() {
        assert_eq!(kind("application/vnd.oci.image.index.v1+json; charset=utf-8", b"{}"), media::OCI_INDEX);
        let document = format!(r#"{{"mediaType":"{}"}}"#, media::DOCKER_MANIFEST);
        assert_eq!(kind("text/plain", document.as_bytes()), media::DOCKER_MANIFEST);
        assert_eq!(kind("text/plain", b"["), "text/plain");
    }
}
