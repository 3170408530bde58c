//! What is written down of a container, and reading it back.

use std::sync::Arc;

use dhow_errdefs::{Error, Result};
use dhow_logs::{Losses, Timestamp};
use dhow_store::Document;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::State;
use crate::Health;
use crate::create::Mount;
use crate::spec::ContainerSpec;

/// The version of [`Body`] and of [`Condition`] that this engine writes.
const FORMAT: u32 = 1;

/// What a container is: changes only by `rename` and `update`.
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
    /// Somebody stopped it, so its policy lets it be.
    pub stopped_by_hand: bool,
    /// Lines that its log has lost in the last run.
    #[serde(default)]
    pub log_losses: Losses,
    /// What its health check said at the last change of the verdict. Absent in records of before there were checks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Arc<Health>>,
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
            stopped_by_hand: false,
            log_losses: Losses::default(),
            health: None,
        }
    }
}

/// The text to be stored.
pub(crate) fn write<T: Serialize>(value: &T) -> Result<Document> {
    let json = serde_json::to_string(value).map_err(|error| Error::internal("write a record").with_cause(error))?;
    Ok(Document { format: FORMAT, json })
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
        let body: Body =
            read(&Document { format: 1, json: r#"{"spec":{"image":"x"},"mounts":[]}"#.to_owned() }).unwrap();
        assert_eq!(body.spec.image, "x");
    }

    #[test]
    fn a_later_version_is_refused_not_guessed() {
        let later = Document { format: FORMAT + 1, json: "{}".to_owned() };
        assert_eq!(read::<Body>(&later).unwrap_err().class(), Class::Conflict);
    }
}
