//! Requests to one repository: rights, second tries, bounded answers.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use dhow_errdefs::{Class, Error, Result};
use dhow_oci::Reference;
use reqwest::header::{AUTHORIZATION, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};
use tokio::runtime::Handle;

use super::challenge::{self, Challenge};
use super::credentials::Credentials;
use super::endpoint::{Endpoint, Way};
use super::failure::{self, Wanted};
use super::wait::{self, Backoff};
use super::{Registries, token};
use crate::cancelled::Cancelled;

/// What one wants to do with a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Read.
    Pull,
    /// Read and write.
    Push,
    /// Only be known.
    Login,
    /// See what the registry shows of itself.
    Look,
}

/// How long a registry may think before it answers.
const ANSWER: Duration = Duration::from_secs(60);

/// How long what is sent may take on its way, and the registry to look through it.
const DELIVERY: Duration = Duration::from_secs(300);

/// Longest answer that is no manifest and no blob.
const SMALL: usize = 1 << 20;

/// Who wants what of which repository.
#[derive(Clone, Copy)]
pub(crate) struct Visit<'r> {
    pub(crate) name: &'r Reference,
    pub(crate) access: Access,
    pub(crate) credentials: &'r Credentials,
    /// Other repositories of the registry from which something may be taken over.
    pub(crate) sources: &'r [String],
    /// The registry may be reached without security, whatever the settings say.
    pub(crate) insecure: bool,
    /// Looked at while something is waited for.
    pub(crate) cancelled: Cancelled<'r>,
}

/// One repository at one endpoint.
pub(crate) struct Repository<'r> {
    registries: &'r Registries,
    client: Client,
    endpoint: &'r Endpoint,
    visit: Visit<'r>,
    /// What the last challenge was answered with.
    authorization: Mutex<Option<HeaderValue>>,
    /// One asks for new rights, for all who send something at that time.
    renewal: Mutex<()>,
    /// What a token server gave for a password, to be shown from now on.
    identity: Mutex<Option<String>>,
}

impl<'r> Repository<'r> {
    pub(super) fn new(registries: &'r Registries, client: Client, endpoint: &'r Endpoint, visit: Visit<'r>) -> Self {
        let (authorization, renewal, identity) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self { registries, client, endpoint, visit, authorization, renewal, identity }
    }

    /// The name whose repository it is.
    pub(crate) fn name(&self) -> &Reference {
        self.visit.name
    }

    /// The address of something in the repository, as in `manifests/latest`.
    pub(super) fn url(&self, rest: &str) -> String {
        format!("{}/v2/{}/{rest}", self.endpoint.base, self.visit.name.repository())
    }

    /// Scheme, host and path of the registry.
    pub(crate) fn base(&self) -> &str {
        &self.endpoint.base
    }

    /// Asks the registry who we are.
    pub(crate) fn ping(&self) -> Result<()> {
        let url = format!("{}/v2/", self.endpoint.base);
        self.send("Get", &url, self.wanted(), |client| client.get(&url)).map(drop)
    }

    /// What a token server gave to who logged in, to be kept in place of the password.
    pub(crate) fn take_identity(&self) -> Option<String> {
        self.identity.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// What a refusal means where it is about no manifest and no blob.
    fn wanted(&self) -> Wanted<'r> {
        match self.visit.access {
            Access::Pull => Wanted::Manifest(self.visit.name),
            Access::Push | Access::Look => Wanted::Push,
            Access::Login => Wanted::Login,
        }
    }

    /// Sends a request until it has been answered well: with the rights that the registry asks for, and again after a
    /// while where the registry, or the way to it, is in trouble.
    pub(super) fn send(
        &self,
        method: &str,
        url: &str,
        wanted: Wanted<'_>,
        request: impl Fn(&Client) -> RequestBuilder,
    ) -> Result<Response> {
        let mut backoff = Backoff::default();
        loop {
            let failed = match self.attempt(method, url, wanted, &request) {
                Ok(answer) => return Ok(answer),
                Err(failed) if !failed.passing => return Err(failed.error),
                Err(failed) => failed,
            };
            self.still_wanted()?;
            match backoff.next(failed.asked) {
                Some(wait) => self.pause(wait),
                None => return Err(failed.error),
            }
        }
    }

