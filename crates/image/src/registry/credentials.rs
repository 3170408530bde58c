//! Who asks.

use std::fmt;

use dhow_errdefs::{Error, Result};
use serde::Deserialize;

/// What a person shows to a registry.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub enum Credentials {
    /// Nothing.
    #[default]
    Anonymous,
    /// A name and a password.
    Password {
        /// The name.
        username: String,
        /// The password.
        password: String,
    },
    /// A token that was given in place of a password: to be exchanged at the token server (`OAuth2`, RFC 6749 section 6).
    IdentityToken(String),
    /// A token for the registry itself.
    RegistryToken(String),
}

/// Secrets are not for logs.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "Anonymous",
            Self::Password { .. } => "Password",
            Self::IdentityToken(_) => "IdentityToken",
            Self::RegistryToken(_) => "RegistryToken",
        })
    }
}

/// The fields of `X-Registry-Auth` that count. Clients that are not written in Go send `null` for what there is not.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Document {
    username: Option<String>,
    password: Option<String>,
    #[serde(alias = "identitytoken")]
    identity_token: Option<String>,
    #[serde(alias = "registrytoken")]
    registry_token: Option<String>,
}

impl Credentials {
    /// Reads the JSON that clients send (Engine API, "Authentication").
    ///
    /// # Errors
    /// [`InvalidArgument`](dhow_errdefs::Class::InvalidArgument) for what is no such document.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        if json.is_empty() {
            return Ok(Self::Anonymous);
        }
        let document: Document = serde_json::from_slice(json)
            .map_err(|cause| Error::invalid("invalid X-Registry-Auth").with_cause(cause))?;
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        let (registry, identity) = (given(document.registry_token), given(document.identity_token));
        Ok(match (registry, identity, given(document.username), given(document.password)) {
            (Some(token), ..) => Self::RegistryToken(token),
            (_, Some(token), ..) => Self::IdentityToken(token),
            (_, _, None, None) => Self::Anonymous,
            (_, _, username, password) => {
                Self::Password { username: username.unwrap_or_default(), password: password.unwrap_or_default() }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_send_is_read() {
        let read = |json: &str| Credentials::from_json(json.as_bytes()).expect("good");
        assert_eq!(read(""), Credentials::Anonymous);
        assert_eq!(read("{}"), Credentials::Anonymous);
        let password = Credentials::Password { username: "a".into(), password: "b".into() };
        assert_eq!(read(r#"{"username":"a","password":"b","serveraddress":"x","auth":""}"#), password);
        assert_eq!(read(r#"{"identitytoken":"t"}"#), Credentials::IdentityToken("t".into()));
        assert_eq!(read(r#"{"username":"a","registrytoken":"r"}"#), Credentials::RegistryToken("r".into()));
        assert_eq!(read(r#"{"username":null,"password":null,"registrytoken":null}"#), Credentials::Anonymous);
        let name = Credentials::Password { username: "a".into(), password: String::new() };
        assert_eq!(read(r#"{"username":"a","password":null,"identitytoken":null}"#), name);
        assert!(Credentials::from_json(b"[").is_err());
        assert!(!format!("{password:?}").contains('b'));
    }
}
