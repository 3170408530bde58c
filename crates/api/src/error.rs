//! What every failed request answers.

use crate::zero::is_zero;
use serde::{Deserialize, Serialize};

/// The body of every answer with a status of 400 and above.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ErrorResponse {
    /// The text a person reads.
    pub message: String,
    /// What the person can do. Docker's API does not have it, and its clients pass over it.
    #[serde(skip_serializing_if = "is_zero")]
    pub hint: String,
}
