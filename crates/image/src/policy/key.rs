//! Public keys, as cosign and openssl write them (RFC 5280, section 4.1, `SubjectPublicKeyInfo`; RFC 7468).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dhow_errdefs::{Error, Result};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::SignatureVerificationAlgorithm;

/// A key with which signatures are verified: ECDSA on P-256 (cosign's own) or P-384, Ed25519, or RSA.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// Where it was read from, for messages.
    source: String,
    /// The contents of its `AlgorithmIdentifier`.
    algorithm: Vec<u8>,
    /// The key itself.
    key: Vec<u8>,
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PublicKey").field(&self.source).finish()
    }
}

const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const END: &str = "-----END PUBLIC KEY-----";

impl PublicKey {
    /// Reads a PEM file's text.
    ///
    /// # Errors
    /// [`InvalidArgument`](dhow_errdefs::Class::InvalidArgument) for what is no public key of a known kind.
    pub fn from_pem(source: &str, pem: &str) -> Result<Self> {
        let wrong = || Error::invalid(format!("{source} holds no public key"));
        let (_, rest) = pem.split_once(BEGIN).ok_or_else(wrong)?;
        let (body, _) = rest.split_once(END).ok_or_else(wrong)?;
        let text: String = body.split_whitespace().collect();
        let der = STANDARD.decode(text).map_err(|cause| wrong().with_cause(cause))?;
        let (algorithm, key) = parts(&der).ok_or_else(wrong)?;
        let key = Self { source: source.to_owned(), algorithm: algorithm.to_vec(), key: key.to_vec() };
        if algorithms().any(|algorithm| key.fits(algorithm)) {
            return Ok(key);
        }
        Err(Error::not_implemented(format!("{source} holds a key of a kind that is not known here")))
    }

    fn fits(&self, algorithm: &dyn SignatureVerificationAlgorithm) -> bool {
        algorithm.public_key_alg_id().as_ref() == self.algorithm
    }

    /// Whether this is a signature of these bytes by this key.
    pub(super) fn verifies(&self, bytes: &[u8], signature: &[u8]) -> bool {
        algorithms()
            .filter(|algorithm| self.fits(*algorithm))
            .any(|algorithm| algorithm.verify_signature(&self.key, bytes, signature).is_ok())
    }
}

/// The kinds of signatures that this program's TLS can verify.
fn algorithms() -> impl Iterator<Item = &'static dyn SignatureVerificationAlgorithm> {
    let own = || rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms;
    let known = CryptoProvider::get_default().map_or_else(own, |it| it.signature_verification_algorithms);
    known.all.iter().copied()
}

/// The contents of the `AlgorithmIdentifier`, and the key.
fn parts(der: &[u8]) -> Option<(&[u8], &[u8])> {
    const SEQUENCE: u8 = 0x30;
    const BIT_STRING: u8 = 0x03;
    let (whole, nothing) = value(der, SEQUENCE)?;
    let (algorithm, rest) = value(whole, SEQUENCE)?;
    let (bits, end) = value(rest, BIT_STRING)?;
    let (unused, key) = bits.split_first()?;
    (nothing.is_empty() && end.is_empty() && *unused == 0).then_some((algorithm, key))
}

/// The contents of a DER value (X.690, section 8.1), and what comes after it.
fn value(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0x80.. => {
            let count = usize::from(first & 0x7f);
            let digits = rest.get(..count).filter(|_| (1..=4).contains(&count))?;
            let length = digits.iter().fold(0_usize, |length, digit| length << 8 | usize::from(*digit));
            (length, &rest[count..])
        }
        short => (usize::from(*short), rest),
    };
    (*found == tag && length <= rest.len()).then(|| rest.split_at(length))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_key_is_refused() {
        for pem in ["", "-----BEGIN PUBLIC KEY-----", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"] {
            assert!(PublicKey::from_pem("file", pem).unwrap_err().to_string().starts_with("file holds"), "{pem}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            parts(&bytes);
        }
    }
}
