//! `/networks`.

use dhow_api::network::{ConnectRequest, CreateRequest, CreateResponse, DisconnectRequest, Exposure, Network};
use dhow_api::query::{Filters, Query};
use dhow_errdefs::Result;

use crate::Client;
use crate::path::{named, object};

/// Each call fails if the engine cannot be reached, or refuses, with its words.
#[allow(clippy::missing_errors_doc, reason = "said once for all above")]
impl Client {
    /// Makes a network. Engines of before 1.44 refuse a name that is taken only if that is asked for; later ones always do.
    pub async fn network_create(&self, request: &CreateRequest) -> Result<CreateResponse> {
        let request = CreateRequest { check_duplicate: true, ..request.clone() };
        self.post("/networks/create").json(&request)?.document().await
    }

    /// Networks, without who is in them.
    pub async fn network_list(&self, filters: &Filters) -> Result<Vec<Network>> {
        self.get("/networks").query(Query::default().with_filters(filters)).document().await
    }

    /// What is reachable from where. Only our engine knows.
    pub async fn network_exposure(&self) -> Result<Vec<Exposure>> {
        self.get("/system/exposure").document().await
    }

    /// Removes a network that nobody is in.
    pub async fn network_remove(&self, name: &str) -> Result<()> {
        self.delete(format!("/networks/{}", object(name))).done().await
    }

    /// Puts a container into a network.
    pub async fn network_connect(&self, name: &str, request: &ConnectRequest) -> Result<()> {
        named("network", name)?;
        let request = ConnectRequest { container: named("container", &request.container)?, ..request.clone() };
        self.post(format!("/networks/{}/connect", object(name))).json(&request)?.done().await
    }

    /// Takes a container out of a network.
    pub async fn network_disconnect(&self, name: &str, request: &DisconnectRequest) -> Result<()> {
        named("network", name)?;
        let request = DisconnectRequest { container: named("container", &request.container)?, ..*request };
        self.post(format!("/networks/{}/disconnect", object(name))).json(&request)?.done().await
    }
}
