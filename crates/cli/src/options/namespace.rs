//! `--pid`, `--uts`, `--userns`, `--cgroupns`.

use dhow_errdefs::Result;

use super::wrong;
use crate::flags::Parsed;

/// Refuses modes that do not exist.
pub(super) fn check(flags: &Parsed) -> Result<()> {
    let joins = |mode: &str| mode.strip_prefix("container:").is_some_and(|id| !id.is_empty());
    let pid = flags.text("pid");
    if !matches!(pid, "" | "host") && !joins(pid) {
        return Err(wrong("--pid: invalid PID mode"));
    }
    if !matches!(flags.text("uts"), "" | "host") {
        return Err(wrong("--uts: invalid UTS mode"));
    }
    if !matches!(flags.text("userns"), "" | "host") {
        return Err(wrong("--userns: invalid USER mode"));
    }
    if !matches!(flags.text("cgroupns"), "" | "host" | "private") {
        return Err(wrong("--cgroupns: invalid CGROUP mode"));
    }
    Ok(())
}
