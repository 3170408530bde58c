//! A private stock Docker engine to compare with, where it is installed and this is root.

use std::fs::File;
use std::process::{Child, Command, Stdio};

use dhow_testkit::{busybox_tar, eventually, finish_with_input};
use tempfile::TempDir;

use crate::shell::{self, Result};

/// A running dockerd with roots of its own, without bridge and firewall rules, so that it changes nothing on the host.
pub(crate) struct Dockerd {
    child: Child,
    folder: TempDir,
}

impl Dockerd {
    /// Starts it and imports busybox; nothing where dockerd is not installed.
    pub(crate) fn start() -> Result<Option<Self>> {
        if !shell::installed("dockerd") || !shell::installed("docker") {
            println!("dockerd is not installed: no comparison with it");
            return Ok(None);
        }
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let log = File::create(folder.path().join("log")).map_err(|error| error.to_string())?;
        let mut command = Command::new("dockerd");
        command.args(["--bridge=none", "--iptables=false", "--ip6tables=false", "--storage-driver=overlay2"]);
        for (flag, name) in [("--data-root", "data"), ("--exec-root", "exec"), ("--pidfile", "pid")] {
            command.arg(flag).arg(folder.path().join(name));
        }
        command.arg("--host").arg(format!("unix://{}", folder.path().join("docker.sock").display()));
        command.stdin(Stdio::null()).stderr(log.try_clone().map_err(|error| error.to_string())?).stdout(log);
        let child = command.spawn().map_err(|error| format!("dockerd: {error}"))?;
        let dockerd = Self { child, folder };
        eventually("dockerd answers", || dockerd.command(&["version"]).output().is_ok_and(|it| it.status.success()));
        finish_with_input(&mut dockerd.command(&["import", "-c", "CMD [\"sh\"]", "-", "busybox"]), busybox_tar())
            .exits(0);
        Ok(Some(dockerd))
    }

    /// The stock client against it.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command.arg("--host").arg(format!("unix://{}", self.folder.path().join("docker.sock").display()));
        command.args(args);
        command
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        // dockerd ends its containerd and unmounts its roots only when it is asked politely.
        let pid = self.child.id().to_string();
        drop(Command::new("kill").args(["-TERM", &pid]).status());
        drop(self.child.wait());
    }
}
