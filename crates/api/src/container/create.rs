//! `POST /containers/create`.
#![allow(missing_docs, reason = "the fields are Docker's and documented by its API")]

use serde::{Deserialize, Serialize};

use super::{Config, HostConfig};
use crate::network::NetworkingConfig;

/// The body: a [`Config`] with two further fields beside its own.
///
/// Read it with [`CreateRequest::from_slice`].
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateRequest {
    #[serde(flatten)]
    pub config: Config,
    pub host_config: HostConfig,
    pub networking_config: NetworkingConfig,
}

impl CreateRequest {
    /// Reads a body with Go's rules; `null` parts are empty parts.
    ///
    /// # Errors
    /// The text is no JSON or a value has the wrong kind.
    pub fn from_slice(text: &[u8]) -> Result<Self, serde_json::Error> {
        /// The two fields beside those of the configuration. Read in a pass of their own, because serde's `flatten`
        /// would buffer everything and lose Go's rules.
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "PascalCase", default)]
        struct Beside {
            host_config: Option<HostConfig>,
            networking_config: NetworkingConfig,
        }
        let Beside { host_config, networking_config } = crate::json::from_slice(text)?;
        // Where that part is missing, its fields are read beside the configuration's: as the first versions of the API
        // had them, and as docker-py still sends some (`Runtime`).
        let host_config = host_config.map_or_else(|| crate::json::from_slice(text), Ok)?;
        Ok(Self { config: crate::json::from_slice(text)?, host_config, networking_config })
    }
}

/// The answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CreateResponse {
    pub id: String,
    pub warnings: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_parts_share_one_object() {
        let text = br#"{"Image":"busybox","Cmd":["true"],"HostConfig":{"AutoRemove":true},"NetworkingConfig":null}"#;
        let request = CreateRequest::from_slice(text).expect("good");
        assert_eq!(request.config.image, "busybox");
        assert!(request.host_config.auto_remove);
        let back = serde_json::to_vec(&request).expect("plain data");
        assert_eq!(CreateRequest::from_slice(&back).expect("good"), request);
    }

    #[test]
    fn settings_of_the_host_may_stand_alone_where_their_part_is_missing() {
        let read = |text: &[u8]| CreateRequest::from_slice(text).expect("good").host_config;
        for text in [&br#"{"Image":"i","Runtime":"runc"}"#[..], br#"{"Image":"i","Runtime":"runc","HostConfig":null}"#]
        {
            assert_eq!(read(text).runtime, "runc");
        }
        assert_eq!(read(br#"{"Image":"i","Runtime":"runc","HostConfig":{}}"#).runtime, "");
    }
}
