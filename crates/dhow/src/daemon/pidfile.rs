//! The file that names the engine's process.

use std::fs;
use std::path::{Path, PathBuf};

use dhow_errdefs::{Error, Result, ResultExt};

/// Removed when dropped, if it is still ours.
#[derive(Debug)]
pub(crate) struct Pidfile {
    path: PathBuf,
    content: String,
}

impl Pidfile {
    /// Writes the pid; refuses while a living process of the file is an engine.
    pub(crate) fn write(path: &Path) -> Result<Self> {
        let written = fs::read_to_string(path).ok().and_then(|text| text.trim().parse::<u32>().ok());
        if let Some(pid) = written.filter(|&pid| is_engine(pid)) {
            let message = format!("process with PID {pid} is still running, as {} says", path.display());
            let hint = "give this engine another --pidfile, --exec-root and --data-root";
            return Err(Error::conflict(message).with_hint(hint));
        }
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).context(|| format!("create {}", folder.display()))?;
        }
        let content = std::process::id().to_string();
        fs::write(path, &content).context(|| format!("write pid file {}", path.display()))?;
        Ok(Self { path: path.to_owned(), content })
    }
}

/// A pid may have been given to another program since, so the command line is looked at.
fn is_engine(pid: u32) -> bool {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    pid != std::process::id() && line.split(|&byte| byte == 0).any(|word| word == b"daemon")
}

impl Drop for Pidfile {
    fn drop(&mut self) {
        if fs::read_to_string(&self.path).is_ok_and(|text| text == self.content) {
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
}
