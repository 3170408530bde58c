//! Where a registry is reached, and how its certificates are judged.

use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_oci::DEFAULT_REGISTRY;
use dhow_tls::TlsMaterial;
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, NoProxy, Proxy, Url};

use super::session::{Access, Visit};
use super::settings::{RegistrySettings, is_local};

/// Where the default registry answers: its name is not its host.
const DEFAULT_HOST: &str = "registry-1.docker.io";

/// How long making a connection may take.
const CONNECT: Duration = Duration::from_secs(15);

/// Redirects that are followed: blobs often lie elsewhere; more is a loop.
const REDIRECTS: usize = 5;

/// One way to reach a registry.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Endpoint {
    /// Scheme, host and path, without a slash at the end, as in `https://host:5000`.
    pub(super) base: String,
    /// `host[:port]`.
    pub(super) host: String,
    /// Any certificate will do.
    pub(super) trusts_all: bool,
    /// It stands in for the registry: for reading, and without the person's credentials.
    pub(super) mirror: bool,
}

/// The endpoints to try for a name, in this order.
pub(super) fn of(settings: &RegistrySettings, visit: &Visit<'_>) -> Vec<Endpoint> {
    let Visit { name, access, .. } = *visit;
    let mut endpoints = Vec::new();
    let is_default = name.registry() == DEFAULT_REGISTRY;
    if access == Access::Pull {
        let of_all = if is_default { settings.mirrors.as_slice() } else { &[] };
        let own = settings.mirrors_of.get(name.registry()).map(Vec::as_slice).unwrap_or_default();
        endpoints.extend(of_all.iter().chain(own).map(|address| mirror(settings, address)));
    }
    let host = if is_default { DEFAULT_HOST } else { name.registry() };
    let insecure = visit.insecure || settings.is_insecure(host);
    let own = |scheme: &str| Endpoint {
        base: format!("{scheme}://{host}"),
        host: host.to_owned(),
        trusts_all: insecure,
        mirror: false,
    };
    endpoints.push(own("https"));
    if insecure {
        endpoints.push(own("http"));
    }
    endpoints
}

fn mirror(settings: &RegistrySettings, address: &str) -> Endpoint {
    let base = address.trim_end_matches('/').to_owned();
    let rest = base.split_once("://").map_or(base.as_str(), |(_, rest)| rest);
    let host = rest.split('/').next().unwrap_or(rest).to_owned();
    Endpoint { trusts_all: settings.is_insecure(&host), base, host, mirror: true }
}

impl Endpoint {
    /// Whether what is sent can be read on the way.
    pub(super) fn is_plain(&self) -> bool {
        self.base.starts_with("http://")
    }

    /// How it is reached.
    pub(super) fn way(&self, settings: &RegistrySettings) -> Way {
        Way { folder: folder_of(&settings.certificates, &self.host), trusts_all: self.trusts_all }
    }
}

/// How a host is reached: what it has to show, and what is shown to it. The same for many hosts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Way {
    /// The host's folder of certificates.
    folder: Option<PathBuf>,
    /// Any certificate will do.
    trusts_all: bool,
}

impl Way {
    /// To a web server that has a file. Nothing is sent there but a question for it.
    pub(super) fn to_file(settings: &RegistrySettings, url: &Url) -> Self {
        Self { folder: folder_of(&settings.certificates, &host_of(url)), trusts_all: false }
    }

    /// To the token server that a registry names: the server's own where something is said of it, else that to the registry,
    /// as Docker's engine goes for all of them.
    pub(super) fn to_token_server(settings: &RegistrySettings, realm: &Url, registry: &Endpoint) -> Self {
        let host = host_of(realm);
        let own = Self { folder: folder_of(&settings.certificates, &host), trusts_all: settings.is_insecure(&host) };
        if own.folder.is_some() || own.trusts_all {
            return own;
        }
        let registrys = registry.way(settings);
        // What is said of all that is on this host is not said of a server elsewhere.
        Self { trusts_all: registrys.trusts_all && !is_local(&registry.host), ..registrys }
    }

