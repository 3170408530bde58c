//! What happens to a call.

use dhow_errdefs::{Error, Result};

/// An action as the return value of a filter (`SECCOMP_RET_…` of `linux/seccomp.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Action(pub(super) u32);

/// The greatest error number that reaches the program (`MAX_ERRNO`).
const MAX_ERRNO: u32 = 4095;
const EPERM: u32 = 1;
const ENOSYS: u32 = 38;

impl Action {
    /// The whole process dies.
    pub(super) const KILL_PROCESS: Self = Self(0x8000_0000);
    /// "No such call."
    pub(super) const NOT_KNOWN: Self = Self(0x0005_0000 | ENOSYS);
    const NOTIFY: Self = Self(0x7fc0_0000);

    /// The action with that name of the runtime-spec. Without a number, `ERRNO` and `TRACE` mean `EPERM`.
    ///
    /// # Errors
    /// `InvalidArgument` for another name or a number the kernel cannot return.
    pub(super) fn parse(name: &str, number: Option<u32>) -> Result<Self> {
        let data = |greatest| match number.unwrap_or(EPERM) {
            number if number <= greatest => Ok(number),
            number => Err(Error::invalid(format!("seccomp: error number {number} is greater than {greatest}"))),
        };
        Ok(match name {
            "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => Self(0),
            "SCMP_ACT_KILL_PROCESS" => Self::KILL_PROCESS,
            "SCMP_ACT_TRAP" => Self(0x0003_0000),
            "SCMP_ACT_ERRNO" => Self(0x0005_0000 | data(MAX_ERRNO)?),
            "SCMP_ACT_TRACE" => Self(0x7ff0_0000 | data(0xffff)?),
            "SCMP_ACT_LOG" => Self(0x7ffc_0000),
            "SCMP_ACT_ALLOW" => Self(0x7fff_0000),
            "SCMP_ACT_NOTIFY" => Self::NOTIFY,
            _ => return Err(Error::invalid(format!("seccomp: unknown action {name:?}"))),
        })
    }

    /// Whether the kernel would prefer this action to another, where two filters disagree (seccomp(2), "RETURN VALUE"):
    /// they are ordered as signed numbers.
    pub(super) fn is_stricter(self, other: Self) -> bool {
        self.0.cast_signed() < other.0.cast_signed()
    }

    /// Whether a process outside is asked.
    pub(super) fn notifies(self) -> bool {
        self == Self::NOTIFY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_return_values() {
        assert_eq!(Action::parse("SCMP_ACT_ERRNO", None).unwrap().0, 0x0005_0001);
        assert_eq!(Action::parse("SCMP_ACT_ERRNO", Some(38)).unwrap(), Action::NOT_KNOWN);
        assert_eq!(Action::parse("SCMP_ACT_KILL", Some(7)).unwrap().0, 0);
        let [log, allow] = ["SCMP_ACT_LOG", "SCMP_ACT_ALLOW"].map(|name| Action::parse(name, None).unwrap());
        assert!(Action::KILL_PROCESS.is_stricter(Action::NOT_KNOWN) && log.is_stricter(allow));
        assert!(Action::parse("SCMP_ACT_ERRNO", Some(4096)).is_err());
        assert!(Action::parse("ALLOW", None).is_err());
    }
}
