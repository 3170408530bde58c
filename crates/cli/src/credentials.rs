//! Names and passwords of registries, kept where Docker keeps them: in a credential helper if `config.json` names one, in
//! `config.json` itself otherwise.

mod helper;

use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use base64::{DecodeError, Engine as _};
use dhow_api::system::AuthConfig;
use dhow_errdefs::{Error, Result};
use dhow_oci::{DEFAULT_REGISTRY, DEFAULT_SERVER};
use serde_json::{Map, Value};

use crate::config::Config;
use helper::Helper;

/// The name under which helpers keep a token in the place of a password.
const TOKEN: &str = "<token>";

/// What is shown to a registry.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Login {
    pub(crate) username: String,
    pub(crate) secret: Secret,
}

/// A password, or what a token server gave for one.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Secret {
    Password(String),
    IdentityToken(String),
}

/// Secrets are not for logs.
impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("username", &self.username).finish_non_exhaustive()
    }
}

impl Login {
    /// What the engine is asked to show to a registry (Engine API, "Authentication").
    pub(crate) fn shown(&self, server: &str) -> AuthConfig {
        let mut auth =
            AuthConfig { username: self.username.clone(), server_address: server.to_owned(), ..AuthConfig::default() };
        match &self.secret {
            Secret::Password(password) => auth.password.clone_from(password),
            Secret::IdentityToken(token) => auth.identity_token.clone_from(token),
        }
        auth
    }

    /// The same as `X-Registry-Auth` carries it.
    pub(crate) fn header(&self, server: &str) -> String {
        header(&self.shown(server))
    }
}

/// As headers carry it.
pub(crate) fn header(shown: &impl serde::Serialize) -> String {
    URL_SAFE.encode(serde_json::to_vec(shown).expect("strings are JSON"))
}

/// Where something was kept.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    InHelper,
    /// Readable for whoever can read the file; `true` for a password that was not there before.
    InFile(bool),
}

