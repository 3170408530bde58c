//! Which engine to talk to: flags, environment, contexts, default, in that order.

use std::env;
use std::path::PathBuf;

use dhow_api::version::Version;
use dhow_client::Host;
use dhow_errdefs::{Class, Error, Result};
use serde::Deserialize;

use crate::config::Config;
use crate::entry::Hooks;
use crate::flags::Parsed;

/// Everything that was settled before the command.
pub(crate) struct Global {
    pub(crate) hooks: Hooks,
    pub(crate) config: Config,
    pub(crate) host: Host,
    /// The host is nobody's choice but the default, so an engine may be started there.
    pub(crate) on_demand: bool,
    /// The name of the context in force.
    pub(crate) context: String,
    pub(crate) version: Option<Version>,
    pub(crate) debug: bool,
}

impl Global {
    pub(crate) fn from_flags(flags: &Parsed, hooks: Hooks) -> Result<Self> {
        refuse_tls(flags)?;
        let config = Config::load(folder(flags));
        let (context, address) = choose(flags, &config)?;
        let on_demand = address.is_none();
        let host: Host = address.as_deref().unwrap_or(&hooks.default_host).parse().map_err(unresolved)?;
        let version = match variable("DOCKER_API_VERSION") {
            Some(text) => {
                let wrong = |_| Error::invalid(format!("DOCKER_API_VERSION is {text:?}, which is no version"));
                Some(text.trim_start_matches('v').parse().map_err(wrong)?)
            }
            None => None,
        };
        Ok(Self { hooks, config, host, on_demand, context, version, debug: flags.on("debug") })
    }
}

/// Docker's frame around an address that is none; what is not supported is said plainly.
fn unresolved(error: Error) -> Error {
    match error.class() {
        Class::InvalidArgument => error.context("Failed to initialize: unable to resolve docker endpoint"),
        _ => error,
    }
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn folder(flags: &Parsed) -> PathBuf {
    let named = flags.some("config").map(str::to_owned).or_else(|| variable("DOCKER_CONFIG"));
    named.map_or_else(|| PathBuf::from(variable("HOME").unwrap_or_default()).join(".docker"), PathBuf::from)
}

fn refuse_tls(flags: &Parsed) -> Result<()> {
    if flags.on("tls") || flags.on("tlsverify") || variable("DOCKER_TLS_VERIFY").is_some() {
        return Err(Error::not_implemented("TLS to the engine is not supported yet")
            .with_hint("use a unix socket or, on a network you trust, plain tcp://"));
    }
    Ok(())
}

/// The context's name and the address; no address means the default one.
fn choose(flags: &Parsed, config: &Config) -> Result<(String, Option<String>)> {
    let hosts: Vec<&str> = flags.list("host").collect();
    match (hosts.as_slice(), flags.some("context")) {
        ([_, _, ..], _) => return Err(Error::invalid("specify only one -H")),
        ([_], Some(_)) => return Err(Error::invalid("conflicting options: cannot specify both --host and --context")),
        ([host], None) => return Ok(("default".into(), Some((*host).to_owned()))),
        ([], Some(name)) => return of_context(name, config),
        ([], None) => {}
    }
    if let Some(host) = variable("DOCKER_HOST") {
        return Ok(("default".into(), Some(host)));
    }
    match variable("DOCKER_CONTEXT").or_else(|| config.current_context().map(str::to_owned)) {
        Some(name) => of_context(&name, config),
        None => Ok(("default".into(), None)),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Meta {
    name: String,
    endpoints: Endpoints,
}

#[derive(Deserialize)]
struct Endpoints {
    docker: Option<Endpoint>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Endpoint {
    host: Option<String>,
}

/// Looks through `contexts/meta/*/meta.json`; the folders' names are digests of the contexts' names.
fn of_context(name: &str, config: &Config) -> Result<(String, Option<String>)> {
    if name == "default" {
        return Ok((name.to_owned(), None));
    }
    let folders = std::fs::read_dir(config.folder().join("contexts/meta")).into_iter().flatten().flatten();
    let meta = folders
        .filter_map(|folder| serde_json::from_slice::<Meta>(&std::fs::read(folder.path().join("meta.json")).ok()?).ok())
        .find(|meta| meta.name == name)
        .ok_or_else(|| Error::not_found(format!("context {name:?}: context not found")))?;
    Ok((meta.name, meta.endpoints.docker.and_then(|endpoint| endpoint.host)))
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
    fn a_context_is_found_by_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let meta = dir.path().join("contexts/meta/0123");
        std::fs::create_dir_all(&meta).unwrap();
        std::fs::write(meta.join("meta.json"), r#"{"Name":"far","Endpoints":{"docker":{"Host":"tcp://10.0.0.9:1"}}}"#)
            .unwrap();
        let config = Config::load(dir.path().into());
        assert_eq!(choose(&flags("-c far"), &config).unwrap(), ("far".into(), Some("tcp://10.0.0.9:1".into())));
        let missing = choose(&flags("-c near"), &config).unwrap_err();
        assert_eq!(missing.to_string(), "context \"near\": context not found");
    }

    #[test]
    fn one_address_at_most() {
        let config = Config::default();
        assert_eq!(choose(&flags("-H a -H b"), &config).unwrap_err().to_string(), "specify only one -H");
        assert!(choose(&flags("-H a -c b"), &config).is_err());
        assert_eq!(choose(&flags("-H tcp://a"), &config).unwrap().1.as_deref(), Some("tcp://a"));
    }
}
