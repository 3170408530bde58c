//! Starting the engine when the client finds nobody at the default socket.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use dhow_errdefs::{Error, Result, ResultExt};

use crate::paths::Paths;

/// What the command line has to know about this product.
pub(crate) fn hooks() -> dhow_cli::Hooks {
    let paths = Paths::of_this_user();
    dhow_cli::Hooks {
        default_host: paths.default_host(),
        version: crate::VERSION,
        start_engine: Box::new(move || start(&paths)),
    }
}

/// Starts `dhow daemon` in the background and returns when it listens. Somebody else who starts one at the same moment is
/// no fault: the loser finds the roots taken, and the winner answers at the socket.
fn start(paths: &Paths) -> Result<()> {
    let log_path = paths.data_root.join("engine.log");
    let step = || "start the engine".to_owned();
    // The first to make the data root; closed to others, as the engine itself makes it.
    fs::DirBuilder::new().recursive(true).mode(0o711).create(&paths.data_root).context(step)?;
    let log = File::options().create(true).append(true).mode(0o600).open(&log_path);
    let log = log.context(|| format!("open {}", log_path.display()))?;
    let mut child = Command::new(std::env::current_exe().context(step)?)
        .args(["daemon", "--announce"])
        .arg("--data-root")
        .arg(&paths.data_root)
        .arg("--exec-root")
        .arg(&paths.exec_root)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .process_group(0)
        .current_dir("/")
        .spawn()
        .context(step)?;
    let mut said = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout).read_line(&mut said).context(step)?;
    }
    if said.trim() == "ready" || answers(paths) {
        return Ok(());
    }
    let status = child.wait().context(step)?;
    let last = fs::read_to_string(&log_path).unwrap_or_default().lines().last().unwrap_or_default().to_owned();
    Err(Error::unavailable(format!("the engine could not be started ({status}): {last}"))
        .with_hint(format!("its log is {}", log_path.display())))
}

/// Whether an engine is there by now, started by somebody else; waits while one holds the roots and does not listen yet.
fn answers(paths: &Paths) -> bool {
    let Some(socket) = paths.default_host().strip_prefix("unix://").map(str::to_owned) else { return false };
    (0..500).any(|_| {
        std::os::unix::net::UnixStream::connect(&socket).is_ok() || {
            std::thread::sleep(std::time::Duration::from_millis(10));
            !holds_roots(paths)
        }
    }) && std::os::unix::net::UnixStream::connect(&socket).is_ok()
}

fn holds_roots(paths: &Paths) -> bool {
    let pid = fs::read_to_string(paths.pidfile()).unwrap_or_default();
    fs::exists(format!("/proc/{}", pid.trim())).unwrap_or_default() && !pid.trim().is_empty()
}
