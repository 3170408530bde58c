//! `/volumes`.

use dhow_api::query::{Filters, Query};
use dhow_api::volume::{BackupResponse, CreateRequest, ListResponse, Volume};
use dhow_errdefs::Result;

use crate::path::object;
use crate::{Bytestream, Client, Upload};

/// How a volume is made of a backup.
#[derive(Debug, Clone, Default)]
pub struct VolumeImport {
    /// Its name.
    pub name: String,
    /// `tar` or `oci`; empty for a tar that must not look like the other.
    pub format: String,
    /// `name=value`, beside those of the backup.
    pub labels: Vec<String>,
    /// Take the place of what is in it.
    pub replace: bool,
}

/// Each call fails if the engine cannot be reached, or refuses, with its words.
#[allow(clippy::missing_errors_doc, reason = "said once for all above")]
impl Client {
    /// Makes a volume, or answers with the one of that name.
    pub async fn volume_create(&self, request: &CreateRequest) -> Result<Volume> {
        self.post("/volumes/create").json(request)?.document().await
    }

    /// Volumes, and what went wrong when they were asked for.
    pub async fn volume_list(&self, filters: &Filters) -> Result<ListResponse> {
        self.get("/volumes").query(Query::default().with_filters(filters)).document().await
    }

    /// One volume.
    pub async fn volume_inspect(&self, name: &str) -> Result<Volume> {
        self.get(format!("/volumes/{}", object(name))).document().await
    }

    /// Removes a volume; with `force` one that is not there is gone already.
    pub async fn volume_remove(&self, name: &str, force: bool) -> Result<()> {
        let query = Query::default().with_flag("force", force);
        self.delete(format!("/volumes/{}", object(name))).query(query).done().await
    }

    /// Copies a volume, as a snapshot where that is wanted; without a name one is invented. Of dhow alone.
    pub async fn volume_clone(&self, name: &str, new: &str, snapshot: bool) -> Result<Volume> {
        let query = Query::default().with("name", new).with_flag("snapshot", snapshot);
        self.post(format!("/volumes/{}/clone", object(name))).query(query).document().await
    }

    /// Replaces the content of a volume by that of another one. Of dhow alone.
    pub async fn volume_restore(&self, name: &str, from: &str) -> Result<()> {
        let query = Query::default().with("from", from);
        self.post(format!("/volumes/{}/restore", object(name))).query(query).done().await
    }

    /// Gives a volume another name. Of dhow alone.
    pub async fn volume_rename(&self, name: &str, new: &str) -> Result<()> {
        let query = Query::default().with("name", new);
        self.post(format!("/volumes/{}/rename", object(name))).query(query).done().await
    }

    /// Protects a volume from being removed, or not any more. Of dhow alone.
    pub async fn volume_protect(&self, name: &str, protected: bool) -> Result<()> {
        let query = Query::default().with_flag("off", !protected);
        self.post(format!("/volumes/{}/protect", object(name))).query(query).done().await
    }

    /// An archive of a volume, in the format `tar` or `oci`; `live` freezes and copies nothing. Of dhow alone.
    pub async fn volume_backup(&self, name: &str, format: &str, live: bool) -> Result<Bytestream> {
        let query = Query::default().with("format", format).with_flag("live", live);
        self.get(format!("/volumes/{}/backup", object(name))).query(query).bytes().await
    }

    /// Makes an image of a volume and returns its ID. Of dhow alone.
    pub async fn volume_backup_image(&self, name: &str, image: &str, live: bool) -> Result<String> {
        let query = Query::default().with("image", image).with_flag("live", live);
        let call = self.post(format!("/volumes/{}/backup", object(name))).query(query);
        Ok(call.document::<BackupResponse>().await?.id)
    }

    /// Makes a volume of an archive. Of dhow alone.
    pub async fn volume_import(&self, import: &VolumeImport, archive: Upload) -> Result<Volume> {
        let query = import.query().with_some("format", (!import.format.is_empty()).then_some(&import.format));
        self.post(format!("/volumes/{}/import", object(&import.name))).query(query).upload(archive).document().await
    }

    /// Makes a volume of an image that is a backup of one. Of dhow alone.
    pub async fn volume_import_image(&self, import: &VolumeImport, image: &str) -> Result<Volume> {
        let query = import.query().with("fromImage", image);
        self.post(format!("/volumes/{}/import", object(&import.name))).query(query).document().await
    }
}

impl VolumeImport {
    fn query(&self) -> Query {
        let query = Query::default().with_flag("replace", self.replace);
        self.labels.iter().fold(query, |query, label| query.with("label", label.as_str()))
    }
}
