//! A token server for Debian's registry (distribution, "Token Authentication Specification").

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::gate::Gate;
use crate::{Request, finish, finish_with_input, registry};

/// What is given in place of the password.
const REFRESH: &str = "kept in place of a password";

/// How long a token is good, in seconds.
const LIFE: u64 = 300;

/// The server. It knows the user `me` with the password `secret`, who may do everything; whoever says nothing may read what
/// is under `open/`.
#[derive(Debug)]
pub struct TokenServer {
    gate: Gate,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// With its key and its certificate.
    folder: TempDir,
    given: AtomicUsize,
}

impl TokenServer {
    /// Starts one with a key of its own.
    ///
    /// # Panics
    /// Without the program `openssl`.
    #[must_use]
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let line = "req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -subj /CN=tokens -days 2";
        finish(Command::new("openssl").args(line.split(' ')).current_dir(folder.path())).exits(0);
        let shared = Arc::new(Shared { folder, given: AtomicUsize::new(0) });
        let serving = Arc::clone(&shared);
        let gate = Gate::open(move |request, near, reader| {
            let form = fields(&String::from_utf8_lossy(&request.body(reader)?));
            let (status, document) = serving.answer(request, &form);
            say(near, status, &document)
        });
        Self { gate, shared }
    }

    /// What a registry says to who shows a token that is not good any more.
    #[must_use]
    pub fn challenge(&self) -> String {
        format!(r#"Bearer realm="http://{}/token",service="test",error="invalid_token""#, self.gate.address())
    }

    /// How many tokens it has given.
    #[must_use]
    pub fn given(&self) -> usize {
        self.shared.given.load(Ordering::SeqCst)
    }

    /// What it was asked with these words in it, as in `GET /token?service=test&scope=…`.
    #[must_use]
    pub fn asked(&self, word: &str) -> Vec<String> {
        self.gate.asked(word)
    }

    /// The section of a registry's configuration.
    pub(crate) fn section(&self) -> String {
        let realm = format!("http://{}/token", self.gate.address());
        registry::tokens(&realm, &self.shared.folder.path().join("cert.pem"))
    }
}

impl Shared {
    fn answer(&self, request: &Request, form: &[(String, String)]) -> (u16, Value) {
        let refused = || (401, json!({"details": "incorrect username or password"}));
        if request.method == "POST" {
            let of: HashMap<&str, &str> = form.iter().map(|(name, value)| (&**name, &**value)).collect();
            let known = of.get("grant_type") == Some(&"refresh_token") && of.get("refresh_token") == Some(&REFRESH);
            let scopes = of.get("scope").copied().unwrap_or_default();
            return if known {
                (200, json!({"access_token": self.token(scopes, true), "expires_in": LIFE}))
            } else {
                refused()
            };
        }
        let query = fields(request.target.split_once('?').map_or("", |(_, query)| query));
        let scopes: Vec<&str> = query.iter().filter(|(name, _)| name == "scope").map(|(_, value)| &**value).collect();
        let shown = request.header("Authorization").strip_prefix("Basic ").map(|text| STANDARD.decode(text));
        let known = match shown {
            None => false,
            Some(Ok(plain)) if plain == b"me:secret" => true,
            Some(_) => return refused(),
        };
        let mut document = json!({"token": self.token(&scopes.join(" "), known), "expires_in": LIFE});
        if known && query.contains(&("offline_token".to_owned(), "true".to_owned())) {
            document["refresh_token"] = REFRESH.into();
        }
        (200, document)
    }

    /// A token as the registry reads it (RFC 7519), with what of the scopes may be had.
    fn token(&self, scopes: &str, known: bool) -> String {
        self.given.fetch_add(1, Ordering::SeqCst);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        let access: Vec<Value> = scopes.split_ascii_whitespace().filter_map(|scope| access(scope, known)).collect();
        let claims = json!({"iss": "test", "aud": "test", "sub": if known { "me" } else { "" }, "iat": now,
            "nbf": now, "exp": now + LIFE, "jti": "1", "access": access});
        let certificate = fs::read_to_string(self.folder.path().join("cert.pem")).expect("made");
        let certificate: String = certificate.lines().filter(|line| !line.starts_with("---")).collect();
        let head = json!({"typ": "JWT", "alg": "RS256", "x5c": [certificate]});
        let signed = [head, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
        let mut openssl = Command::new("openssl");
        openssl.args(["dgst", "-sha256", "-sign"]).arg(self.folder.path().join("key.pem"));
        let signature = finish_with_input(&mut openssl, signed.clone().into_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.exits(0).stdout_bytes()))
    }
}

/// What a scope gives, as in `repository:open/app:pull`.
fn access(scope: &str, known: bool) -> Option<Value> {
    let (resource, actions) = scope.rsplit_once(':')?;
    let (kind, name) = resource.split_once(':')?;
    let may = |action: &&str| known || (name.starts_with("open/") && *action == "pull");
    let actions: Vec<&str> = actions.split(',').filter(may).collect();
    Some(json!({"type": kind, "name": name, "actions": actions}))
}

fn say(near: &mut TcpStream, status: u16, document: &Value) -> io::Result<()> {
    let (text, length) = (document.to_string(), document.to_string().len());
    let head = format!("HTTP/1.1 {status} Whatever\r\nContent-Type: application/json\r\nContent-Length: {length}");
    near.write_all(format!("{head}\r\nConnection: close\r\n\r\n{text}").as_bytes())
}

/// The fields of a form or a query.
fn fields(text: &str) -> Vec<(String, String)> {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (decoded(name), decoded(value))).collect()
}

/// `a+b%3A` as `a b:`.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = tail.get(..2).and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        let (byte, used) = match (first, hex) {
            (b'%', Some(byte)) => (byte, 2),
            (b'+', _) => (b' ', 0),
            _ => (*first, 0),
        };
        bytes.push(byte);
        rest = &tail[used..];
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
