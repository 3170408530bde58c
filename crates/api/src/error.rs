//! What every failed request answers.

use serde::{Deserialize, Serialize};

/// The body of every answer with a status of 400 and above.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ErrorResponse {
    /// The text a person reads.
    pub message: String,
}
