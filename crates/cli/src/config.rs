//! The client's configuration: `config.json` in `~/.docker`, as Docker writes it.

mod replace;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use dhow_errdefs::{Error, Result, ResultExt};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub(crate) use replace::replace;

/// What is read of it. A file that cannot be read or parsed is reported and counts as empty.
#[derive(Debug, Default)]
pub(crate) struct Config {
    folder: PathBuf,
    file: File,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct File {
    current_context: Option<String>,
    detach_keys: Option<String>,
    ps_format: Option<String>,
    images_format: Option<String>,
    volumes_format: Option<String>,
    networks_format: Option<String>,
    stats_format: Option<String>,
    prune_filters: Vec<String>,
    proxies: BTreeMap<String, Proxy>,
    creds_store: Option<String>,
    cred_helpers: BTreeMap<String, String>,
    auths: BTreeMap<String, Auth>,
}

/// What `login` keeps about a registry where there is no helper.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Auth {
    /// Name and password, as HTTP's basic authentication has them.
    auth: String,
    #[serde(rename = "identitytoken")]
    identity_token: String,
}

/// Secrets are not for logs.
impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Auth")
    }
}

/// Proxy settings that new containers get as environment variables.
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Proxy {
    http_proxy: Option<String>,
    https_proxy: Option<String>,
    no_proxy: Option<String>,
    ftp_proxy: Option<String>,
    all_proxy: Option<String>,
}

/// What is null counts as not said, as it does for Docker: it costs no login.
fn parse(text: &[u8]) -> serde_json::Result<File> {
    let mut said: Value = serde_json::from_slice(text)?;
    drop_nulls(&mut said);
    serde_json::from_value(said)
}

fn drop_nulls(value: &mut Value) {
    if let Value::Object(members) = value {
        members.retain(|_, member| !member.is_null());
        members.values_mut().for_each(drop_nulls);
    }
}

