//! What a container is asked to be: the portable half.

use std::collections::{BTreeMap, BTreeSet};

use dhow_network::model::EndpointSpec;
use serde::{Deserialize, Serialize};

use super::HostSpec;

/// A container as asked for and, once created, as merged with its image.
///
/// Field by field Docker's `Config`, with Docker's meaning; [`HostSpec`] is its `HostConfig`. Values stay in the form in
/// which they were given, because `inspect` shows them back.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerSpec {
    /// Image reference or id, as given.
    pub image: String,
    /// The program, before `cmd`. `None`: the image's. `Some([])` or `Some([""])`: none at all.
    pub entrypoint: Option<Vec<String>>,
    /// The arguments, or program and arguments. `None`: the image's, unless `entrypoint` is given.
    pub cmd: Option<Vec<String>>,
    /// `NAME=value`, or `NAME` to take a variable of the image out.
    pub env: Vec<String>,
    /// Where the program starts; empty: the image's, else `/`.
    pub working_dir: String,
    /// `user[:group]`, names or numbers; empty: the image's, else root.
    pub user: String,
    /// Host name; empty: the first twelve digits of the id.
    pub hostname: String,
    /// NIS domain name.
    pub domainname: String,
    /// Free labels; the image's are added to them.
    pub labels: BTreeMap<String, String>,
    /// Give the process a terminal.
    pub tty: bool,
    /// Keep standard input open although nobody is attached.
    pub open_stdin: bool,
    /// Close standard input when the first attached client leaves.
    pub stdin_once: bool,
    /// The client means to attach to standard input (shown only).
    pub attach_stdin: bool,
    /// The client means to attach to standard output (shown only).
    pub attach_stdout: bool,
    /// The client means to attach to standard error (shown only).
    pub attach_stderr: bool,
    /// The signal of `stop`, name or number; `None`: the image's, else SIGTERM.
    pub stop_signal: Option<String>,
    /// Seconds `stop` waits before it kills; `None`: 10, `-1`: for ever.
    pub stop_timeout: Option<i64>,
    /// `port/protocol` the container says it listens on.
    pub exposed_ports: BTreeSet<String>,
    /// Paths that get an anonymous volume.
    pub volumes: BTreeSet<String>,
    /// Health check; kept until the engine runs them.
    pub healthcheck: Option<Healthcheck>,
    /// Shell for the shell form of instructions (kept for `commit`).
    pub shell: Option<Vec<String>>,
    /// `ONBUILD` triggers (kept for `commit`).
    pub on_build: Option<Vec<String>>,
    /// Hardware address in the main network, as asked for with older versions of the API (shown only).
    pub mac_address: String,
    /// No network at all, whatever the network mode says.
    pub network_disabled: bool,
    /// The networks it is to be in, by name, and what it is to be there.
    pub networking: BTreeMap<String, EndpointSpec>,
    /// Resources, isolation and everything else of this host.
    pub host: HostSpec,
}

/// A health check. Durations are nanoseconds; zero means "inherit".
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Healthcheck {
    /// `["NONE"]`, `["CMD", …]` or `["CMD-SHELL", line]`; empty: inherit.
    pub test: Vec<String>,
    /// Between two checks.
    pub interval: i64,
    /// For one check.
    pub timeout: i64,
    /// Grace after the start.
    pub start_period: i64,
    /// Between two checks during the grace.
    pub start_interval: i64,
    /// Failures in a row until unhealthy.
    pub retries: i64,
}
