//! The document whose digest is an image's ID (OCI image-spec, config.md; Docker's image spec v1.3).

use std::collections::BTreeMap;

use dhow_errdefs::{Error, Result};
use serde::{Deserialize, Deserializer, Serialize};

use crate::json::{document, nullable};
use crate::{Digest, Platform};

/// Largest config that is read, in bytes. The largest honest ones have a few hundred kilobytes.
pub const LARGEST_CONFIG: u64 = 8 << 20;

/// Most layers an image may have: what the kernel's overlay stacks is 500, Docker stops at 127.
pub const MOST_LAYERS: usize = 500;

/// An image's config, as far as dhow reads it.
///
/// What is stored are the bytes as they came: only configs of new images are written from this.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImageConfig {
    /// Processor, as Go names it.
    #[serde(deserialize_with = "nullable")]
    pub architecture: String,
    /// Who made it.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub author: String,
    /// A word about it.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub comment: String,
    /// Defaults of its containers.
    #[serde(deserialize_with = "nullable")]
    pub config: RunConfig,
    /// The container that it was made of, if it was made so.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub container: String,
    /// What that container was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container_config: Option<Box<ContainerConfig>>,
    /// When, as RFC 3339 writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// The engine that made it.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub docker_version: String,
    /// How each layer came to be, oldest first.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<History>,
    /// Operating system.
    #[serde(deserialize_with = "nullable")]
    pub os: String,
    /// Its version (Windows).
    #[serde(rename = "os.version", deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub os_version: String,
    /// Its layers.
    #[serde(deserialize_with = "nullable")]
    pub rootfs: RootFs,
    /// Variant of the processor.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub variant: String,
}

/// Defaults of an image's containers. Nothing and an empty list are told apart, as Docker shows them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct RunConfig {
    /// `user[:group]`, by name or number.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// `port[/protocol]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exposed_ports: Option<BTreeMap<String, Empty>>,
    /// `NAME=value`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env: Option<Vec<String>>,
    /// The program.
    #[serde(deserialize_with = "words", skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// Its arguments, or the program.
    #[serde(deserialize_with = "words", skip_serializing_if = "Option::is_none")]
    pub cmd: Option<Vec<String>>,
    /// Folders that are volumes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volumes: Option<BTreeMap<String, Empty>>,
    /// Working folder.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub working_dir: String,
    /// Labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
    /// How its containers are asked to end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    /// Seconds they have to do so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_timeout: Option<i64>,
    /// How one finds out whether they are well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    /// Instructions for builds on top of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_build: Option<Vec<String>>,
    /// The shell of `RUN`, `CMD` and `ENTRYPOINT` in shell form.
    #[serde(deserialize_with = "words", skip_serializing_if = "Option::is_none")]
    pub shell: Option<Vec<String>>,
    /// The command is escaped already (Windows).
    #[serde(deserialize_with = "nullable", skip_serializing_if = "std::ops::Not::not")]
    pub args_escaped: bool,
}

/// What the container was that an image was made of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ContainerConfig {
    /// Its host name.
    #[serde(deserialize_with = "nullable")]
    pub hostname: String,
    /// Its image, as its maker called it.
    #[serde(deserialize_with = "nullable")]
    pub image: String,
    /// What it ran.
    #[serde(flatten)]
    pub run: RunConfig,
}

/// How one finds out whether a container is well. Times are nanoseconds; 0 means the default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Healthcheck {
    /// Empty (inherit), `NONE`, `CMD` and words, or `CMD-SHELL` and a line.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub test: Vec<String>,
    /// Between two checks.
    #[serde(skip_serializing_if = "is_zero")]
    pub interval: i64,
    /// For one check.
    #[serde(skip_serializing_if = "is_zero")]
    pub timeout: i64,
    /// In which failures do not count.
    #[serde(skip_serializing_if = "is_zero")]
    pub start_period: i64,
    /// Between two checks in the start period.
    #[serde(skip_serializing_if = "is_zero")]
    pub start_interval: i64,
    /// How many failures in a row make it ill.
    #[serde(skip_serializing_if = "is_zero")]
    pub retries: i64,
}

