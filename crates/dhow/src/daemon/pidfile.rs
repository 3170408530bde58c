//! The file that names the engine's process.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use dhow_errdefs::{Error, Result, ResultExt};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// How long an engine that was killed may take to end: whoever kills one and starts another at once gets it.
const PATIENCE: Duration = Duration::from_secs(2);

/// Locked as long as the engine lives, so that of two that start at once one has it and the other leaves it alone. Removed
/// when dropped, if it is still ours.
#[derive(Debug)]
pub(crate) struct Pidfile {
    path: PathBuf,
    file: File,
}

impl Pidfile {
    /// Writes the pid; refuses while an engine has the file, or a living process that it names is one.
    pub(crate) fn write(path: &Path) -> Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).context(|| format!("create {}", folder.display()))?;
        }
        let step = || format!("write pid file {}", path.display());
        let mut file = lock(path)?;
        // An engine that does not lock its file: another product's.
        if let Some(pid) = read(path).filter(|&pid| is_engine(pid)) {
            return Err(taken(path, Some(pid)));
        }
        file.set_len(0).context(step)?;
        file.write_all(std::process::id().to_string().as_bytes()).context(step)?;
        Ok(Self { path: path.to_owned(), file })
    }
}

/// Makes and locks the file that is at the path once it is locked: an engine that ends takes its own away.
fn lock(path: &Path) -> Result<File> {
    let step = || format!("lock pid file {}", path.display());
    let deadline = Instant::now() + PATIENCE;
    loop {
        let file = File::options().create(true).write(true).truncate(false).open(path).context(step)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) if Instant::now() < deadline => {
                thread::sleep(Duration::from_millis(10));
                continue;
            }
            Err(Errno::WOULDBLOCK) => return Err(taken(path, read(path))),
            result => result.map_err(std::io::Error::from).context(step)?,
        }
        if is_at(&file, path) {
            return Ok(file);
        }
    }
}

fn is_at(file: &File, path: &Path) -> bool {
    let place = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    file.metadata().is_ok_and(|file| fs::metadata(path).is_ok_and(|there| place(there) == place(file)))
}

fn read(path: &Path) -> Option<u32> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn taken(path: &Path, pid: Option<u32>) -> Error {
    let pid = pid.map_or_else(|| "another engine".to_owned(), |pid| format!("process with PID {pid}"));
    Error::conflict(format!("{pid} is still running, as {} says", path.display()))
        .with_hint("give this engine another --pidfile, --exec-root and --data-root")
}

/// A pid may have been given to another program since, so the command line is looked at.
fn is_engine(pid: u32) -> bool {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    // The role is the first argument.
    pid != std::process::id() && line.split(|&byte| byte == 0).nth(1) == Some(b"daemon")
}

impl Drop for Pidfile {
    fn drop(&mut self) {
        if is_at(&self.file, &self.path) {
            drop(fs::remove_file(&self.path));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_file_is_replaced_and_ours_is_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("run/pid");
        fs::create_dir(folder.path().join("run")).expect("made");
        // Process 1 lives but is no engine.
        fs::write(&path, "1").expect("written");
        let file = Pidfile::write(&path).expect("stale");
        assert_eq!(fs::read_to_string(&path).expect("there"), std::process::id().to_string());
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn a_number_that_another_program_has_now_is_no_engine() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pid");
        let mut other = std::process::Command::new("sh");
        let mut other =
            other.args(["-c", "read line", "daemon"]).stdin(std::process::Stdio::piped()).spawn().expect("started");
        fs::write(&path, other.id().to_string()).expect("written");
        let file = Pidfile::write(&path);
        other.kill().expect("our child");
        other.wait().expect("our child");
        file.expect("nobody has it");
    }

    #[test]
    fn of_two_the_second_is_refused_and_leaves_the_file_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pid");
        let first = Pidfile::write(&path).expect("free");
        let refused = Pidfile::write(&path).expect_err("taken").to_string();
        assert!(refused.contains(&format!("process with PID {} is still running", std::process::id())), "{refused}");
        assert_eq!(read(&path), Some(std::process::id()));
        drop(first);
        Pidfile::write(&path).expect("free again");
    }

    #[test]
    fn one_that_is_about_to_end_is_waited_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pid");
        let first = Pidfile::write(&path).expect("free");
        let ending = thread::spawn(move || {
            thread::sleep(Duration::from_millis(50));
            drop(first);
        });
        Pidfile::write(&path).expect("free when the other has ended");
        ending.join().expect("it has ended");
    }
}
