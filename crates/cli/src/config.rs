//! The client's configuration: `config.json` in `~/.docker`, as Docker writes it.

mod kinds;
mod replace;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use dhow_api::json::Fault;
use dhow_errdefs::{Error, Result, ResultExt};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{credentials, output};

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
pub(crate) struct Auth {
    /// Name and password, as HTTP's basic authentication has them.
    pub(crate) auth: String,
    /// What other programs write in its place.
    pub(crate) username: String,
    pub(crate) password: String,
    #[serde(rename = "identitytoken")]
    pub(crate) identity_token: String,
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

/// What is null counts as not said, as it does for Docker: it costs no login. Neither does what stands where something else
/// belongs, which is told beside the rest.
fn parse(text: &[u8]) -> Result<(File, Option<Error>)> {
    let mut fields = read_object(text)?;
    let fault = kinds::fit(&mut fields).map(Error::invalid);
    fields.retain(|_, field| !field.is_null());
    fields.values_mut().for_each(drop_nulls);
    let file = serde_json::from_value(Value::Object(fields)).map_err(|cause| Error::invalid(cause.to_string()))?;
    Ok((file, fault))
}

/// The first document of a text, behind which Docker reads no further; the error is in Go's words.
fn first_document(text: &[u8]) -> Result<Value> {
    let read = Value::deserialize(&mut serde_json::Deserializer::from_slice(text));
    read.map_err(|cause| {
        let fault = dhow_api::json::fault(text).filter(|fault| !matches!(fault, Fault::Trailing));
        Error::invalid(fault.map_or_else(|| cause.to_string(), |fault| fault.to_string()))
    })
}

/// The fields of the file. Docker's reader takes their names in any case; they come in that of [`File`], and what stands
/// under two spellings is put together.
fn read_object(text: &[u8]) -> Result<Map<String, Value>> {
    if text.trim_ascii().is_empty() {
        return Ok(Map::new());
    }
    match first_document(text)? {
        Value::Null => Ok(Map::new()),
        Value::Object(fields) => {
            let mut fields = respelled(fields, &NAMES);
            if let Some(Value::Object(auths)) = fields.get_mut("auths") {
                auths.values_mut().for_each(|auth| respell(auth, &AUTH_NAMES));
            }
            if let Some(Value::Object(proxies)) = fields.get_mut("proxies") {
                proxies.values_mut().for_each(|proxy| respell(proxy, &PROXY_NAMES));
            }
            Ok(fields)
        }
        other => {
            let kind = kinds::word(&other);
            Err(Error::invalid(format!("json: cannot unmarshal {kind} into Go value of type configfile.ConfigFile")))
        }
    }
}

/// Names of Docker's in the file, whether we read them or not.
const NAMES: [&str; 26] = [
    "auths",
    "HttpHeaders",
    "psFormat",
    "imagesFormat",
    "networksFormat",
    "pluginsFormat",
    "volumesFormat",
    "statsFormat",
    "detachKeys",
    "credsStore",
    "credHelpers",
    "serviceInspectFormat",
    "servicesFormat",
    "tasksFormat",
    "secretFormat",
    "configFormat",
    "nodesFormat",
    "pruneFilters",
    "proxies",
    "experimental",
    "currentContext",
    "cliPluginsExtraDirs",
    "plugins",
    "aliases",
    "features",
    "stackOrchestrator",
];
/// The same in what is kept for a registry, and in a proxy's settings.
const AUTH_NAMES: [&str; 7] =
    ["username", "password", "auth", "email", "serveraddress", "identitytoken", "registrytoken"];
const PROXY_NAMES: [&str; 5] = ["httpProxy", "httpsProxy", "noProxy", "ftpProxy", "allProxy"];

fn respell(value: &mut Value, names: &[&str]) {
    if let Value::Object(fields) = value {
        *fields = respelled(std::mem::take(fields), names);
    }
}

fn respelled(fields: Map<String, Value>, names: &[&str]) -> Map<String, Value> {
    let mut spelled = Map::new();
    for (name, value) in fields {
        let known = names.iter().find(|known| known.eq_ignore_ascii_case(&name));
        let name = known.map_or(name, |known| (*known).to_owned());
        match (spelled.get_mut(&name), value) {
            (Some(Value::Object(there)), Value::Object(more)) => there.extend(more),
            (_, value) => drop(spelled.insert(name, value)),
        }
    }
    spelled
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
            Ok(text) => {
                let warn = |why: &Error| {
                    output::note(&format!("WARNING: Error parsing config file ({}): {why}", path.display()))
                };
                let (file, fault) = parse(&text).inspect_err(&warn).unwrap_or_default();
                fault.iter().for_each(&warn);
                if let Some(why) = file.auths.values().find_map(|auth| credentials::decode(&auth.auth).err()) {
                    warn(&why);
                }
                file
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => File::default(),
            Err(error) => {
                output::note(&format!("WARNING: Error loading config file: open {}: {error}", path.display()));
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
            Ok(text) => read_object(&text).map_err(|error| error.context(step()))?,
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

    /// What the file keeps for a registry, under whatever spelling of its name.
    pub(crate) fn auth(&self, server: &str) -> Option<&Auth> {
        let auths = &self.file.auths;
        let other = || auths.iter().find(|(name, _)| credentials::key(name) == server).map(|(_, auth)| auth);
        auths.get(server).or_else(other)
    }

    /// Whether it is kept under that very name.
    pub(crate) fn has_auth(&self, server: &str) -> bool {
        self.file.auths.contains_key(server)
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
            assert!(parse(text.as_bytes()).unwrap().0.auths.is_empty(), "{text}");
        }
        let (file, _) = parse(br#"{"auths":{"r":{"auth":null,"identitytoken":"t"},"other":null}}"#).unwrap();
        assert_eq!(file.auths["r"].identity_token, "t");
    }

    #[test]
    fn names_may_be_written_in_any_case() {
        let text = br#"{"Auths":{"R":{"Auth":"dTpw"}},"auths":{"s":{"IdentityToken":"t"}},"PSFORMAT":"x",
            "Proxies":{"default":{"HTTPPROXY":"p"}},"credHELPERS":{"R":"h"}}"#;
        let config = Config { folder: PathBuf::new(), file: parse(text).unwrap().0 };
        assert_eq!((config.auth("R").unwrap().auth.as_str(), config.ps_format()), ("dTpw", Some("x")));
        assert_eq!(config.auth("s").unwrap().identity_token, "t");
        assert_eq!(config.credential_helper("R"), Some("h"));
        assert!(config.credential_helper("r").is_none() && config.auth("r").is_none());
        assert_eq!(config.proxy_variables("")[0], ("HTTP_PROXY".into(), "p".into()));
    }

    #[test]
    fn a_file_without_anything_is_fine_and_one_with_something_else_is_told() {
        for text in ["", " \n", "null", "{}"] {
            assert!(parse(text.as_bytes()).is_ok(), "{text:?}");
        }
        assert_eq!(parse(b"{").unwrap_err().to_string(), "unexpected EOF");
        assert!(parse(b"{\"a\":}").unwrap_err().to_string().starts_with("invalid character '}' looking for"));
        assert_eq!(parse(b"{\"psFormat\":\"x\"} y").unwrap().0.ps_format.as_deref(), Some("x"));
        let (file, fault) = parse(br#"{"psFormat":5,"currentContext":"far"}"#).unwrap();
        assert_eq!((file.current_context.as_deref(), file.ps_format), (Some("far"), None));
        assert!(fault.unwrap().to_string().ends_with("Go struct field ConfigFile.psFormat of type string"));
        let told = parse(b"[]").unwrap_err().to_string();
        assert_eq!(told, "json: cannot unmarshal array into Go value of type configfile.ConfigFile");
    }

    #[test]
    fn a_change_goes_under_dockers_spelling() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        fs::write(&path, r#"{"Auths":{"a":{"auth":"dTpw"}},"CurrentContext":"far","own":1}"#).unwrap();
        Config::load(dir.path().into()).set_current_context(Some("near")).unwrap();
        let kept: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(kept, serde_json::json!({"auths":{"a":{"auth":"dTpw"}},"currentContext":"near","own":1}));
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
