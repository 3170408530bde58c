//! What registries have.
#![allow(missing_docs, reason = "the fields are Docker's and documented by its API")]

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `GET /distribution/{name}/json`. Both are OCI's own shapes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Inspect {
    pub descriptor: Value,
    pub platforms: Vec<Value>,
}

/// `POST /distribution/{name}/manifest`, beyond Docker's API.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Pushed {
    pub digest: String,
}

/// One line of `GET /images/search`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SearchItem {
    pub star_count: i64,
    pub is_official: bool,
    pub name: String,
    pub is_automated: bool,
    pub description: String,
}
