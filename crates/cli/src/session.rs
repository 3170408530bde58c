//! What a command works with: the client, the configuration, the name it was called by.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use dhow_api::version::Version;
use dhow_client::{Client, Host};
use dhow_errdefs::{Class, Error, Result};

use crate::address::{Endpoint, Global};
use crate::config::Config;
use crate::credentials::{self, Login};
use crate::flags::Parsed;

/// How long an engine that went away may take to come back.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it is left to others to start it again.
const OTHERS_FIRST: Duration = Duration::from_secs(2);
/// Time between two looks.
const LOOK: Duration = Duration::from_millis(50);

/// One run of the program.
pub(crate) struct Session {
    /// What the program calls itself: `dhow`, or `docker` if that is how it was called.
    pub(crate) program: &'static str,
    /// The command's name as it was used: `ps`, `container ls`.
    pub(crate) name: &'static str,
    global: Global,
    /// That nobody answered when the version was asked for: whoever needs the engine next hears that, and asks no more.
    unanswered: Cell<Option<Error>>,
}

impl Session {
    pub(crate) fn new(program: &'static str, name: &'static str, global: Global) -> Self {
        Self { program, name, global, unanswered: Cell::new(None) }
    }

    /// The client, connected; starts an engine if nobody answers at the default address.
    pub(crate) async fn client(&self) -> Result<&Client> {
        let endpoint = self.endpoint()?;
        match self.connected(endpoint).await {
            Err(error) if endpoint.on_demand && error.class() == Class::Unavailable => {
                (self.global.hooks.start_engine)()?;
                endpoint.client.connect(1).await?;
            }
            other => other?,
        }
        Ok(&endpoint.client)
    }

    async fn connected(&self, endpoint: &Endpoint) -> Result<()> {
        match self.unanswered.take() {
            Some(error) => Err(error),
            None => endpoint.client.connect(1).await,
        }
    }

    /// The client, once there is an engine again where one went away while it was needed: containers outlive their engine,
    /// and the next one knows about them. Whoever looks after the engine goes first; one that crashed (it leaves its
    /// socket behind) and is started on demand is started here when nobody else does.
    pub(crate) async fn client_again(&self) -> Result<&Client> {
        let endpoint = self.endpoint()?;
        let gone = Instant::now();
        loop {
            match endpoint.client.reconnect().await {
                Err(error) if error.class() == Class::Unavailable && gone.elapsed() < PATIENCE => {}
                other => return other.map(|()| &endpoint.client),
            }
            let crashed = matches!(endpoint.client.host(), Host::Unix(path) if path.exists());
            if endpoint.on_demand && crashed && gone.elapsed() >= OTHERS_FIRST {
                (self.global.hooks.start_engine)()?;
            } else {
                tokio::time::sleep(LOOK).await;
            }
        }
    }

    /// Whether the engine is on this machine: then it hands our connections over to a container's keeper, so that attached
    /// streams outlive it.
    pub(crate) fn is_local(&self) -> bool {
        self.endpoint().is_ok_and(|endpoint| matches!(endpoint.client.host(), Host::Unix(_)))
    }

    /// The client if an engine is there already; none is started.
    pub(crate) async fn client_if_there(&self) -> Result<&Client> {
        let endpoint = self.endpoint()?;
        self.connected(endpoint).await?;
        Ok(&endpoint.client)
    }

    /// Where to connect to.
    pub(crate) fn endpoint(&self) -> Result<&Endpoint> {
        self.global.endpoint.as_ref().map_err(|error| {
            let copy = Error::new(error.class(), error.to_string());
            error.hint().into_iter().fold(copy, Error::with_hint)
        })
    }

    /// The version the engine and we have agreed on, as far as that is known.
    pub(crate) fn api_version(&self) -> Version {
        self.global.endpoint.as_ref().map_or(Version::MAX, |endpoint| endpoint.client.api_version())
    }

    /// The same once it is known. That there is no engine is told by whoever needs one.
    pub(crate) async fn settled_version(&self) -> Version {
        if let Ok(endpoint) = self.endpoint() {
            let asked = endpoint.client.settle_version().await;
            self.unanswered.set(asked.err().filter(|error| error.class() == Class::Unavailable));
        }
        self.api_version()
    }

    pub(crate) fn config(&self) -> &Config {
        &self.global.config
    }

    /// The keys that detach: the flag's, or the configuration's, or `None` for the usual ones.
    pub(crate) fn detach_keys(&self, flags: &Parsed) -> Option<String> {
        flags.some("detach-keys").or_else(|| self.global.config.detach_keys()).map(str::to_owned)
    }

    /// The proxy variables that new containers get.
    pub(crate) fn proxy_variables(&self) -> Vec<(String, String)> {
        let host = self.global.endpoint.as_ref().map(|endpoint| endpoint.client.host().to_string());
        self.global.config.proxy_variables(&host.unwrap_or_default())
    }

    /// What to show to a registry, as the API wants it, if a person has logged in there.
    pub(crate) fn registry_auth(&self, registry: &str) -> Option<String> {
        Some(self.login(registry)?.header(registry))
    }

    /// The same for several.
    pub(crate) fn registry_config(&self, registries: impl IntoIterator<Item = String>) -> Option<String> {
        let shown = |registry: String| {
            let login = self.login(&registry)?.shown(&registry);
            Some((registry, login))
        };
        let shown: BTreeMap<_, _> = registries.into_iter().filter_map(shown).collect();
        (!shown.is_empty()).then(|| credentials::header(&shown))
    }

    fn login(&self, registry: &str) -> Option<Login> {
        credentials::get(self.config(), credentials::server(registry)).unwrap_or_else(|error| {
            // What the registry shows to everybody can be had all the same.
            crate::output::note(&format!("WARNING: {error}"));
            None
        })
    }

    pub(crate) fn context(&self) -> &str {
        &self.global.context
    }

    /// Whether the environment names an engine, whatever context is in force otherwise.
    pub(crate) fn host_variable(&self) -> bool {
        std::env::var_os("DOCKER_HOST").is_some_and(|host| !host.is_empty())
    }

    /// The address of the default context.
    pub(crate) fn default_host(&self) -> &str {
        &self.global.default_host
    }

    pub(crate) fn program_version(&self) -> &'static str {
        self.global.hooks.version
    }

    pub(crate) fn debug(&self) -> bool {
        self.global.debug
    }
}
