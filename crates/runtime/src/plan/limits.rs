//! Resource limits (getrlimit(2)): those that a process may set itself, and those that have to be raised for it.

use dhow_errdefs::{Class, Error, Result};
use dhow_oci::runtime::{PosixRlimit, Process};
use dhow_sys::descriptors;
use rustix::io::Errno;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

const NOFILE: &str = "RLIMIT_NOFILE";

/// One limit.
#[derive(Debug)]
pub(crate) struct Limit {
    pub(crate) resource: Resource,
    pub(crate) value: Rlimit,
    name: String,
}

/// The limits of a process.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    /// Within the present hard limit; the child sets them.
    pub(crate) lowered: Vec<Limit>,
    /// Above it: that takes `CAP_SYS_RESOURCE` on the host, which a child in a user namespace has not.
    pub(crate) raised: Vec<Limit>,
}

impl Limits {
    pub(crate) fn plan(process: &Process) -> Result<Self> {
        let mut limits = Self::default();
        for (index, wanted) in process.rlimits.iter().enumerate() {
            if process.rlimits[..index].iter().any(|other| other.kind == wanted.kind) {
                return Err(Error::invalid(format!("rlimit {} is listed twice", wanted.kind)));
            }
            let limit = Limit::of(wanted)?;
            let present = getrlimit(limit.resource).maximum;
            let within = present.is_none_or(|present| limit.value.maximum.is_some_and(|wanted| wanted <= present));
            if within { limits.lowered.push(limit) } else { limits.raised.push(limit) }
        }
        limits.lowered.extend(Limit::usual_unless_named(process));
        Ok(limits)
    }

    /// Raises what only this process may raise.
    pub(crate) fn raise(&self, pid: i32) -> Result<()> {
        for limit in &self.raised {
            prlimit(Pid::from_raw(pid), limit.resource, limit.value).map_err(|errno| limit.refused(errno))?;
        }
        Ok(())
    }
}

impl Limit {
    /// The limit of open files before this process raised its own: what it takes for itself is not for the container.
    fn usual_unless_named(process: &Process) -> Option<Self> {
        let named = process.rlimits.iter().any(|wanted| wanted.kind == NOFILE);
        let usual = descriptors::usual_limit().filter(|_| !named)?;
        Some(Self { resource: Resource::Nofile, value: usual, name: NOFILE.to_owned() })
    }

    fn of(wanted: &PosixRlimit) -> Result<Self> {
        let resource =
            resource(&wanted.kind).ok_or_else(|| Error::invalid(format!("unknown rlimit {:?}", wanted.kind)))?;
        // RLIM_INFINITY is the highest number.
        let number = |value: u64| (value != u64::MAX).then_some(value);
        let value = Rlimit { current: number(wanted.soft), maximum: number(wanted.hard) };
        if wanted.soft > wanted.hard {
            return Err(Error::invalid(format!("rlimit {}: the soft limit is above the hard one", wanted.kind)));
        }
        Ok(Self { resource, value, name: wanted.kind.clone() })
    }

    fn refused(&self, errno: Errno) -> Error {
        let show = |value: Option<u64>| value.map_or("unlimited".to_owned(), |value| value.to_string());
        let present = show(getrlimit(self.resource).maximum);
        let wanted = show(self.value.maximum);
        let message = format!("raise rlimit {} from {present} to {wanted}", self.name);
        let cause = std::io::Error::from(errno);
        let error = Error::new(Class::from(cause.kind()), message).with_cause(cause);
        if errno == Errno::PERM {
            return error.with_hint(format!("this process has no CAP_SYS_RESOURCE; ask for at most {present}"));
        }
        error
    }

    /// The name in the spec.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

fn resource(name: &str) -> Option<Resource> {
    Some(match name {
        "RLIMIT_AS" => Resource::As,
        "RLIMIT_CORE" => Resource::Core,
        "RLIMIT_CPU" => Resource::Cpu,
        "RLIMIT_DATA" => Resource::Data,
        "RLIMIT_FSIZE" => Resource::Fsize,
        "RLIMIT_LOCKS" => Resource::Locks,
        "RLIMIT_MEMLOCK" => Resource::Memlock,
        "RLIMIT_MSGQUEUE" => Resource::Msgqueue,
        "RLIMIT_NICE" => Resource::Nice,
        NOFILE => Resource::Nofile,
        "RLIMIT_NPROC" => Resource::Nproc,
        "RLIMIT_RSS" => Resource::Rss,
        "RLIMIT_RTPRIO" => Resource::Rtprio,
        "RLIMIT_RTTIME" => Resource::Rttime,
        "RLIMIT_SIGPENDING" => Resource::Sigpending,
        "RLIMIT_STACK" => Resource::Stack,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(kind: &str, soft: u64, hard: u64) -> Process {
        Process { rlimits: vec![PosixRlimit { kind: kind.into(), soft, hard }], ..Default::default() }
    }

    #[test]
    fn what_is_within_the_present_limit_is_the_childs() {
        let limits = Limits::plan(&process("RLIMIT_NOFILE", 10, 10)).unwrap();
        assert_eq!((limits.lowered.len(), limits.raised.len()), (1, 0));
        let infinite = Limits::plan(&process("RLIMIT_NOFILE", 10, u64::MAX)).unwrap();
        assert_eq!(infinite.raised.len(), 1, "no kernel allows an unlimited number of files by default");
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(Limits::plan(&process("RLIMIT_NOPE", 1, 1)).is_err());
        assert!(Limits::plan(&process("RLIMIT_NOFILE", 2, 1)).is_err());
        let mut twice = process("RLIMIT_CORE", 0, 0);
        twice.rlimits.push(twice.rlimits[0].clone());
        assert!(Limits::plan(&twice).is_err());
    }
}
