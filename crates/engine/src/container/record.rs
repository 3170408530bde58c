//! What is written down of a container, and reading it back.

use std::sync::Arc;

use dhow_errdefs::{Error, Result};
use dhow_logs::{Losses, Timestamp};
use dhow_network::model::{Attached, EndpointSpec};
use dhow_store::Document;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{State, Then};
use crate::Health;
use crate::create::Mount;
use crate::networks::main_network;
use crate::spec::ContainerSpec;

/// The version of [`Body`] and of [`Condition`] that this engine writes. In the first, a body did not say in which networks
/// a container is.
const FORMAT: u32 = 2;

/// What a container is: changes only when somebody asks for it (`update`, `network connect`, `publish` …).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Body {
    /// Merged with the image.
    pub spec: Arc<ContainerSpec>,
    pub mounts: Vec<Mount>,
}

/// How a container is: written at every transition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Condition {
    pub state: State,
    pub exit_code: i32,
    pub error: String,
    pub oom_killed: bool,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    /// How often its policy started it again since somebody did.
    pub restart_count: u32,
    /// How long the last of these restarts waited, in milliseconds. Absent in records of before it was kept.
    #[serde(default)]
    pub restart_pause: u64,
    /// Somebody stopped it, so its policy lets it be.
    pub stopped_by_hand: bool,
    /// What who stopped it last wants next. Absent in records of before it was kept.
    #[serde(default)]
    pub then: Then,
    /// Lines that its log has lost in the last run.
    #[serde(default)]
    pub log_losses: Losses,
    /// What its health check said at the last change of the verdict. Absent in records of before there were checks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Arc<Health>>,
    /// What it has in its networks, while it runs. Absent in records of before there were networks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attached: Option<Arc<Attached>>,
}

impl Condition {
    /// How many seconds the last run took.
    pub(crate) fn seconds(&self) -> i64 {
        match (self.started_at, self.finished_at) {
            (Some(start), Some(end)) => end.0.saturating_sub(start.0) / 1_000_000_000,
            _ => 0,
        }
    }
}

impl Default for Condition {
    fn default() -> Self {
        Self {
            state: State::Created,
            exit_code: 0,
            error: String::new(),
            oom_killed: false,
            started_at: None,
            finished_at: None,
            restart_count: 0,
            restart_pause: 0,
            stopped_by_hand: false,
            then: Then::Nothing,
            log_losses: Losses::default(),
            health: None,
            attached: None,
        }
    }
}

/// The text to be stored.
pub(crate) fn write<T: Serialize>(value: &T) -> Result<Document> {
    let json = serde_json::to_string(value).map_err(|error| Error::internal("write a record").with_cause(error))?;
    Ok(Document { format: FORMAT, json })
}

/// What a container is, in the form of today.
///
/// # Errors
/// As [`read`].
pub(crate) fn read_body(document: &Document) -> Result<Body> {
    let mut body: Body = read(document)?;
    if document.format < 2 && !body.spec.network_disabled {
        let spec = Arc::make_mut(&mut body.spec);
        let main = main_network(&spec.host.network_mode).map(|name| (name.to_owned(), EndpointSpec::default()));
        spec.networking = main.into_iter().collect();
    }
    Ok(body)
}

/// The value that was stored.
///
/// # Errors
/// `Conflict` for a later version, `DataLoss` for a text that cannot be read.
pub(crate) fn read<T: DeserializeOwned>(document: &Document) -> Result<T> {
    if document.format > FORMAT {
        let text = format!("the record has version {}, this dhow knows {FORMAT}", document.format);
        return Err(Error::conflict(text).with_hint("it was written by a newer dhow: use that one"));
    }
    serde_json::from_str(&document.json).map_err(|error| Error::data_loss("read a record").with_cause(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use dhow_errdefs::Class;

    #[test]
    fn what_is_written_is_read_back() {
        let condition = Condition {
            state: State::Exited,
            exit_code: 137,
            started_at: Some(Timestamp(1)),
            finished_at: Some(Timestamp(2)),
            ..Condition::default()
        };
        assert_eq!(read::<Condition>(&write(&condition).unwrap()).unwrap(), condition);
    }

    #[test]
    fn version_1_stays_readable() {
        let json = r#"{"state":"running","exit_code":0,"error":"","oom_killed":false,"started_at":"2026-01-02T03:04:05Z",
            "finished_at":null,"restart_count":0,"stopped_by_hand":false}"#;
        let condition: Condition = read(&Document { format: 1, json: json.to_owned() }).unwrap();
        assert_eq!(condition.state, State::Running);
        let json = r#"{"spec":{"image":"x","networking":{"default":{"IPAMConfig":null,"Links":[]}}},"mounts":[]}"#;
        let body = read_body(&Document { format: 1, json: json.to_owned() }).unwrap();
        assert_eq!(body.spec.image, "x");
        assert_eq!(body.spec.networking.keys().collect::<Vec<_>>(), ["bridge"]);
        let left = read_body(&Document { format: 2, json: r#"{"spec":{},"mounts":[]}"#.to_owned() }).unwrap();
        assert!(left.spec.networking.is_empty(), "who has left all networks stays outside");
    }

    #[test]
    fn a_later_version_is_refused_not_guessed() {
        let later = Document { format: FORMAT + 1, json: "{}".to_owned() };
        assert_eq!(read::<Body>(&later).unwrap_err().class(), Class::Conflict);
    }
}