    /// Sends a request once, and again with the rights that the registry asks for: with those that were given before, and
    /// where these are not good any more, with new ones.
    pub(super) fn attempt(
        &self,
        method: &str,
        url: &str,
        wanted: Wanted<'_>,
        request: &impl Fn(&Client) -> RequestBuilder,
    ) -> Result<Response, Failed> {
        let mut shown = self.authorization();
        let mut answer = self.once(method, url, request)?;
        let mut rights = Rights::Kept;
        for _ in 0..ASKED_AGAIN {
            // Who is asked in place of the registry may say whatever he likes: he is told nothing of us.
            let asks = answer.status() == StatusCode::UNAUTHORIZED && self.is_own(answer.url());
            if !asks || rights == Rights::New {
                break;
            }
            rights = self.authorize(method, url, &answer, shown.as_ref())?;
            shown = self.authorization();
            answer = self.once(method, url, request)?;
        }
        if is_good(answer.status()) {
            return Ok(answer);
        }
        let (passing, asked) = (is_passing(answer.status()), asked_for(&answer));
        Err(Failed { error: self.refused(answer, wanted, url), passing, asked })
    }

    /// A request with the rights that were asked for so far. An address that the registry gave may lead elsewhere; its
    /// rights are not for others.
    pub(super) fn entitled(&self, url: &str, request: impl Fn(&Client) -> RequestBuilder) -> RequestBuilder {
        let own = || Url::parse(url).is_ok_and(|url| self.is_own(&url));
        match self.authorization().filter(|_| own()) {
            Some(authorization) => request(&self.client).header(AUTHORIZATION, authorization),
            None => request(&self.client),
        }
    }

    /// Whether something is the registry's own, and not where it, or somebody, led us.
    fn is_own(&self, url: &Url) -> bool {
        Url::parse(&self.endpoint.base).is_ok_and(|base| {
            let below = url.path().strip_prefix(base.path().trim_end_matches('/'));
            url.origin() == base.origin() && below.is_some_and(|rest| rest.starts_with('/'))
        })
    }

    /// # Errors
    /// `Cancelled` when nobody wants anything of it any more.
    pub(super) fn still_wanted(&self) -> Result<()> {
        self.visit.cancelled.check()
    }

    /// Leaves the registry alone for a while, or until nobody wants anything of it any more.
    pub(super) fn pause(&self, wait: Duration) {
        let _: Option<()> = self.wait(wait, std::future::pending());
    }

    fn once(&self, method: &str, url: &str, request: &impl Fn(&Client) -> RequestBuilder) -> Result<Response, Failed> {
        let patience = patience(method);
        // Made where there are timers: a request with a time limit has one from its beginning.
        match self.wait(patience, async { self.entitled(url, request).send().await }) {
            Some(Ok(answer)) => Ok(answer),
            Some(Err(error)) => {
                // Who does not even take the connection will not do so in a second either.
                let passing = !error.is_connect() && !error.is_redirect() && !error.is_builder();
                Err(Failed { passing, asked: None, error: failure::of_transport(method, url, error) })
            }
            None => Err(Failed {
                passing: true,
                asked: None,
                error: Error::unavailable(format!("{method} {url:?}: no answer in {} s", patience.as_secs())),
            }),
        }
    }

    /// The network's runtime.
    pub(super) fn runtime(&self) -> &Handle {
        &self.registries.runtime
    }

    /// Runs something on the network's runtime; `None` when it takes too long, or nobody wants it any more.
    pub(super) fn wait<T>(&self, at_most: Duration, work: impl Future<Output = T>) -> Option<T> {
        if self.visit.cancelled.is_so() {
            return None;
        }
        self.registries.runtime.block_on(async {
            tokio::select! {
                biased;
                done = tokio::time::timeout(at_most, work) => done.ok(),
                () = self.visit.cancelled.comes() => None,
            }
        })
    }

