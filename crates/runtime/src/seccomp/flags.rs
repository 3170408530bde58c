//! The flags to load a filter with.

use dhow_errdefs::{Error, Result};
use dhow_sys::seccomp::{FLAG_LOG, FLAG_NEW_LISTENER, FLAG_SPEC_ALLOW, FLAG_WAIT_KILLABLE};

/// The flags by name. Without any, speculation stays allowed, as runc does: the mitigation costs every program in the
/// container and guards only those that run foreign code in their own process.
///
/// # Errors
/// `InvalidArgument` for another name, and for `WAIT_KILLABLE_RECV` without anybody to notify.
pub(super) fn parse(names: &[String], notifies: bool) -> Result<u32> {
    let mut flags = if notifies { FLAG_NEW_LISTENER } else { 0 };
    if names.is_empty() {
        flags |= FLAG_SPEC_ALLOW;
    }
    for name in names {
        flags |= match name.as_str() {
            "SECCOMP_FILTER_FLAG_LOG" => FLAG_LOG,
            "SECCOMP_FILTER_FLAG_SPEC_ALLOW" => FLAG_SPEC_ALLOW,
            "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV" if notifies => FLAG_WAIT_KILLABLE,
            "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV" => {
                return Err(Error::invalid(format!("seccomp: {name} needs a rule with SCMP_ACT_NOTIFY")));
            }
            // The filter is loaded while the process has one thread: there is nobody to synchronise with.
            "SECCOMP_FILTER_FLAG_TSYNC" => 0,
            _ => return Err(Error::invalid(format!("seccomp: unknown flag {name:?}"))),
        };
    }
    Ok(flags)
}