/// Go's `struct{}`: an object without anything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Empty {}

/// The layers of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RootFs {
    /// `layers`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Digests of the uncompressed tars, bottom first.
    #[serde(deserialize_with = "nullable")]
    pub diff_ids: Vec<Digest>,
}

impl Default for RootFs {
    fn default() -> Self {
        Self { kind: "layers".to_owned(), diff_ids: Vec::new() }
    }
}

/// How a layer came to be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct History {
    /// When, as RFC 3339 writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// By which instruction.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub created_by: String,
    /// By whom.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub author: String,
    /// A word about it.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub comment: String,
    /// It made no layer.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "std::ops::Not::not")]
    pub empty_layer: bool,
}

impl ImageConfig {
    /// Parses a config.
    ///
    /// # Errors
    /// Invalid when it is none, or its history tells of more layers than it has.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        if bytes.len() as u64 > LARGEST_CONFIG {
            return Err(Error::invalid(format!("image config is larger than {LARGEST_CONFIG} bytes")));
        }
        let config: Self = document("image config", bytes)?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<()> {
        if !matches!(self.rootfs.kind.as_str(), "layers" | "") {
            return Err(Error::invalid(format!("invalid image config: rootfs type {:?}", self.rootfs.kind)));
        }
        let layers = self.rootfs.diff_ids.len();
        if layers > MOST_LAYERS {
            return Err(Error::invalid(format!("image has {layers} layers, the most is {MOST_LAYERS}")));
        }
        let told = self.history.iter().filter(|entry| !entry.empty_layer).count();
        if told > layers {
            let message = format!("invalid image config: history tells of {told} layers, rootfs has {layers}");
            return Err(Error::invalid(message));
        }
        Ok(())
    }

    /// The document as it is stored: fields in alphabetical order, as Docker writes them.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts, numbers and maps with text keys can always be written")
    }

    /// What it runs on. What the config leaves out is taken from the host, as Docker does.
    #[must_use]
    pub fn platform(&self) -> Platform {
        let host = Platform::host();
        if self.architecture.is_empty() {
            return host;
        }
        let os = if self.os.is_empty() { &host.os } else { &self.os };
        let variant = Some(self.variant.as_str()).filter(|variant| !variant.is_empty());
        Platform::new(os, &self.architecture, variant)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(value: &i64) -> bool {
    *value == 0
}

/// A list of words; a single text is a list of one, as in images of the first years.
fn words<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Words {
        List(Vec<String>),
        One(String),
        Null(()),
    }
    Ok(match Words::deserialize(deserializer)? {
        Words::List(words) => Some(words),
        Words::One(word) => Some(vec![word]),
        Words::Null(()) => None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_container_that_an_image_was_made_of() {
        let text =
            br#"{"container":"c1","container_config":{"Hostname":"h","Image":"busybox","Cmd":["top"],"Tty":false}}"#;
        let config = ImageConfig::parse(text).unwrap();
        let container = config.container_config.as_deref().unwrap();
        assert_eq!((config.container.as_str(), container.image.as_str()), ("c1", "busybox"));
        assert_eq!((container.hostname.as_str(), &container.run.cmd), ("h", &Some(vec!["top".to_owned()])));
        assert_eq!(ImageConfig::parse(&config.to_bytes()).unwrap(), config);
        let none = ImageConfig::parse(br#"{"container":null,"container_config":null}"#).unwrap();
        assert_eq!((none.container.as_str(), none.container_config), ("", None));
    }

    #[test]
    fn a_config_as_docker_writes_it_is_read() {
        let text = r#"{"architecture":"amd64","config":{"Hostname":"","AttachStdin":false,"ExposedPorts":{"80/tcp":{}},
            "Env":["PATH=/bin"],"Cmd":["sh"],"Image":"sha256:1","Volumes":null,"WorkingDir":"","Entrypoint":null,
            "OnBuild":null,"Labels":{"a":"b"},"StopSignal":"SIGQUIT","Healthcheck":{"Test":["CMD","true"],"Interval":5}},
            "container":"c","container_config":{"Cmd":null},"created":"2024-05-01T00:00:00Z","docker_version":"20.10",
            "history":[{"created":"2024-05-01T00:00:00Z","created_by":"ADD x"},{"created_by":"CMD","empty_layer":true}],
            "os":"linux","rootfs":{"type":"layers","diff_ids":["sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]}}"#;
        let mut config = ImageConfig::parse(text.as_bytes()).expect("good");
        assert_eq!(config.config.cmd, Some(vec!["sh".to_owned()]));
        assert_eq!(config.config.exposed_ports.take().expect("some").into_keys().collect::<Vec<_>>(), ["80/tcp"]);
        assert_eq!(config.config.healthcheck.as_ref().expect("one").interval, 5);
        assert_eq!(config.rootfs.diff_ids, [Digest::of(b"")]);
        assert_eq!(config.platform().to_string(), "linux/amd64");
        assert!(config.history[1].empty_layer);
    }

    #[test]
    fn nulls_and_single_words_are_understood() {
        let text =
            r#"{"os":null,"history":null,"rootfs":null,"config":{"Cmd":"a b","Env":null,"Labels":null,"Shell":null}}"#;
        let config = ImageConfig::parse(text.as_bytes()).expect("good");
        assert_eq!(config.config.cmd, Some(vec!["a b".to_owned()]));
        assert_eq!(config.platform(), Platform::host());
        assert_eq!(ImageConfig::parse(b"{\"config\":null}").expect("good"), ImageConfig::default());
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let refused = |text: &str| ImageConfig::parse(text.as_bytes()).expect_err(text).to_string();
        assert!(refused("[]").starts_with("invalid image config"));
        assert!(refused(r#"{"history":[{}]}"#).contains("history tells of 1 layers, rootfs has 0"));
        assert!(refused(r#"{"rootfs":{"type":"foo"}}"#).contains("rootfs type"));
        assert!(refused(r#"{"rootfs":{"diff_ids":["sha256:12"]}}"#).contains("invalid digest"));
        let many = vec![format!("\"{}\"", Digest::of(b"")); MOST_LAYERS + 1].join(",");
        assert!(refused(&format!(r#"{{"rootfs":{{"diff_ids":[{many}]}}}}"#)).contains("501 layers"));
        let deep = "[".repeat(10_000);
        assert!(refused(&deep).starts_with("invalid image config"));
    }

    prop_compose! {
        fn any_run_config()(
            user in "[a-z:0-9]{0,6}",
            env in prop::option::of(prop::collection::vec("[A-Z]{1,3}=.{0,5}", 0..3)),
            cmd in prop::option::of(prop::collection::vec(".{0,6}", 0..3)),
            labels in prop::option::of(prop::collection::btree_map("[a-z.]{1,6}", ".{0,6}", 0..3)),
            ports in prop::collection::btree_set(1u16.., 0..3),
            args_escaped in any::<bool>(),
            stop_timeout in any::<Option<i64>>(),
        ) -> RunConfig {
            let exposed_ports = Some(ports.into_iter().map(|port| (format!("{port}/tcp"), Empty {})).collect());
            RunConfig { user, env, cmd, labels, exposed_ports, args_escaped, stop_timeout, ..RunConfig::default() }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(run in any_run_config(), layers in prop::collection::vec(any::<[u8; 4]>(), 0..4)) {
            let diff_ids: Vec<Digest> = layers.iter().map(|bytes| Digest::of(bytes)).collect();
            let history = diff_ids.iter().map(|_| History { created_by: "x".to_owned(), ..History::default() }).collect();
            let config = ImageConfig {
                architecture: "amd64".to_owned(),
                os: "linux".to_owned(),
                config: run,
                rootfs: RootFs { diff_ids, ..RootFs::default() },
                history,
                ..ImageConfig::default()
            };
            prop_assert_eq!(&ImageConfig::parse(&config.to_bytes()).unwrap(), &config);
        }

        #[test]
        fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = ImageConfig::parse(&bytes);
        }
    }
}
