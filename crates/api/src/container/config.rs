//! What a container is, wherever it runs.
#![allow(missing_docs, reason = "the fields are Docker's and documented by its API")]

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::zero::is_zero;

/// A set, which Go writes as a map to empty objects.
pub type Set = BTreeMap<String, Empty>;

/// `{}`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Empty {}

/// The portable half of a container.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Config {
    pub hostname: String,
    pub domainname: String,
    pub user: String,
    pub attach_stdin: bool,
    pub attach_stdout: bool,
    pub attach_stderr: bool,
    #[serde(skip_serializing_if = "is_zero")]
    pub exposed_ports: Set,
    pub tty: bool,
    pub open_stdin: bool,
    pub stdin_once: bool,
    pub env: Option<Vec<String>>,
    pub cmd: Option<StrSlice>,
    #[serde(skip_serializing_if = "is_zero")]
    pub healthcheck: Option<HealthConfig>,
    #[serde(skip_serializing_if = "is_zero")]
    pub args_escaped: bool,
    pub image: String,
    pub volumes: Option<Set>,
    pub working_dir: String,
    pub entrypoint: Option<StrSlice>,
    #[serde(skip_serializing_if = "is_zero")]
    pub network_disabled: bool,
    #[serde(skip_serializing_if = "is_zero")]
    pub mac_address: String,
    pub on_build: Option<Vec<String>>,
    pub labels: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "is_zero")]
    pub stop_signal: String,
    #[serde(skip_serializing_if = "is_zero")]
    pub stop_timeout: Option<i64>,
    #[serde(skip_serializing_if = "is_zero")]
    pub shell: Option<StrSlice>,
}

/// A health check; durations in nanoseconds, zero inherits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HealthConfig {
    #[serde(skip_serializing_if = "is_zero")]
    pub test: Vec<String>,
    #[serde(skip_serializing_if = "is_zero")]
    pub interval: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub timeout: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub start_period: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub start_interval: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub retries: i64,
}

/// A program and its arguments: a list on the wire, but a lone string is taken for a list of one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct StrSlice(pub Vec<String>);

impl From<Vec<String>> for StrSlice {
    fn from(words: Vec<String>) -> Self {
        Self(words)
    }
}

impl<'de> Deserialize<'de> for StrSlice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Words)
    }
}

struct Words;

impl<'de> Visitor<'de> for Words {
    type Value = StrSlice;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of strings or a string")
    }

    fn visit_unit<E: de::Error>(self) -> Result<StrSlice, E> {
        Ok(StrSlice::default())
    }

    fn visit_str<E: de::Error>(self, word: &str) -> Result<StrSlice, E> {
        Ok(StrSlice(vec![word.to_owned()]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<StrSlice, A::Error> {
        let mut words = Vec::with_capacity(items.size_hint().unwrap_or_default().min(64));
        while let Some(word) = items.next_element()? {
            words.push(word);
        }
        Ok(StrSlice(words))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_untouched_configuration_is_written_as_go_writes_it() {
        let text = serde_json::to_string(&Config::default()).expect("plain data");
        assert_eq!(
            text,
            r#"{"Hostname":"","Domainname":"","User":"","AttachStdin":false,"AttachStdout":false,"AttachStderr":false,"Tty":false,"OpenStdin":false,"StdinOnce":false,"Env":null,"Cmd":null,"Image":"","Volumes":null,"WorkingDir":"","Entrypoint":null,"OnBuild":null,"Labels":null}"#
        );
    }

    #[test]
    fn a_program_may_be_one_string() {
        let config: Config =
            crate::json::from_slice(br#"{"Cmd":"ls","Entrypoint":["a",null],"Shell":null}"#).expect("good");
        assert_eq!(config.cmd, Some(StrSlice(vec!["ls".into()])));
        assert_eq!(config.entrypoint, Some(StrSlice(vec!["a".into(), String::new()])));
        assert_eq!(config.shell, None);
    }

    #[test]
    fn sets_are_maps_to_empty_objects() {
        let text = br#"{"ExposedPorts":{"80/tcp":{}},"Volumes":{"/data":null}}"#;
        let config: Config = crate::json::from_slice(text).expect("good");
        let back = serde_json::to_value(&config).expect("plain data");
        assert_eq!(back["ExposedPorts"].to_string(), r#"{"80/tcp":{}}"#);
        assert_eq!(back["Volumes"].to_string(), r#"{"/data":{}}"#);
    }
}
