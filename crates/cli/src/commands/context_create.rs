//! `context create`.

use std::collections::BTreeMap;

use dhow_client::{Host, Tls, TlsMaterial};
use dhow_errdefs::{Error, Result, ResultExt};

use crate::command::{Arguments, Command};
use crate::context::{self, DEFAULT, DEFAULT_DESCRIPTION, DOCKER, Endpoint, Material, Meta, Store};
use crate::failure::Outcome;
use crate::flags::{Flag, Parsed, parse_bool};
use crate::output;
use crate::session::Session;

pub(super) static CREATE: Command = Command {
    names: &["context create"],
    usage: "[OPTIONS] CONTEXT",
    summary: "Give an engine a name",
    flags: &[FLAGS, &[Flag::text("from", "Copy another context")]],
    arguments: Arguments::Exactly(1),
    interspersed: true,
    run: |session, flags| Box::pin(async { run(session, flags) }),
};

/// The flags that `context update` has too.
pub(super) const FLAGS: &[Flag] = &[
    Flag::text("description", "What to say about it"),
    Flag::list("docker", "The engine: host=ADDRESS, and ca=, cert=, key= (files), skip-tls-verify=, from=CONTEXT")
        .placeholder("stringToString")
        .shown("[]"),
];

/// What an engine is called in a context, and its certificates.
pub(super) struct Described {
    pub(super) endpoint: Endpoint,
    pub(super) material: Material,
}

fn run(session: &Session, flags: &Parsed) -> Outcome {
    let name = &flags.args[0];
    let store = Store::new(session.config().folder());
    context::check_name(name)?;
    if store.exists(name) {
        return Err(Error::already_exists(format!("context {name:?} already exists")).into());
    }
    let words: Vec<&str> = flags.list("docker").collect();
    let (meta, material) = match flags.some("from") {
        Some(_) if !words.is_empty() => {
            return Err(Error::invalid("cannot use --docker flag when --from is set").into());
        }
        Some(from) => copied(session, &store, from, name, flags.some("description"))?,
        None if words.is_empty() => copied(session, &store, DEFAULT, name, flags.some("description"))?,
        None => {
            let Described { endpoint, material } =
                described(session, &store, &words).context(|| "unable to create docker endpoint config")?;
            (Meta::new(name, flags.text("description").to_owned(), endpoint), material)
        }
    };
    store.add(&meta, &material)?;
    output::line(name)?;
    output::note(&format!("Successfully created context {name:?}"));
    Ok(0)
}

/// A context with its secrets; the default one is made of what is in force.
pub(super) fn of_name(session: &Session, store: &Store, name: &str) -> Result<(Meta, Material)> {
    if name == DEFAULT {
        let endpoint = Endpoint::new(session.default_host().to_owned(), false);
        return Ok((Meta::new(name, DEFAULT_DESCRIPTION.to_owned(), endpoint), Material::new()));
    }
    Ok((store.read(name)?, store.material(name)?))
}

fn copied(
    session: &Session,
    store: &Store,
    from: &str,
    name: &str,
    description: Option<&str>,
) -> Result<(Meta, Material)> {
    let (mut meta, material) = of_name(session, store, from)?;
    meta.name = name.to_owned();
    if let Some(description) = description {
        meta.metadata.description = description.to_owned();
    }
    Ok((meta, material))
}

/// What `--docker` says: `host=tcp://10.0.0.9:2376,ca=ca.pem,…`.
pub(super) fn described(session: &Session, store: &Store, words: &[&str]) -> Result<Described> {
    let mut keys = BTreeMap::new();
    for pair in words.iter().flat_map(|word| word.split(',')) {
        let (key, value) =
            pair.split_once('=').ok_or_else(|| Error::invalid(format!("{pair} must be formatted as key=value")))?;
        keys.insert(key, value);
    }
    let known = ["from", "host", "ca", "cert", "key", "skip-tls-verify"];
    if let Some(key) = keys.keys().find(|key| !known.contains(key)) {
        return Err(Error::invalid(format!("unrecognized config key: {key}")));
    }
    if let Some(from) = keys.get("from") {
        let (mut meta, material) = of_name(session, store, from)?;
        let endpoint = meta.endpoints.remove(DOCKER);
        let missing = || Error::not_found(format!("unable to get endpoint from context {from:?}"));
        return Ok(Described { endpoint: endpoint.ok_or_else(missing)?, material });
    }
    let skip = keys.get("skip-tls-verify").map_or(Some(false), |word| parse_bool(word));
    let skip = skip.ok_or_else(|| Error::invalid("skip-tls-verify: not a boolean"))?;
    let host = keys.get("host").copied().unwrap_or_default();
    if !host.is_empty() {
        if !host.contains("://") {
            let text = format!("unable to apply docker endpoint options: unable to parse docker host `{host}`");
            return Err(Error::invalid(text));
        }
        // Better now than at each use.
        host.parse::<Host>().context(|| "invalid docker endpoint options")?;
    }
    let mut material = Material::new();
    for (key, file) in [("ca", "ca.pem"), ("cert", "cert.pem"), ("key", "key.pem")] {
        if let Some(path) = keys.get(key).filter(|path| !path.is_empty()) {
            let content = std::fs::read(path).context(|| format!("open {path}"))?;
            material.insert((DOCKER.to_owned(), file.to_owned()), content);
        }
    }
    if !material.is_empty() {
        let file = |name: &str| material.get(&(DOCKER.to_owned(), name.to_owned())).map(Vec::as_slice);
        let identity = file("cert.pem").zip(file("key.pem"));
        Tls::new(TlsMaterial { authority: file("ca.pem"), identity, ..TlsMaterial::default() })
            .context(|| "invalid docker endpoint options")?;
    }
    Ok(Described { endpoint: Endpoint::new(host.to_owned(), skip), material })
}
