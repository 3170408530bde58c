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

/// Longest token that a registry could be shown in a header.
const LONGEST: usize = 16 << 10;

/// So many are kept: what they are for is said by registries, who may think of something else each time.
const MOST: usize = 1_000;

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

    /// Keeps what a token server answered, in place of what was kept.
    pub(super) fn keep(&self, key: Key, document: Document) -> String {
        let text = document.text().to_owned();
        let seconds = document.expires_in.unwrap_or(ORDINARY).saturating_sub(MARGIN).min(24 * 3600);
        let until = Instant::now() + Duration::from_secs(seconds);
        let mut tokens = self.tokens();
        if tokens.len() >= MOST
            && !tokens.contains_key(&key)
            && let Some(first) = tokens.iter().min_by_key(|(_, token)| token.until).map(|(key, _)| key.clone())
        {
            tokens.remove(&first);
        }
        tokens.insert(key, Token { text: text.clone(), until });
        text
    }

    fn tokens(&self) -> MutexGuard<'_, HashMap<Key, Token>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a token server answers.
#[derive(Default, Deserialize)]
pub(super) struct Document {
    #[serde(default)]
    token: String,
    #[serde(default)]
    access_token: String,
    #[serde(default)]
    refresh_token: String,
    expires_in: Option<u64>,
}

impl Document {
    /// Reads the answer of the token server at `realm`.
    ///
    /// # Errors
    /// `Unauthenticated` for one without a token, or with one that is too long.
    pub(super) fn read(realm: &str, answer: &[u8]) -> Result<Self> {
        let wrong = || Error::new(Class::Unauthenticated, format!("{realm} gave no token"));
        let document: Self = serde_json::from_slice(answer).map_err(|cause| wrong().with_cause(cause))?;
        match document.text().len() {
            0 => Err(wrong()),
            1..=LONGEST => Ok(document),
            length => Err(Error::new(Class::Unauthenticated, format!("{realm} gave a token of {length} bytes"))),
        }
    }

    /// What may be shown in place of the password from now on.
    pub(super) fn identity(&self) -> Option<String> {
        Some(self.refresh_token.clone()).filter(|token| !token.is_empty())
    }

    fn text(&self) -> &str {
        if self.token.is_empty() { &self.access_token } else { &self.token }
    }
}

/// What we are going to do, and what a registry says it wants beyond that ("Token Scope Documentation").
pub(super) fn scope(own: String, wanted: &str) -> String {
    let has = |scope: &str, wanted: &str| match (scope.rsplit_once(':'), wanted.rsplit_once(':')) {
        (Some((resource, actions)), Some((wanted_resource, wanted))) => {
            resource == wanted_resource && wanted.split(',').all(|action| actions.split(',').any(|it| it == action))
        }
        _ => scope == wanted,
    };
    wanted.split_ascii_whitespace().fold(own, |all, wanted| {
        let covered = all.split(' ').any(|scope| has(scope, wanted));
        if covered { all } else { format!("{all} {wanted}").trim_start().to_owned() }
    })
}

/// How we name ourselves to token servers.
const CLIENT: &str = "dhow";

/// Where a token server is.
///
/// # Errors
/// `InvalidArgument` for a realm that is no address.
pub(super) fn address(realm: &str) -> Result<Url> {
    Url::parse(realm).map_err(|cause| Error::invalid(format!("invalid token server {realm:?}")).with_cause(cause))
}

/// How a token server is asked, in Docker's words. Who does not know `POST` is not asked otherwise, as Docker does not: an
/// identity token is no password.
pub(super) fn method(key: &Key) -> &'static str {
    if matches!(key.credentials, Credentials::IdentityToken(_)) { "Post" } else { "Get" }
}

