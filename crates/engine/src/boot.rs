//! Whether the host has booted since an engine had this data root: some containers are started again then.

use std::fs;
use std::path::Path;

use dhow_errdefs::{Result, ResultExt};

/// The kernel's number of this boot (random(4)).
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// One boot of a host.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Boot(String);

impl Boot {
    /// The present one; `None` where the kernel does not tell.
    pub(crate) fn present() -> Option<Self> {
        fs::read_to_string(BOOT_ID).ok().map(Self)
    }

    /// Whether the data root was used last in another one. One that does not say is new.
    pub(crate) fn is_new(&self, data_root: &Path) -> bool {
        fs::read_to_string(data_root.join("boot")).is_ok_and(|last| last.trim() != self.0.trim())
    }

    /// Notes that the data root is used in this one.
    pub(crate) fn remember(&self, data_root: &Path) -> Result<()> {
        let path = data_root.join("boot");
        if fs::read_to_string(&path).is_ok_and(|last| last == self.0) {
            return Ok(());
        }
        dhow_sys::atomic::write(&path, self.0.as_bytes(), 0o600, dhow_sys::atomic::Sync::No)
            .context(|| format!("write {}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_is_noticed_once() {
        let folder = tempfile::tempdir().unwrap();
        let boot = |id: &str| Boot(format!("{id}\n"));
        assert!(!boot("a").is_new(folder.path()));
        boot("a").remember(folder.path()).unwrap();
        assert!(!boot("a").is_new(folder.path()) && boot("b").is_new(folder.path()));
        boot("b").remember(folder.path()).unwrap();
        assert!(!boot("b").is_new(folder.path()));
        assert!(Boot::present().is_some());
    }
}