/// The key of a registry: its host, whatever address was typed.
pub(crate) fn key(server: &str) -> &str {
    let rest = server.split_once("://").map_or(server, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

/// The name under which logins of a registry are kept: for the default one an address, for historical reasons.
pub(crate) fn server(registry: &str) -> &str {
    if registry == DEFAULT_REGISTRY { DEFAULT_SERVER } else { registry }
}

/// What is kept for a registry.
pub(crate) fn get(config: &Config, server: &str) -> Result<Option<Login>> {
    match config.credential_helper(server) {
        Some(name) => Helper::new(name).get(server),
        None => Ok(in_file(config, server)),
    }
}

/// Keeps a login in place of what was kept for the registry.
pub(crate) fn store(config: &Config, server: &str, login: &Login) -> Result<Kept> {
    if let Some(name) = config.credential_helper(server) {
        Helper::new(name).store(server, login)?;
        // Others see by it that there is something in the helper.
        config.change(|fields| drop(auths(fields).insert(server.to_owned(), Map::new().into())))?;
        return Ok(Kept::InHelper);
    }
    if config.has_auth(server) && in_file(config, server).as_ref() == Some(login) {
        return Ok(Kept::InFile(false));
    }
    // A token is worth less than a password, and nothing is said of it, as in Docker.
    let fresh = in_file(config, server).as_ref() != Some(login) && matches!(login.secret, Secret::Password(_));
    let mut entry = Map::new();
    match &login.secret {
        Secret::Password(password) => {
            entry.insert("auth".to_owned(), STANDARD.encode(format!("{}:{password}", login.username)).into());
        }
        Secret::IdentityToken(token) => {
            entry.insert("auth".to_owned(), STANDARD.encode(format!("{}:", login.username)).into());
            entry.insert("identitytoken".to_owned(), token.as_str().into());
        }
    }
    config.change(|fields| {
        let auths = auths(fields);
        auths.values_mut().for_each(encode_plain);
        auths.insert(server.to_owned(), entry.into());
    })?;
    Ok(Kept::InFile(fresh))
}

/// Forgets what is kept for a registry, under each spelling of its name.
pub(crate) fn erase(config: &Config, server: &str) -> Result<()> {
    let spellings = [server.to_owned(), format!("http://{server}"), format!("https://{server}")];
    if let Some(name) = config.credential_helper(server) {
        let helper = Helper::new(name);
        match helper.erase(server) {
            // Nothing is there under the others, as a rule.
            Ok(()) => spellings[1..].iter().for_each(|other| drop(helper.erase(other))),
            // For Docker, too, this is no failure: whoever logs out wants the rest done, and the helper has had its say.
            Err(error) => crate::output::note(&format!("hint: it may still know the password: {error}")),
        }
    }
    config.change(|fields| spellings.iter().for_each(|name| drop(auths(fields).remove(name))))
}

fn auths(fields: &mut Map<String, Value>) -> &mut Map<String, Value> {
    let auths = fields.entry("auths").or_insert_with(|| Map::new().into());
    if !auths.is_object() {
        *auths = Map::new().into();
    }
    auths.as_object_mut().expect("it is one by now")
}

/// Name and password in the place where Docker keeps them, where another program has written them plainly.
fn encode_plain(entry: &mut Value) {
    let Value::Object(fields) = entry else { return };
    let mut take = |name: &str| match fields.remove(name) {
        Some(Value::String(text)) => text,
        _ => String::new(),
    };
    let (username, password, auth) = (take("username"), take("password"), take("auth"));
    let plain = !(username.is_empty() && password.is_empty());
    let auth = if auth.is_empty() && plain { STANDARD.encode(format!("{username}:{password}")) } else { auth };
    if !auth.is_empty() {
        fields.insert("auth".to_owned(), auth.into());
    }
}

fn in_file(config: &Config, server: &str) -> Option<Login> {
    let auth = config.auth(server)?;
    let (username, password) = match auth.auth.as_str() {
        "" => (auth.username.clone(), auth.password.clone()),
        encoded => decode(encoded).ok()?,
    };
    let secret = match auth.identity_token.as_str() {
        "" if username.is_empty() => return None,
        "" => Secret::Password(password),
        // Programs that log people in write it without a name: a token says whose it is.
        token => Secret::IdentityToken(token.to_owned()),
    };
    Some(Login { username, secret })
}

/// Name and password of HTTP's basic authentication; nothing is none. The errors are Docker's words.
pub(crate) fn decode(encoded: &str) -> Result<(String, String)> {
    if encoded.is_empty() {
        return Ok((String::new(), String::new()));
    }
    let bytes = STANDARD.decode(encoded).map_err(|cause| {
        let place = match cause {
            DecodeError::InvalidByte(at, _) | DecodeError::InvalidLastSymbol { offset: at, .. } => at,
            DecodeError::InvalidLength(length) => length - length % 4,
            DecodeError::InvalidPadding => encoded.len(),
        };
        Error::invalid(format!("illegal base64 data at input byte {place}"))
    })?;
    let plain = String::from_utf8_lossy(&bytes);
    match plain.split_once(':') {
        Some((username, password)) if !username.is_empty() => {
            Ok((username.to_owned(), password.trim_matches('\0').to_owned()))
        }
        _ => Err(Error::invalid("Invalid auth configuration file")),
    }
}

fn broken(name: &str, why: impl std::fmt::Display) -> Error {
    Error::unavailable(format!("credential helper {name}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(username: &str, password: &str) -> Login {
        Login { username: username.to_owned(), secret: Secret::Password(password.to_owned()) }
    }

    #[test]
    fn the_file_keeps_what_docker_reads() {
        let dir = tempfile::tempdir().unwrap();
        let load = || Config::load(dir.path().into());
        assert_eq!(get(&load(), "reg:5000").unwrap(), None);
        assert_eq!(store(&load(), "reg:5000", &login("me", "a:b")).unwrap(), Kept::InFile(true));
        let text = std::fs::read_to_string(dir.path().join("config.json")).unwrap();
        assert_eq!(text, "{\n\t\"auths\": {\n\t\t\"reg:5000\": {\n\t\t\t\"auth\": \"bWU6YTpi\"\n\t\t}\n\t}\n}");
        assert_eq!(get(&load(), "reg:5000").unwrap(), Some(login("me", "a:b")));
        assert_eq!(store(&load(), "reg:5000", &login("me", "a:b")).unwrap(), Kept::InFile(false));
        let token = Login { username: "me".to_owned(), secret: Secret::IdentityToken("t".to_owned()) };
        assert_eq!(store(&load(), "reg:5000", &token).unwrap(), Kept::InFile(false));
        assert_eq!(get(&load(), "reg:5000").unwrap(), Some(token));
        std::fs::write(dir.path().join("config.json"), r#"{"auths":{"reg:5000":{"identitytoken":"t"}}}"#).unwrap();
        let kept = get(&load(), "reg:5000").unwrap().expect("a token alone will do");
        assert!(kept.secret == Secret::IdentityToken("t".to_owned()));
        erase(&load(), "reg:5000").unwrap();
        assert_eq!(get(&load(), "reg:5000").unwrap(), None);
    }

    #[test]
    fn names_and_passwords_may_stand_there_plainly() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        let text = r#"{"Auths":{"r":{"Username":"me","password":"pw"},"s":{"auth":"eDp5","username":"me"}}}"#;
        std::fs::write(&path, text).unwrap();
        let load = || Config::load(dir.path().into());
        assert_eq!(get(&load(), "r").unwrap(), Some(login("me", "pw")));
        assert_eq!(get(&load(), "s").unwrap(), Some(login("x", "y")));
        assert_eq!(store(&load(), "r", &login("me", "pw")).unwrap(), Kept::InFile(false));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text, "what is there already is not written again");
        store(&load(), "t", &login("a", "b")).unwrap();
        let kept: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let auth = |encoded: &str| serde_json::json!({ "auth": encoded });
        assert_eq!(kept["auths"], serde_json::json!({"r": auth("bWU6cHc="), "s": auth("eDp5"), "t": auth("YTpi")}));
    }

    #[test]
    fn what_is_no_login_is_told_in_dockers_words() {
        let told = |encoded| decode(encoded).unwrap_err().to_string();
        assert_eq!(told("!!"), "illegal base64 data at input byte 0");
        assert_eq!(told("dTpw="), "illegal base64 data at input byte 4");
        for nobody in ["dXA=", "OnA="] {
            assert_eq!(told(nobody), "Invalid auth configuration file");
        }
        assert_eq!(decode("dTpwAAA=").unwrap(), ("u".to_owned(), "p".to_owned()));
    }

    #[test]
    fn addresses_are_kept_by_their_hosts() {
        for address in ["reg:5000", "https://reg:5000/v2/", "http://reg:5000", "reg:5000/me/app"] {
            assert_eq!(key(address), "reg:5000");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        assert!(!format!("{:?}", login("me", "secret")).contains("secret"));
    }
}