    /// The body of an answer, if it is not longer than `limit`.
    pub(super) fn body(&self, mut answer: Response, limit: usize, url: &str) -> Result<Vec<u8>> {
        let read = async {
            let mut body = Vec::new();
            while let Some(piece) = answer.chunk().await.map_err(|error| failure::of_transport("Get", url, error))? {
                if body.len() + piece.len() > limit {
                    return Err(Error::exhausted(format!("{url} answers with more than {limit} bytes")));
                }
                body.extend_from_slice(&piece);
            }
            Ok(body)
        };
        let late = || Error::unavailable(format!("{url}: the answer did not end in {} s", ANSWER.as_secs()));
        self.wait(ANSWER, read).unwrap_or_else(|| Err(late()))
    }

    fn refused(&self, answer: Response, wanted: Wanted<'_>, url: &str) -> Error {
        let (status, told) = (answer.status(), challenges(&answer).iter().find_map(failure::of_challenge));
        let body = self.body(answer, SMALL, url).unwrap_or_default();
        failure::of_answer(status, &body, told, wanted, url)
    }

    /// Gets the rights that a registry asks for, in place of those that were `refused`.
    fn authorize(
        &self,
        method: &str,
        url: &str,
        answer: &Response,
        refused: Option<&HeaderValue>,
    ) -> Result<Rights, Failed> {
        let _renewal = self.renewal.lock().unwrap_or_else(PoisonError::into_inner);
        if self.authorization().as_ref() != refused {
            // Another request of ours was refused for the same reason, and has got new ones meanwhile.
            return Ok(Rights::Kept);
        }
        let challenges = challenges(answer);
        let named = |scheme: &str| challenges.iter().find(|challenge| challenge.scheme == scheme);
        let (authorization, rights) = match (named("bearer"), self.visit.credentials) {
            (_, Credentials::RegistryToken(token)) => (format!("Bearer {token}"), Rights::New),
            (Some(challenge), _) => {
                let (token, rights) = self.token(challenge, refused)?;
                (format!("Bearer {token}"), rights)
            }
            (None, Credentials::Password { username, password }) if named("basic").is_some() => {
                (basic(username, password), Rights::New)
            }
            _ => {
                let refused = failure::no_credentials(method, url, self.wanted(), self.visit.name);
                return Err(Failed::for_good(refused));
            }
        };
        let value = HeaderValue::from_str(&authorization).map_err(|cause| {
            let text = "the credentials hold characters that no header may have";
            Failed::for_good(Error::invalid(text).with_cause(cause))
        })?;
        *self.authorization.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
        Ok(rights)
    }

    fn token(&self, challenge: &Challenge, refused: Option<&HeaderValue>) -> Result<(String, Rights), Failed> {
        let parameter = |name: &str| challenge.parameters.get(name).cloned().unwrap_or_default();
        let key = token::Key {
            realm: parameter("realm"),
            service: parameter("service"),
            scope: token::scope(self.scope(), &parameter("scope")),
            credentials: self.visit.credentials.clone(),
        };
        let realm = token::address(&key.realm).map_err(Failed::for_good)?;
        if *self.visit.credentials != Credentials::Anonymous && realm.scheme() == "http" && !self.endpoint.is_plain() {
            let text =
                format!("{} wants the password sent to {}, where everybody can read it", self.endpoint.host, key.realm);
            return Err(Failed::for_good(Error::new(Class::PermissionDenied, text)));
        }
        let login = self.visit.access == Access::Login;
        let tokens = &self.registries.tokens;
        // Who logs in is asked for now, whatever was known of him before.
        let kept = tokens.get(&key).filter(|token| !login && refused.is_none_or(|refused| !is_bearer(refused, token)));
        if let Some(token) = kept {
            return Ok((token, Rights::Kept));
        }
        let way = Way::to_token_server(&self.registries.settings, &realm, self.endpoint);
        let client = self.registries.client(&way).map_err(Failed::for_good)?;
        let body = self.asked_for_a_token(token::request(&client, realm, &key, login), &key)?;
        let document = token::Document::read(&key.realm, &body).map_err(Failed::for_good)?;
        if login {
            *self.identity.lock().unwrap_or_else(PoisonError::into_inner) = document.identity();
        }
        Ok((tokens.keep(key, document), Rights::New))
    }

