//! Which engine to talk to: flags, environment, contexts, default, in that order.

use std::env;
use std::path::{Path, PathBuf};

use dhow_api::version::Version;
use dhow_client::{Client, Host, Tls, TlsMaterial};
use dhow_errdefs::{Class, Error, Result};

use crate::config::Config;
use crate::context::{DEFAULT, DOCKER, Store};
use crate::entry::Hooks;
use crate::flags::{Parsed, parse_bool};
use crate::options::open_failed;

/// Everything that was settled before the command.
pub(crate) struct Global {
    pub(crate) hooks: Hooks,
    pub(crate) config: Config,
    /// The engine to talk to. That there is none is no fault until somebody wants to.
    pub(crate) endpoint: Result<Endpoint>,
    /// The engine of the default context: that of flags, environment or nobody's choice.
    pub(crate) default_host: String,
    /// The name of the context in force.
    pub(crate) context: String,
    pub(crate) debug: bool,
}

/// An engine that can be connected to.
pub(crate) struct Endpoint {
    pub(crate) client: Client,
    /// The address is nobody's choice but the default, so an engine may be started there.
    pub(crate) on_demand: bool,
}

impl Global {
    pub(crate) fn from_flags(flags: &Parsed, hooks: Hooks) -> Result<Self> {
        let config = Config::load(folder(flags));
        let chosen = choose(flags, &config)?;
        let named = given(flags);
        let default_host = named.clone().unwrap_or_else(|| hooks.default_host.clone());
        let endpoint = match chosen.as_str() {
            DEFAULT => of_default(flags, &config, &default_host, named.is_none()),
            name => of_context(name, &config),
        };
        let endpoint = endpoint.and_then(with_version).map_err(unresolved);
        Ok(Self { hooks, config, endpoint, default_host, context: chosen, debug: flags.on("debug") })
    }
}

/// Docker's frame around an address that is none; what is not supported is said plainly.
fn unresolved(error: Error) -> Error {
    match error.class() {
        Class::InvalidArgument | Class::NotFound => {
            error.context("Failed to initialize: unable to resolve docker endpoint")
        }
        _ => error,
    }
}

/// The version that the environment asks for, or else the newest.
pub(crate) fn wanted_version() -> Version {
    version_variable().and_then(Result::ok).unwrap_or(Version::MAX)
}

fn version_variable() -> Option<Result<Version>> {
    let text = variable("DOCKER_API_VERSION")?;
    let wrong = |_| Error::internal(format!("DOCKER_API_VERSION is {text:?}, which is no version"));
    Some(text.trim_start_matches('v').parse().map_err(wrong))
}

