//! The client: an address, an API version and the connections that are free.

use std::sync::{Mutex, MutexGuard, PoisonError};

use dhow_api::version::Version;
use dhow_errdefs::Result;
use hyper::{Method, Request};

use crate::body::Payload;
use crate::call::{Call, read_all};
use crate::connection::{Connection, Transport};
use crate::{Host, Socket, Tls, version};

/// The oldest engines do not name their version; this is what Docker's client assumes of them.
const UNNAMED: Version = Version::MIN;

/// A client of one engine. Calls may run at the same time.
///
/// The API version starts at [`Version::MAX`]. An engine that is older says so (`client version 1.51 is too new. Maximum
/// supported API version is 1.41`); the same request then goes out again with its version, and all later ones use it. So
/// nobody pays for a `_ping` but uploads, which cannot be repeated.
#[derive(Debug)]
pub struct Client {
    host: Host,
    tls: Option<Tls>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    version: Version,
    /// No negotiation: the version was given, or an engine has taken it.
    settled: bool,
    free: Vec<Connection>,
}

impl Client {
    /// A client that negotiates its version. Nothing is connected before the first call.
    #[must_use]
    pub fn new(host: Host) -> Self {
        let state = State { version: Version::MAX, settled: false, free: Vec::new() };
        Self { host, tls: None, state: Mutex::new(state) }
    }

    /// The same client, speaking TLS where its address is `tcp://`.
    #[must_use]
    pub fn with_tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// The same client with a fixed version (`DOCKER_API_VERSION`).
    #[must_use]
    pub fn with_version(self, version: Version) -> Self {
        {
            let mut state = self.lock();
            (state.version, state.settled) = (version, true);
        }
        self
    }

    /// The engine's address.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The version that calls are made with; final after the first answer.
    #[must_use]
    pub fn api_version(&self) -> Version {
        self.lock().version
    }

    /// Connects, so that the next calls need not; `count` calls can then run at the same time.
    ///
    /// # Errors
    /// Nobody listens at the address.
    pub async fn connect(&self, count: usize) -> Result<()> {
        let free = self.lock().free.len();
        for _ in free..count {
            let connection = Connection::open(&self.host, self.tls.as_ref()).await?;
            self.put_back(connection);
        }
        Ok(())
    }

    /// Connects to an engine that went away, once more: what is left of the one before is forgotten.
    ///
    /// # Errors
    /// Nobody listens at the address.
    pub async fn reconnect(&self) -> Result<()> {
        self.lock().free.clear();
        self.connect(1).await
    }

    /// A connection on which nothing was said yet, for somebody else to speak on.
    ///
    /// # Errors
    /// Nobody listens at the address.
    pub async fn dial(&self) -> Result<Socket> {
        let (transport, _) = Transport::connect(&self.host, self.tls.as_ref()).await?;
        Socket::of(transport)
    }

    /// Asks the engine for its version with `HEAD /_ping`, unless it is known.
    ///
    /// # Errors
    /// The engine cannot be reached.
    pub async fn settle_version(&self) -> Result<()> {
        if self.lock().settled {
            return Ok(());
        }
        let mut connection = self.take().await?;
        let request = Request::head("/_ping").header(hyper::header::HOST, "dhow").body(Payload::Nothing);
        let response = connection.send(request.expect("a fixed request is well-formed")).await?;
        let named = response.headers().get("api-version").and_then(|value| value.to_str().ok());
        let engine = named.and_then(|text| text.parse().ok()).unwrap_or(UNNAMED);
        read_all(response).await?;
        self.put_back(connection);
        let mut state = self.lock();
        state.version = state.version.min(engine);
        state.settled = true;
        Ok(())
    }

    pub(crate) fn get(&self, path: impl Into<String>) -> Call<'_> {
        Call::new(self, Method::GET, path)
    }

    pub(crate) fn head(&self, path: impl Into<String>) -> Call<'_> {
        Call::new(self, Method::HEAD, path)
    }

    pub(crate) fn put(&self, path: impl Into<String>) -> Call<'_> {
        Call::new(self, Method::PUT, path)
    }

    pub(crate) fn post(&self, path: impl Into<String>) -> Call<'_> {
        Call::new(self, Method::POST, path)
    }

    pub(crate) fn delete(&self, path: impl Into<String>) -> Call<'_> {
        Call::new(self, Method::DELETE, path)
    }

    /// Takes the version an engine asked for. `false` if its message asks for nothing, or for nothing older.
    pub(crate) fn step_down(&self, sent: Version, message: &str) -> bool {
        let mut state = self.lock();
        match version::demanded(message) {
            Some(wanted) if wanted < sent && (!state.settled || state.version == wanted) => {
                (state.version, state.settled) = (wanted, true);
                true
            }
            _ => false,
        }
    }

    /// A free connection, or a new one.
    pub(crate) async fn take(&self) -> Result<Connection> {
        loop {
            let free = self.lock().free.pop();
            match free {
                Some(mut connection) => {
                    if connection.is_open().await {
                        return Ok(connection);
                    }
                }
                None => return Connection::open(&self.host, self.tls.as_ref()).await,
            }
        }
    }

    /// Keeps a connection for the next call. Its last answer has been read to the end; one that the engine
    /// closes meanwhile is sorted out when it is taken.
    pub(crate) fn put_back(&self, connection: Connection) {
        self.lock().free.push(connection);
    }

    /// A panic while the lock was held leaves the state usable: each change is a single assignment.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
