//! Handing a seccomp listener to the agent that answers its notifications (runtime-spec, "Container Process State").

use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_oci::runtime::{Spec, State};
use dhow_sys::fdpass;
use serde_json::json;

/// The agent of a spec.
#[derive(Debug)]
pub(crate) struct Agent {
    socket: PathBuf,
    metadata: String,
}

impl Agent {
    pub(crate) fn of(spec: &Spec) -> Option<Self> {
        let seccomp = spec.linux.as_ref()?.seccomp.as_ref()?;
        let socket = seccomp.listener_path.as_ref().filter(|path| !path.is_empty())?;
        Some(Self { socket: socket.into(), metadata: seccomp.listener_metadata.clone().unwrap_or_default() })
    }

    /// Connects, sends the state with the listener, and leaves.
    pub(crate) fn hand_over(&self, state: &State, listener: OwnedFd) -> Result<()> {
        let shown = || format!("seccomp agent at {}", self.socket.display());
        let document = json!({
            "ociVersion": state.oci_version,
            "fds": ["seccompFd"],
            "pid": state.pid,
            "metadata": self.metadata,
            "state": state,
        });
        let text = serde_json::to_vec(&document).map_err(|error| Error::internal(shown()).with_cause(error))?;
        let mut socket = UnixStream::connect(&self.socket).context(shown)?;
        let sent = fdpass::send(&socket, &text, &[listener.as_fd()]).context(shown)?;
        socket.write_all(&text[sent..]).context(shown)
    }
}
