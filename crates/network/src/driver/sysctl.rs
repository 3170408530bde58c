//! Settings of the kernel's network stack (Documentation/networking/ip-sysctl.rst), in the calling thread's namespace.

use std::fs;
use std::path::PathBuf;

use dhow_errdefs::{Result, ResultExt};

/// Writes a setting, if it is not that already. Tells whether it was changed.
pub(super) fn set(name: &str, value: &str) -> Result<bool> {
    let path = path(name);
    let present = fs::read_to_string(&path).context(|| format!("read {}", path.display()))?;
    if present.trim_end() == value {
        return Ok(false);
    }
    write(name, value)?;
    Ok(true)
}

/// Writes a setting, whatever it is: some cannot be read.
pub(crate) fn write(name: &str, value: &str) -> Result<()> {
    let path = path(name);
    fs::write(&path, value).context(|| format!("write {value} to {}", path.display()))
}

fn path(name: &str) -> PathBuf {
    PathBuf::from("/proc/sys/net").join(name)
}