    /// A client for hosts that are reached like that, through the proxies of the settings. Connections are made when they
    /// are needed.
    pub(super) fn connect(&self, settings: &RegistrySettings) -> Result<Client> {
        let builder = Client::builder()
            .user_agent(settings.user_agent.clone())
            .connect_timeout(CONNECT)
            .redirect(Policy::limited(REDIRECTS))
            .http1_only()
            .tls_danger_accept_invalid_certs(self.trusts_all);
        let builder = with_proxies(builder, settings)?;
        let builder = with_certificates(builder, self)?;
        builder.build().map_err(|cause| {
            Error::internal("prepare connections")
                .with_cause(cause)
                .with_hint("the host needs certificates of authorities, as in the package ca-certificates")
        })
    }
}

/// Only the proxies of the settings: an engine reads no environment variables.
fn with_proxies(builder: ClientBuilder, settings: &RegistrySettings) -> Result<ClientBuilder> {
    let spared = settings.no_proxy.as_deref().and_then(NoProxy::from_string);
    let invalid = |address: &str, cause| Error::invalid(format!("invalid proxy {address:?}")).with_cause(cause);
    let mut builder = builder.no_proxy();
    if let Some(address) = &settings.http_proxy {
        builder =
            builder.proxy(Proxy::http(address).map_err(|cause| invalid(address, cause))?.no_proxy(spared.clone()));
    }
    if let Some(address) = &settings.https_proxy {
        builder = builder.proxy(Proxy::https(address).map_err(|cause| invalid(address, cause))?.no_proxy(spared));
    }
    Ok(builder)
}

/// What a host's folder of certificates was like when a client was made: whoever puts others there need not start the engine
/// again.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stamp(Vec<(PathBuf, u64, Option<SystemTime>)>);

impl Stamp {
    pub(super) fn of(way: &Way) -> Self {
        // What cannot be read is told by whoever makes a client of it.
        let paths = way.folder.as_ref().and_then(|folder| files(folder).ok()).unwrap_or_default();
        let file = |path: PathBuf| {
            let metadata = path.metadata().ok();
            let (length, time) =
                (metadata.as_ref().map_or(0, Metadata::len), metadata.and_then(|it| it.modified().ok()));
            (path, length, time)
        };
        Self(paths.into_iter().map(file).collect())
    }
}

/// What Docker's `certs.d/<host>` has: `*.crt` are authorities beside the host's own, `NAME.cert` and `NAME.key` a certificate
/// to show.
fn with_certificates(builder: ClientBuilder, way: &Way) -> Result<ClientBuilder> {
    let Some(folder) = &way.folder else { return Ok(builder) };
    let (mut authorities, mut identity) = (Vec::new(), None);
    for path in files(folder)? {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("crt") => authorities.extend([read(&path)?, b"\n".to_vec()].concat()),
            Some("cert") => identity = Some((read(&path)?, read(&path.with_extension("key"))?)),
            _ => {}
        }
    }
    let config = dhow_tls::client(TlsMaterial {
        authority: (!authorities.is_empty()).then_some(&authorities),
        identity: identity.as_ref().map(|(certificate, key)| (certificate.as_slice(), key.as_slice())),
        and_hosts: true,
        any_server: way.trusts_all,
    });
    Ok(builder.tls_backend_preconfigured(config.context(|| format!("read the certificates in {}", folder.display()))?))
}

