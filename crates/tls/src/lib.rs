//! TLS as a client: who is trusted, and who we are.
//!
//! Made for whoever opens connections of its own: the client of the engine, with an async runtime, and the senders of logs,
//! without one.

use std::sync::Arc;

use dhow_errdefs::{Error, Result};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

/// Where distributions keep the authorities that everybody trusts, as one file.
const BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Certificates and keys as PEM text.
#[derive(Debug, Clone, Copy, Default)]
pub struct TlsMaterial<'a> {
    /// Authorities that the server's certificate has to come from; the host's own without it.
    pub authority: Option<&'a [u8]>,
    /// Our certificate and its key.
    pub identity: Option<(&'a [u8], &'a [u8])>,
    /// Trust the host's own authorities as well.
    pub and_hosts: bool,
    /// Take any certificate: protects from listeners, not from somebody in the middle.
    pub any_server: bool,
}

/// How to speak TLS (1.2 or 1.3) to a server, with that material.
///
/// # Errors
/// [`InvalidArgument`](dhow_errdefs::Class::InvalidArgument): a certificate or key cannot be used; the text says which.
pub fn client(material: TlsMaterial<'_>) -> Result<ClientConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|cause| Error::internal("choose versions of TLS").with_cause(cause))?;
    let verifier = Arc::new(Verifier::new(&provider, &material)?);
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    let Some((certificate, key)) = material.identity else { return Ok(builder.with_no_client_auth()) };
    let wrong = |cause: rustls::pki_types::pem::Error| unusable("key", &cause.to_string());
    let key = PrivateKeyDer::from_pem_slice(key).map_err(wrong)?;
    let chain = certificates(certificate, "certificate")?;
    builder.with_client_auth_cert(chain, key).map_err(|cause| unusable("certificate", &cause.to_string()))
}

/// Judges the certificate that a server shows.
#[derive(Debug)]
struct Verifier {
    trust: Trust,
    /// How it is proven that the server owns it.
    algorithms: WebPkiSupportedAlgorithms,
}

#[derive(Debug)]
enum Trust {
    /// In whoever answers.
    Any,
    /// In who comes from an authority, and in who shows a certificate that was given as one: those that sign themselves, as
    /// they are made for registries of one's own, say that they are authorities, which strict verifiers take from no server.
    Given { usual: Arc<WebPkiServerVerifier>, given: Vec<CertificateDer<'static>> },
}

impl Verifier {
    fn new(provider: &Arc<CryptoProvider>, material: &TlsMaterial<'_>) -> Result<Self> {
        let trust = if material.any_server { Trust::Any } else { Trust::of(provider, material)? };
        Ok(Self { trust, algorithms: provider.signature_verification_algorithms })
    }
}

impl Trust {
    fn of(provider: &Arc<CryptoProvider>, material: &TlsMaterial<'_>) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        let given = material.authority.map(|pem| certificates(pem, "certificate of the authority")).transpose()?;
        for certificate in given.iter().flatten() {
            let added = roots.add(certificate.clone());
            added.map_err(|cause| unusable("certificate of the authority", &cause.to_string()))?;
        }
        if given.is_none() || material.and_hosts {
            let bundle = BUNDLES.iter().find_map(|path| std::fs::read(path).ok()).unwrap_or_default();
            // Old authorities that cannot be read are no reason to trust none.
            roots.add_parsable_certificates(certificates(&bundle, "authorities").unwrap_or_default());
        }
        let usual = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build();
        let usual = usual.map_err(|cause| unusable("authorities", &cause.to_string()))?;
        Ok(Self::Given { usual, given: given.unwrap_or_default() })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        let Trust::Given { usual, given } = &self.trust else { return Ok(ServerCertVerified::assertion()) };
        let verified = usual.verify_server_cert(certificate, intermediates, name, ocsp, now);
        if verified.is_err() && given.iter().any(|given| given == certificate) {
            // Of a certificate alone the date is what is looked at first: with another error it is right.
            match usual.verify_server_cert(certificate, &[], name, ocsp, now) {
                Err(error) if is_out_of_date(&error) => return Err(error),
                _ => {}
            }
            verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
            return Ok(ServerCertVerified::assertion());
        }
        verified
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn is_out_of_date(error: &rustls::Error) -> bool {
    use CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext};
    let rustls::Error::InvalidCertificate(why) = error else { return false };
    matches!(why, Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. })
}

fn certificates(pem: &[u8], what: &str) -> Result<Vec<CertificateDer<'static>>> {
    let read: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match read {
        Ok(some) if !some.is_empty() => Ok(some),
        Ok(_) => Err(unusable(what, "no certificate in it")),
        Err(cause) => Err(unusable(what, &cause.to_string())),
    }
}

