//! Bearer tokens (distribution, "Token Authentication"; RFC 6750; RFC 6749 section 6 for identity tokens).

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dhow_errdefs::{Class, Error, Result};
use reqwest::{Client, RequestBuilder, Url};
use serde::Deserialize;

use super::credentials::Credentials;

/// Who asks whom for what: tokens are good for that.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) realm: String,
    pub(super) service: String,
    /// With spaces between several.
    pub(super) scope: String,
    pub(super) credentials: Credentials,
}

/// Tokens that are still good.
#[derive(Debug, Default)]
pub(super) struct Tokens(Mutex<HashMap<Key, Token>>);

/// A token, and until when it is used.
#[derive(Debug, Clone)]
struct Token {
    text: String,
    until: Instant,
}

/// How long a token is good where the server does not say.
const ORDINARY: u64 = 60;

/// So long before its end a token is not used any more.
const MARGIN: u64 = 5;

impl Tokens {
    /// The token for that, if there is one that is still good.
    pub(super) fn get(&self, key: &Key) -> Option<String> {
        let mut tokens = self.tokens();
        let now = Instant::now();
        tokens.retain(|_, token| token.until > now);
        tokens.get(key).map(|token| token.text.clone())
    }

    /// Keeps what a token server answered.
    pub(super) fn keep(&self, key: Key, answer: &[u8]) -> Result<String> {
        let wrong = |realm: &str| Error::new(Class::Unauthenticated, format!("{realm} gave no token"));
        let document: Document = serde_json::from_slice(answer).map_err(|cause| wrong(&key.realm).with_cause(cause))?;
        let text = if document.token.is_empty() { document.access_token } else { document.token };
        if text.is_empty() {
            return Err(wrong(&key.realm));
        }
        let seconds = document.expires_in.unwrap_or(ORDINARY).saturating_sub(MARGIN).min(24 * 3600);
        let until = Instant::now() + Duration::from_secs(seconds);
        self.tokens().insert(key, Token { text: text.clone(), until });
        Ok(text)
    }

    /// Forgets a token that was refused.
    pub(super) fn forget(&self, key: &Key) {
        self.tokens().remove(key);
    }

    fn tokens(&self) -> MutexGuard<'_, HashMap<Key, Token>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    token: String,
    #[serde(default)]
    access_token: String,
    expires_in: Option<u64>,
}

/// The request to a token server.
///
/// # Errors
/// `InvalidArgument` for a realm that is no address.
pub(super) fn request(client: &Client, key: &Key) -> Result<RequestBuilder> {
    let mut realm = Url::parse(&key.realm)
        .map_err(|cause| Error::invalid(format!("invalid token server {:?}", key.realm)).with_cause(cause))?;
    if let Credentials::IdentityToken(token) = &key.credentials {
        let form = form(&[
            ("grant_type", "refresh_token"),
            ("service", &key.service),
            ("client_id", "dhow"),
            ("scope", &key.scope),
            ("refresh_token", token),
        ]);
        return Ok(client.post(realm).header("Content-Type", "application/x-www-form-urlencoded").body(form));
    }
    // Each scope is a parameter of its own.
    let scopes = key.scope.split(' ').map(|scope| ("scope", scope));
    for (name, value) in [("service", key.service.as_str())].into_iter().chain(scopes) {
        if !value.is_empty() {
            realm.query_pairs_mut().append_pair(name, value);
        }
    }
    Ok(match &key.credentials {
        Credentials::Password { username, password } => {
            realm.query_pairs_mut().append_pair("account", username);
            client.get(realm).basic_auth(username, Some(password))
        }
        _ => client.get(realm),
    })
}

/// Pairs as a form sends them (URL standard, "application/x-www-form-urlencoded").
fn form(pairs: &[(&str, &str)]) -> String {
    let mut url = Url::parse("form:").expect("a scheme alone is an address");
    url.query_pairs_mut().extend_pairs(pairs);
    url.query().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Key {
        Key {
            realm: "https://auth.example/token".into(),
            service: "reg".into(),
            scope: "repository:a/b:pull".into(),
            credentials: Credentials::Password { username: "u".into(), password: "p".into() },
        }
    }

    #[test]
    fn tokens_are_kept_as_long_as_they_are_good() {
        let tokens = Tokens::default();
        assert_eq!(tokens.keep(key(), br#"{"access_token":"t","expires_in":300}"#).expect("a token"), "t");
        assert_eq!(tokens.get(&key()).as_deref(), Some("t"));
        assert_eq!(tokens.get(&Key { credentials: Credentials::Anonymous, ..key() }), None);
        tokens.forget(&key());
        assert_eq!(tokens.get(&key()), None);
        tokens.keep(key(), br#"{"token":"t","expires_in":1}"#).expect("a token");
        assert_eq!(tokens.get(&key()), None, "about to end");
        assert!(tokens.keep(key(), b"{}").is_err());
    }

    #[test]
    fn the_server_is_asked_with_service_and_scope() {
        let request = request(&Client::new(), &key()).expect("good").build().expect("good");
        assert_eq!(
            request.url().as_str(),
            "https://auth.example/token?service=reg&scope=repository%3Aa%2Fb%3Apull&account=u"
        );
        assert!(request.headers().contains_key("authorization"));
    }

    #[test]
    fn forms_are_encoded() {
        assert_eq!(form(&[("a", "b c"), ("d", "&=")]), "a=b+c&d=%26%3D");
    }
}
