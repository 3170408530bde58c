//! What a further process in a running container is asked to be.

use serde::{Deserialize, Serialize};

/// A process to run beside the container's first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExecSpec {
    /// Program and arguments.
    pub cmd: Vec<String>,
    /// `NAME=value`, added to the container's environment.
    pub env: Vec<String>,
    /// Where it starts; empty: the container's.
    pub working_dir: String,
    /// `user[:group]`; empty: the container's.
    pub user: String,
    /// Give it a terminal.
    pub tty: bool,
    /// Give it every capability.
    pub privileged: bool,
    /// The client means to write its input.
    pub attach_stdin: bool,
    /// The client means to read its output.
    pub attach_stdout: bool,
    /// The client means to read its errors.
    pub attach_stderr: bool,
    /// Key sequence that leaves it running, in Docker's notation; `None`: the default.
    pub detach_keys: Option<String>,
    /// Initial rows and columns of the terminal.
    pub console_size: Option<[u32; 2]>,
}