fn unusable(what: &str, why: &str) -> Error {
    Error::invalid(format!("could not use the {what} for TLS: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_is_named() {
        let of = |material| client(material).expect_err("useless").to_string();
        let wrong = of(TlsMaterial { authority: Some(b"x"), ..TlsMaterial::default() });
        assert_eq!(wrong, "could not use the certificate of the authority for TLS: no certificate in it");
        let wrong = of(TlsMaterial { identity: Some((b"x", b"y")), any_server: true, ..TlsMaterial::default() });
        assert!(wrong.starts_with("could not use the key for TLS: "), "{wrong}");
        assert!(client(TlsMaterial { any_server: true, ..TlsMaterial::default() }).is_ok());
    }

    /// It signs itself, for `registry.example`, and was made for two days at [`MADE`].
    const ITSELF: &[u8] = b"-----BEGIN CERTIFICATE-----
MIIBjzCCATagAwIBAgIUUG8C9y1hQAiWjFT9aYhgZK60ojEwCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEc2VsZjAeFw0yNjExMjgwMzM5MjRaFw0yNjExMzAwMzM5MjRa
MA8xDTALBgNVBAMMBHNlbGYwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQe2Vvy
vkv+6eF/jZPi+keHl/fSyNPwoxdP+aSrC3NlAW7MpbYiIqLCy53J9h4oKyG/BYzf
j88IFcfBMZ2h2gaqo3AwbjAdBgNVHQ4EFgQUu5oAmqRctOmqxFsSc89jSpqv76Iw
HwYDVR0jBBgwFoAUu5oAmqRctOmqxFsSc89jSpqv76IwDwYDVR0TAQH/BAUwAwEB
/zAbBgNVHREEFDASghByZWdpc3RyeS5leGFtcGxlMAoGCCqGSM49BAMCA0cAMEQC
IBjhY3dngheBafIzpXoy5D04aNO8joX15VeEpLNmwRk1AiBy0FNgSdAaF3nacEwL
kGGjCXz11cpuGjl/KKxpSpdVUg==
-----END CERTIFICATE-----";

    /// Seconds since 1970.
    const MADE: u64 = 1_795_837_164;

    #[test]
    fn a_certificate_that_was_given_is_trusted_in_its_time_and_under_its_name() {
        let material = TlsMaterial { authority: Some(ITSELF), ..TlsMaterial::default() };
        let verifier = Verifier::new(&Arc::new(aws_lc_rs::default_provider()), &material).unwrap();
        let certificate = CertificateDer::from_pem_slice(ITSELF).unwrap();
        let verify = |name: &'static str, at: u64| {
            let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(at));
            verifier.verify_server_cert(&certificate, &[], &name.try_into().unwrap(), &[], now).map(drop)
        };
        verify("registry.example", MADE + 3600).unwrap();
        let wrong = verify("other.example", MADE + 3600).unwrap_err().to_string();
        assert!(wrong.contains("not valid for name"), "{wrong}");
        for (at, words) in [(MADE - 3600, "not valid yet"), (MADE + 3 * 24 * 3600, "expired")] {
            let wrong = verify("registry.example", at).unwrap_err().to_string();
            assert!(wrong.contains(words), "{wrong}");
        }
    }
}
