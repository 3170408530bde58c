//! A client of OCI registries (OCI distribution-spec 1.1, and Docker's Registry HTTP API V2 before it).
//!
//! [`Registries`] knows how registries are reached; a [`Repository`](session::Repository) is one repository of one of
//! them, reached through one endpoint (the registry or a mirror of it), with the rights that were asked for. All methods
//! block; the bytes move on the runtime that the settings bring.
//!
//! Nothing that a registry says is believed: documents are bounded and verified by their digests, blobs are cut at the
//! size that the manifest says, a transfer that does not move ends.

mod challenge;
mod credentials;
mod download;
mod endpoint;
mod failure;
mod fetch;
mod manifest;
mod remote;
mod search;
mod segments;
mod session;
mod settings;
mod tags;
mod token;
mod upload;
mod wait;

pub use credentials::Credentials;
pub use download::Download;
pub use remote::{Caller, RemoteManifest};
pub use search::SearchResult;
pub use settings::RegistrySettings;

pub(crate) use failure::unreachable;
pub(crate) use fetch::Fetch;
pub(crate) use manifest::Found;
pub(crate) use session::{Access, Repository, Visit};
pub(crate) use upload::{Offer, Upload};

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use dhow_errdefs::{Error, Result};
use dhow_oci::Reference;
use reqwest::Client;
use tokio::runtime::Handle;

use endpoint::{Stamp, Way};
use token::Tokens;

use crate::cancelled::Cancelled;
use crate::pull::Flights;

/// The registries of this engine: settings, connections and tokens, shared by all pulls.
pub struct Registries {
    settings: RegistrySettings,
    runtime: Handle,
    clients: Mutex<HashMap<Way, (Stamp, Client)>>,
    tokens: Tokens,
    flights: Flights,
}

impl fmt::Debug for Registries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registries").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Registries {
    /// Registries as the settings say; what moves over the network moves on this runtime.
    #[must_use]
    pub fn new(settings: RegistrySettings, runtime: Handle) -> Self {
        Self { settings, runtime, clients: Mutex::default(), tokens: Tokens::default(), flights: Flights::default() }
    }

    /// The settings they were made with.
    #[must_use]
    pub fn settings(&self) -> &RegistrySettings {
        &self.settings
    }

    /// The blobs that are on their way.
    pub(crate) fn flights(&self) -> &Flights {
        &self.flights
    }

    /// Does something with the repository of a name, through the first endpoint that answers: mirrors first where
    /// reading is all that is wanted. A mirror that fails, for whatever reason, is passed over.
    pub(crate) fn with_repository<T>(
        &self,
        name: &Reference,
        access: Access,
        credentials: &Credentials,
        work: impl Fn(&Repository<'_>) -> Result<T>,
    ) -> Result<T> {
        self.visit(
            Visit { name, access, credentials, sources: &[], insecure: false, cancelled: Cancelled::NEVER },
            work,
        )
    }

    /// The same, said in full.
    pub(crate) fn visit<T>(&self, visit: Visit<'_>, work: impl Fn(&Repository<'_>) -> Result<T>) -> Result<T> {
        let mut last = None;
        for endpoint in endpoint::of(&self.settings, &visit) {
            // Whoever is no mirror gets the person's credentials, nobody else.
            let credentials = if endpoint.mirror { &Credentials::Anonymous } else { visit.credentials };
            let visit = Visit { credentials, ..visit };
            let client = self.client(&endpoint.way(&self.settings));
            let done = client.and_then(|client| work(&Repository::new(self, client, &endpoint, visit)));
            if done.is_err() {
                visit.cancelled.check()?;
            }
            match done {
                Err(error) if endpoint.mirror || unreachable(&error) => last = Some(error),
                done => return done,
            }
        }
        Err(last.unwrap_or_else(|| Error::internal(format!("no endpoint for {}", visit.name.familiar()))))
    }

    /// Whether a registry knows who shows these credentials, as `login` asks. Its token server may give something to be
    /// shown in place of the password from then on.
    ///
    /// # Errors
    /// [`Unauthenticated`](dhow_errdefs::Class::Unauthenticated) when they are not, or why the registry cannot be asked.
    pub fn login(&self, registry: &str, credentials: &Credentials) -> Result<Option<String>> {
        // Any name of the registry will do: only the registry itself is asked.
        let name = Reference::parse(&format!("{registry}/login"))?;
        self.with_repository(&name, Access::Login, credentials, |repository| {
            repository.ping()?;
            Ok(repository.take_identity())
        })
    }

    /// The tags of a repository.
    ///
    /// # Errors
    /// [`NotFound`](dhow_errdefs::Class::NotFound) when the registry does not have it or does not show it.
    pub fn tags(&self, name: &Reference, credentials: &Credentials) -> Result<Vec<String>> {
        self.with_repository(name, Access::Pull, credentials, |repository| repository.tags())
    }

    fn client(&self, way: &Way) -> Result<Client> {
        let stamp = Stamp::of(way);
        if let Some((_, client)) = self.clients().get(way).filter(|(made_of, _)| *made_of == stamp) {
            return Ok(client.clone());
        }
        let client = way.connect(&self.settings)?;
        self.clients().insert(way.clone(), (stamp, client.clone()));
        Ok(client)
    }

    fn clients(&self) -> MutexGuard<'_, HashMap<Way, (Stamp, Client)>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