/// `host[:port]`, as folders are called.
fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// The first folder that has the host counts.
fn folder_of(folders: &[PathBuf], host: &str) -> Option<PathBuf> {
    folders.iter().map(|folder| folder.join(host)).find(|folder| folder.is_dir())
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let step = || format!("list {}", folder.display());
    let entries = fs::read_dir(folder).context(step)?;
    let mut paths = entries.map(|entry| entry.context(step).map(|entry| entry.path())).collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).context(|| format!("read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use dhow_oci::Reference;

    use super::*;
    use crate::cancelled::Cancelled;
    use crate::registry::Credentials;

    fn bases(settings: &RegistrySettings, name: &str, access: Access) -> Vec<String> {
        let name = Reference::parse(name).expect("a name");
        let visit = Visit {
            name: &name,
            access,
            credentials: &Credentials::Anonymous,
            sources: &[],
            insecure: false,
            cancelled: Cancelled::NEVER,
        };
        of(settings, &visit).into_iter().map(|endpoint| endpoint.base).collect()
    }

    #[test]
    fn mirrors_are_for_pulls_from_the_default_registry() {
        let settings =
            RegistrySettings { mirrors: vec!["http://127.0.0.1:5555/".into()], ..RegistrySettings::default() };
        assert_eq!(
            bases(&settings, "busybox", Access::Pull),
            ["http://127.0.0.1:5555", "https://registry-1.docker.io"]
        );
        assert_eq!(bases(&settings, "busybox", Access::Login), ["https://registry-1.docker.io"]);
        assert_eq!(bases(&settings, "reg.example/x", Access::Pull), ["https://reg.example"]);
        let mirrors_of = [("reg.example".to_owned(), vec!["https://cache.example".to_owned()])].into();
        let settings = RegistrySettings { mirrors_of, ..RegistrySettings::default() };
        assert_eq!(bases(&settings, "reg.example/x", Access::Pull), ["https://cache.example", "https://reg.example"]);
        assert_eq!(bases(&settings, "reg.example/x", Access::Push), ["https://reg.example"]);
        assert_eq!(bases(&settings, "busybox", Access::Pull).len(), 1);
    }

    #[test]
    fn a_token_server_is_reached_as_is_said_of_it_or_else_of_its_registry() {
        let folder = tempfile::tempdir().expect("a folder");
        for host in ["reg.example", "known.example:5001"] {
            fs::create_dir(folder.path().join(host)).expect("made");
        }
        let settings = RegistrySettings {
            certificates: vec![folder.path().to_owned()],
            insecure: vec!["open.example".into(), "tokens.open.example".into()],
            ..RegistrySettings::default()
        };
        let way = |registry: &str, realm: &str| {
            let registry = Endpoint {
                base: format!("https://{registry}"),
                host: registry.into(),
                trusts_all: settings.is_insecure(registry),
                mirror: false,
            };
            let way = Way::to_token_server(&settings, &Url::parse(realm).expect("an address"), &registry);
            let folder = way.folder.and_then(|folder| Some(folder.file_name()?.to_str()?.to_owned()));
            (folder.unwrap_or_default(), way.trusts_all)
        };
        for (registry, realm, folder, trusts_all) in [
            ("reg.example", "https://other.example/token", "reg.example", false),
            ("reg.example", "https://known.example:5001/token", "known.example:5001", false),
            ("reg.example", "https://tokens.open.example/token", "", true),
            ("open.example", "https://other.example/token", "", true),
            ("open.example", "https://known.example:5001/token", "known.example:5001", false),
            ("127.0.0.1:5000", "https://other.example/token", "", false),
            ("127.0.0.1:5000", "https://127.0.0.1:5001/token", "", true),
        ] {
            assert_eq!(way(registry, realm), (folder.to_owned(), trusts_all), "{registry} {realm}");
        }
    }

    #[test]
    fn only_insecure_registries_are_tried_without_tls() {
        let settings = RegistrySettings { insecure: vec!["reg.example:80".into()], ..RegistrySettings::default() };
        assert_eq!(
            bases(&settings, "reg.example:80/x", Access::Pull),
            ["https://reg.example:80", "http://reg.example:80"]
        );
        assert_eq!(bases(&settings, "localhost:5000/x", Access::Login).len(), 2);
        assert_eq!(bases(&settings, "reg.example/x", Access::Login), ["https://reg.example"]);
    }
}
