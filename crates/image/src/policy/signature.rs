//! Signatures as cosign keeps them (sigstore/cosign, `SIGNATURE_SPEC.md`): a manifest with the tag `sha256-HEX.sig`, whose
//! layers are what was signed and whose annotations are the signatures.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dhow_errdefs::{Error, Result};
use dhow_oci::{Descriptor, Digest, Manifest};
use serde::Deserialize;

use super::PublicKey;

/// The annotation that is a signature.
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";

/// Longest statement that is read.
pub(crate) const LONGEST: u64 = 64 << 10;

/// Most statements that are looked at.
const MOST: usize = 32;

/// The manifest of signatures.
#[derive(Debug)]
pub(crate) struct Signatures(Manifest);

impl Signatures {
    /// The tag under which signatures of a manifest stand beside it.
    pub(crate) fn tag(digest: &Digest) -> String {
        format!("sha256-{}.sig", digest.hex())
    }

    /// None for another document.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let manifest = Manifest::parse(bytes).ok()?;
        let signed = manifest.layers.iter().any(|layer| layer.annotations.contains_key(SIGNATURE));
        signed.then_some(Self(manifest))
    }

    /// What was signed, and the signatures.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&Descriptor, &str)> {
        let short = self.0.layers.iter().filter(|layer| layer.size <= LONGEST).take(MOST);
        short.filter_map(|layer| Some((layer, layer.annotations.get(SIGNATURE)?.as_str())))
    }
}

/// A statement about an image, as far as it counts (containers/image, "atomic container signature", `critical`).
#[derive(Deserialize)]
struct Statement {
    critical: Critical,
}

#[derive(Deserialize)]
struct Critical {
    image: Subject,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct Subject {
    #[serde(rename = "docker-manifest-digest")]
    digest: Digest,
}

/// That a statement is about one of the subjects and signed with one of the keys.
pub(crate) fn verify(statement: &[u8], signature: &str, subjects: &[Digest], keys: &[PublicKey]) -> Result<()> {
    let unreadable = |what: &str| Error::invalid(format!("{what} cannot be read"));
    let signature = STANDARD.decode(signature).map_err(|cause| unreadable("its signature").with_cause(cause))?;
    // Who signed it comes first: nothing else of it is looked at before.
    if !keys.iter().any(|key| key.verifies(statement, &signature)) {
        return Err(Error::invalid("it is not signed with a key of the rule"));
    }
    let Statement { critical } =
        serde_json::from_slice(statement).map_err(|cause| unreadable("what was signed").with_cause(cause))?;
    match critical.kind.as_str() {
        "cosign container image signature" | "atomic container signature" => {}
        other => return Err(Error::invalid(format!("what was signed is a {other:?}"))),
    }
    if subjects.contains(&critical.image.digest) {
        return Ok(());
    }
    Err(Error::invalid(format!("the signature is of {}", critical.image.digest)))
}