    fn asked_for_a_token(&self, request: RequestBuilder, key: &token::Key) -> Result<Vec<u8>, Failed> {
        let (realm, method) = (key.realm.as_str(), token::method(key));
        let passing = |error| Failed { error, passing: true, asked: None };
        let answer = match self.wait(ANSWER, async { request.send().await }) {
            Some(Ok(answer)) => answer,
            Some(Err(error)) => return Err(Failed::for_good(failure::of_transport(method, realm, error))),
            None => {
                let late = format!("{realm}: no answer in {} s", ANSWER.as_secs());
                return Err(passing(Error::unavailable(late)));
            }
        };
        if answer.status().is_success() {
            return self.body(answer, SMALL, realm).map_err(Failed::for_good);
        }
        let (trouble, asked) = (is_passing(answer.status()), asked_for(&answer));
        let error = match self.wanted() {
            // Docker's words: what was asked for was to be known to the registry.
            Wanted::Login => {
                let said = self.refused(answer, Wanted::Push, realm);
                Error::new(said.class(), format!("Get \"{}/v2/\": {said}", self.endpoint.base))
            }
            wanted => self.refused(answer, wanted, realm),
        };
        Err(Failed { error, passing: trouble, asked })
    }

    /// Distribution, "Token Scope Documentation".
    fn scope(&self) -> String {
        let repository = self.visit.name.repository();
        match self.visit.access {
            Access::Pull => format!("repository:{repository}:pull"),
            Access::Push => {
                let sources = self.visit.sources.iter().map(|source| format!(" repository:{source}:pull"));
                format!("repository:{repository}:pull,push") + &sources.collect::<String>()
            }
            Access::Login | Access::Look => String::new(),
        }
    }

    fn authorization(&self) -> Option<HeaderValue> {
        self.authorization.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// How often a request is sent again with other rights: with what is kept, with what another request has got, with new ones.
const ASKED_AGAIN: usize = 3;

/// Where rights come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rights {
    /// From an earlier time: there may be better ones.
    Kept,
    /// Just made: who refuses these means it.
    New,
}

/// A request that was not answered well.
pub(super) struct Failed {
    pub(super) error: Error,
    /// It may be over in a moment.
    pub(super) passing: bool,
    /// How long the registry wants to be left alone.
    pub(super) asked: Option<Duration>,
}

impl Failed {
    pub(super) fn for_good(error: Error) -> Self {
        Self { error, passing: false, asked: None }
    }
}

fn challenges(answer: &Response) -> Vec<Challenge> {
    let headers = answer.headers().get_all(WWW_AUTHENTICATE).into_iter();
    headers.filter_map(|header| header.to_str().ok()).flat_map(challenge::parse).collect()
}

fn is_bearer(authorization: &HeaderValue, token: &str) -> bool {
    authorization.to_str().is_ok_and(|text| text.strip_prefix("Bearer ") == Some(token))
}

fn basic(username: &str, password: &str) -> String {
    use base64::Engine as _;
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}")))
}

/// Good answers are those of RFC 9110 section 15.3; nothing here is asked conditionally.
fn is_good(status: StatusCode) -> bool {
    status.is_success()
}

/// Trouble that may be over in a moment.
fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504)
}

fn patience(method: &str) -> Duration {
    if matches!(method, "Put" | "Patch") { DELIVERY } else { ANSWER }
}

fn asked_for(answer: &Response) -> Option<Duration> {
    wait::asked_for(answer.headers().get(RETRY_AFTER)?.to_str().ok()?)
}
