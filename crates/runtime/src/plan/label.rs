//! Security labels: AppArmor profiles and SELinux contexts, applied at the next `execve`.

use std::ffi::{CStr, CString};
use std::path::Path;

use dhow_errdefs::{Error, Result};
use dhow_oci::runtime::Process;

/// What is written to which file below `/proc`.
#[derive(Debug)]
pub(crate) struct Label {
    pub(crate) file: CString,
    pub(crate) value: Vec<u8>,
}

/// The file for the label of the next program; AppArmor's own where the kernel has it (Linux 5.1), because the old one
/// belongs to whichever security module comes first.
const APPARMOR: &CStr = c"thread-self/attr/apparmor/exec";
const ANY: &CStr = c"thread-self/attr/exec";

impl Label {
    /// The label that a process asks for; an error where the host cannot enforce it.
    pub(crate) fn plan(process: &Process) -> Result<Option<Self>> {
        let wanted = |label: &Option<String>| label.clone().filter(|label| !label.is_empty());
        if let Some(profile) = wanted(&process.apparmor_profile) {
            return Self::apparmor(&profile).map(Some);
        }
        match wanted(&process.selinux_label) {
            Some(context) => Self::selinux(context).map(Some),
            None => Ok(None),
        }
    }

    fn apparmor(profile: &str) -> Result<Self> {
        if !has_apparmor() {
            return Err(Error::invalid(format!("AppArmor profile {profile:?}: AppArmor is not enabled on this host")));
        }
        let own = Path::new("/proc/self/attr/apparmor").exists();
        let file = if own { APPARMOR } else { ANY };
        Ok(Self { file: file.to_owned(), value: format!("exec {profile}").into_bytes() })
    }

    fn selinux(context: String) -> Result<Self> {
        if !has_selinux() {
            return Err(Error::invalid(format!("SELinux label {context:?}: SELinux is not enabled on this host")));
        }
        Ok(Self { file: ANY.to_owned(), value: context.into_bytes() })
    }
}

/// Security modules of the kernel that enforce something on this host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SecurityModules {
    /// AppArmor enforces profiles.
    pub apparmor: bool,
    /// SELinux is on.
    pub selinux: bool,
}

impl SecurityModules {
    /// Asks the kernel.
    #[must_use]
    pub fn of_this_host() -> Self {
        Self { apparmor: has_apparmor(), selinux: has_selinux() }
    }
}

/// Whether AppArmor enforces profiles on this host.
fn has_apparmor() -> bool {
    std::fs::read("/sys/module/apparmor/parameters/enabled").is_ok_and(|value| value.starts_with(b"Y"))
}

/// Whether SELinux is on.
pub(crate) fn has_selinux() -> bool {
    Path::new("/sys/fs/selinux/enforce").exists()
}