fn with_version(mut endpoint: Endpoint) -> Result<Endpoint> {
    if let Some(version) = version_variable() {
        endpoint.client = endpoint.client.with_version(version?);
    }
    Ok(endpoint)
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn folder(flags: &Parsed) -> PathBuf {
    let named = flags.some("config").map(str::to_owned).or_else(|| variable("DOCKER_CONFIG"));
    named.map_or_else(usual_folder, PathBuf::from)
}

fn usual_folder() -> PathBuf {
    PathBuf::from(variable("HOME").unwrap_or_default()).join(".docker")
}

/// The address of flags or environment.
fn given(flags: &Parsed) -> Option<String> {
    let flag = flags.list("host").next().filter(|host| !host.is_empty()).map(str::to_owned);
    flag.or_else(|| variable("DOCKER_HOST"))
}

/// The name of the context in force.
fn choose(flags: &Parsed, config: &Config) -> Result<String> {
    let hosts = flags.list("host").count();
    let name = match (hosts, flags.some("context")) {
        (2.., _) => {
            let frame = "Failed to initialize: unable to resolve docker endpoint";
            return Err(Error::invalid(format!("{frame}: Specify only one -H")));
        }
        (1, Some(_)) => return Err(Error::invalid("conflicting options: cannot specify both --host and --context")),
        (1, None) => None,
        (_, Some(name)) => Some(name.to_owned()),
        (_, None) if variable("DOCKER_HOST").is_some() => None,
        (_, None) => variable("DOCKER_CONTEXT").or_else(|| config.current_context().map(str::to_owned)),
    };
    Ok(name.unwrap_or_else(|| DEFAULT.to_owned()))
}

fn of_default(flags: &Parsed, config: &Config, host: &str, on_demand: bool) -> Result<Endpoint> {
    let host: Host = host.parse()?;
    let client = match (&host, TlsWish::of(flags)) {
        (Host::Tcp { .. }, Some(wish)) => Client::new(host).with_tls(wish.read(flags, config)?),
        // Docker's client speaks TLS there, too, which no engine understands.
        (Host::Unix(_), Some(wish)) => {
            wish.read(flags, config)?;
            let why = format!("no engine speaks TLS at {host}: the permissions of that file decide who gets in");
            return Err(Error::invalid(why).with_hint("leave out --tls, --tlsverify, DOCKER_TLS and DOCKER_TLS_VERIFY"));
        }
        _ => Client::new(host),
    };
    Ok(Endpoint { client, on_demand })
}

fn of_context(name: &str, config: &Config) -> Result<Endpoint> {
    let store = Store::new(config.folder());
    let meta = store.read(name)?;
    let host: Host = meta.host().parse()?;
    let client = Client::new(host.clone());
    let on_demand = false;
    if !matches!(host, Host::Tcp { .. }) {
        return Ok(Endpoint { client, on_demand });
    }
    let skip = meta.endpoints.get(DOCKER).is_some_and(|endpoint| endpoint.skip_tls_verify);
    let material = store.material(name)?;
    let file = |file: &str| material.get(&(DOCKER.to_owned(), file.to_owned())).map(Vec::as_slice);
    let identity = file("cert.pem").zip(file("key.pem"));
    if !skip && material.is_empty() {
        return Ok(Endpoint { client, on_demand });
    }
    let tls =
        Tls::new(TlsMaterial { authority: file("ca.pem"), identity, any_server: skip, ..TlsMaterial::default() })?;
    Ok(Endpoint { client: client.with_tls(tls), on_demand })
}

/// TLS as flags and environment ask for it.
struct TlsWish {
    verify: bool,
}

impl TlsWish {
    /// Any word about verifying turns TLS on, even "do not".
    fn of(flags: &Parsed) -> Option<Self> {
        let variable = variable("DOCKER_TLS_VERIFY").is_some();
        let wanted = flags.on("tls") || flags.has("tlsverify") || variable || self::variable("DOCKER_TLS").is_some();
        let verify = if flags.has("tlsverify") { parse_bool(flags.text("tlsverify")) } else { Some(variable) };
        wanted.then_some(Self { verify: verify.unwrap_or_default() })
    }

    /// Reads the certificates: those of the flags have to be there, the usual ones may be missing, but for the authority.
    fn read(&self, flags: &Parsed, config: &Config) -> Result<Tls> {
        let folder = variable("DOCKER_CERT_PATH").map_or_else(|| config.folder().to_owned(), PathBuf::from);
        let optional = |flag: &str, usual: &str| match flags.some(flag) {
            Some(path) => read(Path::new(path)).map(Some),
            None => folder.join(usual).exists().then(|| read(&folder.join(usual))).transpose(),
        };
        let authority = match (self.verify, flags.some("tlscacert")) {
            (false, _) => None,
            (true, Some(path)) => Some(read(Path::new(path))?),
            (true, None) => Some(read(&folder.join("ca.pem"))?),
        };
        let (certificate, key) = (optional("tlscert", "cert.pem")?, optional("tlskey", "key.pem")?);
        let identity = certificate.as_deref().zip(key.as_deref());
        Tls::new(TlsMaterial {
            authority: authority.as_deref(),
            identity,
            any_server: !self.verify,
            ..TlsMaterial::default()
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|cause| open_failed(&path.display().to_string(), &cause))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::GLOBAL;
    use crate::flags::parse;

    fn flags(line: &str) -> Parsed {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        parse(GLOBAL, false, &words).unwrap_or_else(|_| panic!("{line} parses"))
    }

    #[test]
    fn one_address_at_most() {
        let config = Config::default();
        let twice = choose(&flags("-H a -H b"), &config).unwrap_err().to_string();
        assert_eq!(twice, "Failed to initialize: unable to resolve docker endpoint: Specify only one -H");
        assert_eq!(given(&flags("-H=")), variable("DOCKER_HOST"));
        assert!(choose(&flags("-H a -c b"), &config).is_err());
        assert_eq!(choose(&flags("-c b"), &config).unwrap(), "b");
        assert_eq!(choose(&flags("-H tcp://a"), &config).unwrap(), "default");
        assert_eq!(given(&flags("-H tcp://a")).as_deref(), Some("tcp://a"));
    }

    #[test]
    fn a_context_that_is_missing_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let Err(missing) = of_context("near", &Config::load(dir.path().into())) else { panic!("found") };
        let text = unresolved(missing).to_string();
        let frame =
            "Failed to initialize: unable to resolve docker endpoint: context \"near\": context not found: open /";
        assert!(text.starts_with(frame), "{text}");
    }

    #[test]
    fn any_word_about_verifying_turns_tls_on() {
        assert!(TlsWish::of(&flags("--tlsverify")).unwrap().verify);
        assert!(!TlsWish::of(&flags("--tlsverify=false")).unwrap().verify);
        assert!(!TlsWish::of(&flags("--tls")).unwrap().verify);
        assert!(TlsWish::of(&flags("--debug")).is_none());
    }
}
