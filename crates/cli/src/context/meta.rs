//! `meta.json`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The endpoint that is an engine.
pub(crate) const DOCKER: &str = "docker";

/// A context without its secrets. Fields of other programs are kept as they are.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Meta {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) metadata: Metadata,
    #[serde(default)]
    pub(crate) endpoints: BTreeMap<String, Endpoint>,
}

/// What people wrote about it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Metadata {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) description: String,
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

/// Where it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Endpoint {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) host: String,
    #[serde(rename = "SkipTLSVerify")]
    pub(crate) skip_tls_verify: bool,
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

impl Endpoint {
    pub(crate) fn new(host: String, skip_tls_verify: bool) -> Self {
        Self { host, skip_tls_verify, others: BTreeMap::new() }
    }
}

impl Meta {
    /// A context whose engine is there.
    pub(crate) fn new(name: &str, description: String, endpoint: Endpoint) -> Self {
        Self {
            name: name.to_owned(),
            metadata: Metadata { description, others: BTreeMap::new() },
            endpoints: BTreeMap::from([(DOCKER.to_owned(), endpoint)]),
        }
    }

    /// The engine's address; empty if it has none.
    pub(crate) fn host(&self) -> &str {
        self.endpoints.get(DOCKER).map_or("", |endpoint| &endpoint.host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_stays() {
        let text = r#"{"Name":"x","Metadata":{"Description":"d","Mine":{"a":1}},"Endpoints":{"docker":{"Host":"unix:///x","SkipTLSVerify":false},"kubernetes":{"SkipTLSVerify":true,"Namespace":"n"}}}"#;
        let meta: Meta = serde_json::from_str(text).unwrap();
        assert_eq!((meta.host(), meta.metadata.description.as_str()), ("unix:///x", "d"));
        assert_eq!(serde_json::to_string(&meta).unwrap(), text);
    }
}
