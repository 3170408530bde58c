//! How much may still be written, and what is said when it is more.

use std::io;
use std::path::{Path, PathBuf};

use dhow_errdefs::{Result, ResultExt};

/// Room for something that arrives without its size.
#[derive(Debug, Clone)]
pub struct Room {
    bytes: u64,
    /// The folder whose disk has no more; none for a limit that somebody set.
    disk: Option<PathBuf>,
}

impl Room {
    /// So many bytes, whatever the disk has.
    #[must_use]
    pub fn limited(bytes: u64) -> Self {
        Self { bytes, disk: None }
    }

    /// What the disk of a folder has free, less a twentieth of it all: the engine's own database and the host must be able
    /// to go on.
    ///
    /// # Errors
    /// What the file system says.
    pub fn on_disk(folder: &Path) -> Result<Self> {
        let stat = rustix::fs::statvfs(folder).map_err(io::Error::from);
        let stat = stat.context(|| format!("find free space of {}", folder.display()))?;
        let blocks = stat.f_bavail.saturating_sub(stat.f_blocks / 20);
        Ok(Self { bytes: blocks.saturating_mul(stat.f_frsize), disk: Some(folder.to_owned()) })
    }

    /// Refuses to be given more than there is; `what` begins the sentence of a limit that was set.
    ///
    /// # Errors
    /// `StorageFull` naming the folder, `FileTooLarge` for a limit that was set.
    pub fn check(&self, wanted: u64, what: &str) -> io::Result<()> {
        if wanted <= self.bytes {
            return Ok(());
        }
        Err(match &self.disk {
            Some(folder) => {
                let (folder, bytes) = (folder.display(), self.bytes);
                let text =
                    format!("no space left on device: {bytes} bytes can be used under {folder}, more are needed");
                io::Error::new(io::ErrorKind::StorageFull, text)
            }
            None => io::Error::new(io::ErrorKind::FileTooLarge, format!("{what} larger than {} bytes", self.bytes)),
        })
    }

    /// Takes a part for something whose size is known.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn take(&mut self, bytes: u64) -> io::Result<()> {
        self.check(bytes, "it is")?;
        self.bytes -= bytes;
        Ok(())
    }
}

impl From<u64> for Room {
    fn from(bytes: u64) -> Self {
        Self::limited(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_called_so_and_a_limit_is_called_a_limit() {
        let mut disk = Room { bytes: 10, disk: Some("/data".into()) };
        disk.take(10).unwrap();
        let error = disk.check(1, "the blob is").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(error.to_string(), "no space left on device: 0 bytes can be used under /data, more are needed");
        let error = Room::limited(4).check(5, "the blob is").unwrap_err();
        assert_eq!(error.to_string(), "the blob is larger than 4 bytes");
    }

    #[test]
    fn a_disk_is_asked() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Room::on_disk(dir.path()).unwrap().check(1, "").is_ok());
        assert!(Room::on_disk(dir.path()).unwrap().check(u64::MAX, "").is_err());
    }
}