impl Config {
    pub(crate) fn load(folder: PathBuf) -> Self {
        let path = folder.join("config.json");
        let file = match fs::read(&path) {
            Ok(text) => parse(&text).unwrap_or_else(|error| {
                crate::output::note(&format!("WARNING: Error parsing config file ({}): {error}", path.display()));
                File::default()
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => File::default(),
            Err(error) => {
                crate::output::note(&format!("WARNING: Error loading config file: open {}: {error}", path.display()));
                File::default()
            }
        };
        Self { folder, file }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn current_context(&self) -> Option<&str> {
        self.file.current_context.as_deref().filter(|name| !name.is_empty())
    }

    /// Changes the file; what we do not know in it stays. A file with something else than JSON in it is not touched.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Map<String, Value>)) -> Result<()> {
        let path = self.folder.join("config.json");
        let step = || format!("write {}", path.display());
        let mut fields: Map<String, Value> = match fs::read(&path) {
            Ok(text) if text.trim_ascii().is_empty() => Map::new(),
            Ok(text) => serde_json::from_slice(&text).map_err(|cause| Error::invalid(step()).with_cause(cause))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Map::new(),
            Err(error) => return Err(error).context(step),
        };
        change(&mut fields);
        fields.entry("auths").or_insert_with(|| Map::new().into());
        let mut text = Vec::new();
        let tabs = serde_json::ser::PrettyFormatter::with_indent(b"\t");
        fields
            .serialize(&mut serde_json::Serializer::with_formatter(&mut text, tabs))
            .map_err(|cause| Error::internal(step()).with_cause(cause))?;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder).context(step)?;
        replace(&path, &text, 0o600).context(step)
    }

    /// Makes a context the one that is used when nobody names one; without a name, the default one.
    pub(crate) fn set_current_context(&self, name: Option<&str>) -> Result<()> {
        self.change(|fields| match name {
            Some(name) => drop(fields.insert("currentContext".to_owned(), name.into())),
            None => drop(fields.remove("currentContext")),
        })
    }

    pub(crate) fn detach_keys(&self) -> Option<&str> {
        self.file.detach_keys.as_deref().filter(|keys| !keys.is_empty())
    }

    pub(crate) fn ps_format(&self) -> Option<&str> {
        self.file.ps_format.as_deref().filter(|format| !format.is_empty())
    }

    pub(crate) fn images_format(&self) -> Option<&str> {
        self.file.images_format.as_deref().filter(|format| !format.is_empty())
    }

    pub(crate) fn volumes_format(&self) -> Option<&str> {
        self.file.volumes_format.as_deref().filter(|format| !format.is_empty())
    }

    pub(crate) fn networks_format(&self) -> Option<&str> {
        self.file.networks_format.as_deref().filter(|format| !format.is_empty())
    }

    pub(crate) fn stats_format(&self) -> Option<&str> {
        self.file.stats_format.as_deref().filter(|format| !format.is_empty())
    }

    /// Filters, as `name=value`, that every prune is narrowed by.
    pub(crate) fn prune_filters(&self) -> impl Iterator<Item = &str> {
        self.file.prune_filters.iter().map(String::as_str)
    }

    /// The program that keeps the secrets of a registry, without `docker-credential-` before its name.
    pub(crate) fn credential_helper(&self, server: &str) -> Option<&str> {
        let helper = self.file.cred_helpers.get(server).or(self.file.creds_store.as_ref());
        helper.map(String::as_str).filter(|name| !name.is_empty())
    }

    /// What the file keeps for a registry, under whatever spelling of its name: name and password in base 64, a token.
    pub(crate) fn auth(&self, server: &str) -> Option<(&str, &str)> {
        let auths = &self.file.auths;
        let other = || auths.iter().find(|(name, _)| crate::credentials::key(name) == server).map(|(_, auth)| auth);
        let auth = auths.get(server).or_else(other)?;
        Some((&auth.auth, &auth.identity_token))
    }

    /// The proxy variables for containers of the engine at `host`, in both spellings.
    pub(crate) fn proxy_variables(&self, host: &str) -> Vec<(String, String)> {
        let Some(proxy) = self.file.proxies.get(host).or_else(|| self.file.proxies.get("default")) else {
            return Vec::new();
        };
        let settings = [
            ("ALL_PROXY", &proxy.all_proxy),
            ("FTP_PROXY", &proxy.ftp_proxy),
            ("HTTPS_PROXY", &proxy.https_proxy),
            ("HTTP_PROXY", &proxy.http_proxy),
            ("NO_PROXY", &proxy.no_proxy),
        ];
        let given = settings.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
        given
            .flat_map(|(name, value)| [(name.to_owned(), value.clone()), (name.to_lowercase(), value.clone())])
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_docker_writes() {
        let dir = tempfile::tempdir().unwrap();
        let text = r#"{"auths":{},"detachKeys":"ctrl-a","currentContext":"far",
            "proxies":{"default":{"httpProxy":"http://p:1"},"tcp://x:1":{"noProxy":"*"}}}"#;
        fs::write(dir.path().join("config.json"), text).unwrap();
        let config = Config::load(dir.path().into());
        assert_eq!((config.detach_keys(), config.current_context()), (Some("ctrl-a"), Some("far")));
        let variables = config.proxy_variables("unix:///x");
        assert_eq!(variables[0], ("HTTP_PROXY".into(), "http://p:1".into()));
        assert_eq!(variables[1].0, "http_proxy");
        assert_eq!(config.proxy_variables("tcp://x:1")[0].0, "NO_PROXY");
    }

    #[test]
    fn what_is_null_is_not_said() {
        for text in [r#"{"auths":null}"#, r#"{"auths":{"r":null},"psFormat":null}"#] {
            assert!(parse(text.as_bytes()).unwrap().auths.is_empty(), "{text}");
        }
        let file = parse(br#"{"auths":{"r":{"auth":null,"identitytoken":"t"},"other":null}}"#).unwrap();
        assert_eq!(file.auths["r"].identity_token, "t");
    }

    #[test]
    fn a_change_keeps_what_others_wrote() {
        let dir = tempfile::tempdir().unwrap();
        let config = Config::load(dir.path().join("new"));
        config.set_current_context(Some("far")).unwrap();
        let path = dir.path().join("new/config.json");
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, "{\n\t\"auths\": {},\n\t\"currentContext\": \"far\"\n}");
        fs::write(&path, r#"{"currentContext":"far","plugins":{"x":{"a":"1"}},"HttpHeaders":{"A":"b"}}"#).unwrap();
        config.set_current_context(None).unwrap();
        let kept: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(kept, serde_json::json!({"auths":{},"plugins":{"x":{"a":"1"}},"HttpHeaders":{"A":"b"}}));
        fs::write(&path, "{broken").unwrap();
        assert!(config.set_current_context(None).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"{broken");
    }

    #[test]
    fn a_broken_or_missing_file_is_an_empty_one() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Config::load(dir.path().into()).detach_keys(), None);
        fs::write(dir.path().join("config.json"), "{").unwrap();
        assert_eq!(Config::load(dir.path().into()).detach_keys(), None);
    }
}
