//! Containers' files, and images of containers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dhow_api::container::{CommitResponse, FilesystemChange, PathStat};
use dhow_api::query::Query;
use dhow_errdefs::{Error, Result};

use crate::path::{named, object};
use crate::{Bytestream, Client, Upload};

/// Tells what is at a path beside the archive of it.
const PATH_STAT: &str = "x-docker-container-path-stat";

/// How an archive is put into a container.
#[derive(Debug, Clone, Copy, Default)]
pub struct Extraction {
    /// Everything belongs to the container's user, if it has one.
    pub users: bool,
    /// Folders may be replaced by other things, and other things by folders.
    pub replaces_kinds: bool,
}

/// An image of a container.
#[derive(Debug, Clone, Default)]
pub struct Commit {
    /// The container.
    pub container: String,
    /// Its name without tag; empty for none.
    pub repository: String,
    /// Its tag; empty for `latest`.
    pub tag: String,
    /// A word about it.
    pub comment: String,
    /// Who made it.
    pub author: String,
    /// Dockerfile instructions that change its config.
    pub changes: Vec<String>,
    /// Do not freeze the container meanwhile.
    pub running: bool,
}

fn of(id: &str, verb: &str) -> String {
    format!("/containers/{}{verb}", object(id))
}

fn stat(header: Option<&str>) -> Result<PathStat> {
    let bad = || Error::data_loss("the daemon's answer does not say what is at the path");
    let text = STANDARD.decode(header.ok_or_else(bad)?).map_err(|cause| bad().with_cause(cause))?;
    dhow_api::json::from_slice(&text).map_err(|cause| bad().with_cause(cause))
}

/// Each call fails if the engine cannot be reached, or refuses, with its words.
#[allow(clippy::missing_errors_doc, reason = "said once for all above")]
impl Client {
    /// What a container has changed against its image.
    pub async fn container_changes(&self, id: &str) -> Result<Vec<FilesystemChange>> {
        let changes: Option<Vec<FilesystemChange>> = self.get(of(id, "/changes")).document().await?;
        Ok(changes.unwrap_or_default())
    }

    /// A container's whole file system as an archive.
    pub async fn container_export(&self, id: &str) -> Result<Bytestream> {
        self.get(of(id, "/export")).bytes().await
    }

    /// What is at a path of a container.
    pub async fn container_path_stat(&self, id: &str, path: &str) -> Result<PathStat> {
        let query = Query::default().with("path", path);
        let header = self.head(of(id, "/archive")).query(query).header(PATH_STAT).await;
        // An answer to HEAD has no body, so a refusal has no words.
        let missing = || Error::not_found(format!("Could not find the file {path} in container {id}"));
        let header = header.map_err(|error| match error.class() {
            dhow_errdefs::Class::NotFound => missing(),
            _ => error,
        })?;
        stat(header.as_deref())
    }

    /// What is at a path of a container, as an archive.
    pub async fn container_copy_out(&self, id: &str, path: &str) -> Result<(Bytestream, PathStat)> {
        let call = self.get(of(id, "/archive")).query(Query::default().with("path", path));
        let (bytes, header) = call.bytes_with(PATH_STAT).await?;
        Ok((bytes, stat(header.as_deref())?))
    }

    /// Puts an archive into a folder of a container.
    pub async fn container_copy_in(&self, id: &str, path: &str, how: Extraction, archive: Upload) -> Result<()> {
        let query = Query::default()
            .with("path", path)
            .with_some("noOverwriteDirNonDir", (!how.replaces_kinds).then_some("true"))
            .with_some("copyUIDGID", how.users.then_some("true"));
        self.put(of(id, "/archive")).query(query).upload(archive).done().await
    }

    /// Makes an image of a container and returns its ID.
    pub async fn commit(&self, commit: &Commit) -> Result<String> {
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let query = Query::default()
            .with("container", named("container", &commit.container)?)
            .with_some("repo", given(&commit.repository))
            .with_some("tag", given(&commit.tag))
            .with_some("comment", given(&commit.comment))
            .with_some("author", given(&commit.author))
            .with_some("pause", commit.running.then_some("0"));
        let query = commit.changes.iter().fold(query, |query, change| query.with("changes", change.as_str()));
        let answer: CommitResponse = self.post("/commit").query(query).json(&())?.document().await?;
        Ok(answer.id)
    }
}