/// The request to a token server. Who logs in asks for what can be kept in place of the password, too.
pub(super) fn request(client: &Client, mut realm: Url, key: &Key, login: bool) -> RequestBuilder {
    if let Credentials::IdentityToken(token) = &key.credentials {
        let form = form(&[
            ("grant_type", "refresh_token"),
            ("service", &key.service),
            ("client_id", CLIENT),
            ("scope", &key.scope),
            ("refresh_token", token),
        ]);
        return client.post(realm).header("Content-Type", "application/x-www-form-urlencoded").body(form);
    }
    // Each scope is a parameter of its own.
    let scopes = key.scope.split(' ').map(|scope| ("scope", scope));
    for (name, value) in [("service", key.service.as_str())].into_iter().chain(scopes) {
        if !value.is_empty() {
            realm.query_pairs_mut().append_pair(name, value);
        }
    }
    match &key.credentials {
        Credentials::Password { username, password } => {
            realm.query_pairs_mut().append_pair("account", username);
            if login {
                realm.query_pairs_mut().append_pair("offline_token", "true").append_pair("client_id", CLIENT);
            }
            client.get(realm).basic_auth(username, Some(password))
        }
        _ => client.get(realm),
    }
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
        let read = |text: &str| Document::read("realm", text.as_bytes());
        let document = read(r#"{"access_token":"t","expires_in":300,"refresh_token":"r"}"#).expect("a token");
        assert_eq!(document.identity().as_deref(), Some("r"));
        assert_eq!(tokens.keep(key(), document), "t");
        assert_eq!(tokens.get(&key()).as_deref(), Some("t"));
        assert_eq!(tokens.get(&Key { credentials: Credentials::Anonymous, ..key() }), None);
        tokens.keep(key(), read(r#"{"token":"t","expires_in":1}"#).expect("a token"));
        assert_eq!(tokens.get(&key()), None, "about to end");
        assert!(read("{}").is_err());
        assert!(read(&format!(r#"{{"token":"{}"}}"#, "t".repeat(LONGEST + 1))).is_err());
    }

    #[test]
    fn a_registry_that_always_wants_something_else_costs_no_more_than_so_much() {
        let tokens = Tokens::default();
        let keep = |number: usize, seconds: u64| {
            let document = Document { token: "t".into(), expires_in: Some(seconds), ..Document::default() };
            tokens.keep(Key { scope: number.to_string(), ..key() }, document);
        };
        keep(0, 100);
        (1..=MOST).for_each(|number| keep(number, 300));
        assert_eq!(tokens.tokens().len(), MOST);
        assert_eq!(tokens.get(&Key { scope: "0".into(), ..key() }), None, "the first to end");
    }

    #[test]
    fn what_a_registry_wants_is_asked_for_beside_what_is_to_be_done() {
        for (own, wanted, all) in [
            ("repository:a:pull,push", "repository:a:pull", "repository:a:pull,push"),
            ("repository:a:pull", "repository:a:pull,push", "repository:a:pull repository:a:pull,push"),
            ("repository:a:pull", "", "repository:a:pull"),
            ("", "registry:catalog:*", "registry:catalog:*"),
            ("repository:a:pull", "repository:x/a:pull b", "repository:a:pull repository:x/a:pull b"),
        ] {
            assert_eq!(scope(own.to_owned(), wanted), all);
        }
    }

    #[test]
    fn the_server_is_asked_with_service_and_scope() {
        let realm = address(&key().realm).expect("an address");
        let asked = |login| request(&Client::new(), realm.clone(), &key(), login).build().expect("good");
        let asked_at = "https://auth.example/token?service=reg&scope=repository%3Aa%2Fb%3Apull&account=u";
        assert_eq!(asked(false).url().as_str(), asked_at);
        assert_eq!(asked(true).url().as_str(), format!("{asked_at}&offline_token=true&client_id=dhow"));
        assert!(asked(false).headers().contains_key("authorization"));
    }

    #[test]
    fn forms_are_encoded() {
        assert_eq!(form(&[("a", "b c"), ("d", "&=")]), "a=b+c&d=%26%3D");
    }
}
