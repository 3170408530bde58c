//! What a command works with: the client, the configuration, the name it was called by.

use dhow_api::version::Version;
use dhow_client::Client;
use dhow_errdefs::{Class, Result};

use crate::address::Global;
use crate::config::Config;
use crate::flags::Parsed;

/// One run of the program.
pub(crate) struct Session {
    /// What the program calls itself: `dhow`, or `docker` if that is how it was called.
    pub(crate) program: &'static str,
    /// The command's name as it was used: `ps`, `container ls`.
    pub(crate) name: &'static str,
    global: Global,
    client: Client,
}

impl Session {
    pub(crate) fn new(program: &'static str, name: &'static str, global: Global) -> Self {
        let client = Client::new(global.host.clone());
        let client = match global.version {
            Some(version) => client.with_version(version),
            None => client,
        };
        Self { program, name, global, client }
    }

    /// The client, connected; starts an engine if nobody answers at the default address.
    pub(crate) async fn client(&self) -> Result<&Client> {
        match self.client.connect(1).await {
            Err(error) if self.global.on_demand && error.class() == Class::Unavailable => {
                (self.global.hooks.start_engine)()?;
                self.client.connect(1).await?;
            }
            other => other?,
        }
        Ok(&self.client)
    }

    /// The version the engine and we have agreed on, as far as that is known.
    pub(crate) fn api_version(&self) -> Version {
        self.client.api_version()
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
        self.global.config.proxy_variables(&self.global.host.to_string())
    }

    pub(crate) fn context(&self) -> &str {
        &self.global.context
    }

    pub(crate) fn program_version(&self) -> &'static str {
        self.global.hooks.version
    }

    pub(crate) fn debug(&self) -> bool {
        self.global.debug
    }
}
