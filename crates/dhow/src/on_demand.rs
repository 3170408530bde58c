//! Starting the engine when the client finds nobody at the default socket.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use dhow_errdefs::{Error, Result, ResultExt};

use crate::daemon::journal;
use crate::paths::{Paths, engine_log};

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
    let log_path = engine_log(&paths.data_root);
    let step = || "start the engine".to_owned();
    // The first to make the data root; closed to others, as the engine itself makes it.
    fs::DirBuilder::new().recursive(true).mode(0o711).create(&paths.data_root).context(step)?;
    let log = journal::open(&log_path).context(|| format!("open {}", log_path.display()))?;
    let mut child = Command::new(std::env::current_exe().context(step)?)
        .args(["daemon", "--announce"])
        .arg("--data-root")
        .arg(&paths.data_root)
        .arg("--exec-root")
        .arg(&paths.exec_root)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .current_dir("/")
        .spawn()
        .context(step)?;
    let said = child.stdout.take().map(|stdout| last_line(BufReader::new(stdout))).transpose().context(step)?;
    if said.is_some_and(|said| said == "ready") || answers(paths) {
        return Ok(());
    }
    let status = child.wait().context(step)?;
    let log = fs::read(&log_path).unwrap_or_default();
    let told = last_words(&String::from_utf8_lossy(&log));
    Err(Error::unavailable(format!("the engine could not be started ({status}): {told}"))
        .with_hint(format!("its log is {}", log_path.display())))
}

/// What an engine that starts says last; what it says for the person goes there before.
fn last_line(out: impl BufRead) -> std::io::Result<String> {
    for line in out.lines() {
        let line = line?;
        if !line.starts_with(super::daemon::NOTE) {
            return Ok(line);
        }
        // That nobody reads it is no failure.
        drop(writeln!(std::io::stderr(), "{line}"));
    }
    Ok(String::new())
}

/// What an engine said before it gave up, with its hint; its last line when it did not come to say that.
fn last_words(log: &str) -> String {
    let last = log.lines().last().unwrap_or_default();
    let mut of_the_last = log.lines().rev().take_while(|line| !line.contains(" INFO "));
    let failure = of_the_last.find_map(|line| line.strip_prefix(super::daemon::FAILED));
    let hint = last.strip_prefix("hint: ").map(|hint| format!(" ({hint})")).unwrap_or_default();
    failure.map_or_else(|| last.to_owned(), |failure| format!("{failure}{hint}"))
}

/// How long an engine that holds the roots may take until it listens: it waits 30 seconds for a shim that does not answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whether an engine is there by now, started by somebody else; waits while one holds the roots and does not listen yet.
fn answers(paths: &Paths) -> bool {
    let Some(socket) = paths.default_host().strip_prefix("unix://").map(str::to_owned) else { return false };
    let listens = || UnixStream::connect(&socket).is_ok();
    let begin = Instant::now();
    while !listens() && holds_roots(paths) && begin.elapsed() < PATIENCE {
        thread::sleep(Duration::from_millis(10));
    }
    listens()
}

/// An engine has made its pid file and lives. One that it has not written yet is just being written.
fn holds_roots(paths: &Paths) -> bool {
    let Ok(pid) = fs::read_to_string(paths.pidfile()) else { return false };
    pid.is_empty() || fs::exists(format!("/proc/{}", pid.trim())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{last_line, last_words};

    #[test]
    fn notes_come_before_the_last_line() {
        assert_eq!(last_line(&b"note: one id\nready\nmore\n"[..]).unwrap(), "ready");
        assert_eq!(last_line(&b"note: one id\n"[..]).unwrap(), "");
    }

    #[test]
    fn the_error_is_told_and_not_only_its_hint() {
        let before = "dhow daemon: old\n1 INFO listening\n";
        assert_eq!(last_words(&format!("{before}dhow daemon: new\nhint: do this\n")), "new (do this)");
        assert_eq!(last_words(&format!("{before}dhow daemon: new\n")), "new");
        assert_eq!(last_words(&format!("{before}killed")), "killed");
        assert_eq!(last_words(""), "");
    }
}
