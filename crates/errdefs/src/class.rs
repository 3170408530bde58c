//! The closed list of failure classes.

use std::io;

use crate::Error;

/// What kind of failure it was, as far as a caller may act on it.
///
/// The names follow containerd's `errdefs`, which Docker uses too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// The thing does not exist.
    NotFound,
    /// The request is malformed or contradicts itself; repeating it cannot help.
    InvalidArgument,
    /// The thing's present state forbids the request (running, in use, several tags).
    Conflict,
    /// Something with that name is there already.
    AlreadyExists,
    /// The thing is already in the state that was asked for.
    NotModified,
    /// Not reachable just now; a later try may succeed.
    Unavailable,
    /// The caller, or this process, may not do that.
    PermissionDenied,
    /// The caller has to say who it is.
    Unauthenticated,
    /// dhow does not do that, or not yet.
    NotImplemented,
    /// Disk, memory, process ids or another resource ran out.
    ResourceExhausted,
    /// It took longer than the caller allowed.
    DeadlineExceeded,
    /// The caller went away or took the request back.
    Cancelled,
    /// Stored or received data is damaged: a digest, checksum or length is wrong.
    DataLoss,
    /// Everything else: a fault in dhow or on the host.
    Internal,
}

impl Class {
    /// Every class, for tables and tests.
    pub const ALL: [Self; 14] = [
        Self::NotFound,
        Self::InvalidArgument,
        Self::Conflict,
        Self::AlreadyExists,
        Self::NotModified,
        Self::Unavailable,
        Self::PermissionDenied,
        Self::Unauthenticated,
        Self::NotImplemented,
        Self::ResourceExhausted,
        Self::DeadlineExceeded,
        Self::Cancelled,
        Self::DataLoss,
        Self::Internal,
    ];

    /// A stable name for messages between processes (engine and shim).
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not-found",
            Self::InvalidArgument => "invalid-argument",
            Self::Conflict => "conflict",
            Self::AlreadyExists => "already-exists",
            Self::NotModified => "not-modified",
            Self::Unavailable => "unavailable",
            Self::PermissionDenied => "permission-denied",
            Self::Unauthenticated => "unauthenticated",
            Self::NotImplemented => "not-implemented",
            Self::ResourceExhausted => "resource-exhausted",
            Self::DeadlineExceeded => "deadline-exceeded",
            Self::Cancelled => "cancelled",
            Self::DataLoss => "data-loss",
            Self::Internal => "internal",
        }
    }

    /// The class with that [name](Self::as_str); [`Class::Internal`] for a name from a later version.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        Self::ALL.into_iter().find(|class| class.as_str() == name).unwrap_or(Self::Internal)
    }
}

impl From<io::ErrorKind> for Class {
    fn from(kind: io::ErrorKind) -> Self {
        use io::ErrorKind as Kind;
        match kind {
            Kind::NotFound => Self::NotFound,
            Kind::PermissionDenied | Kind::ReadOnlyFilesystem => Self::PermissionDenied,
            Kind::AlreadyExists => Self::AlreadyExists,
            Kind::InvalidInput => Self::InvalidArgument,
            Kind::InvalidData | Kind::UnexpectedEof => Self::DataLoss,
            Kind::TimedOut => Self::DeadlineExceeded,
            Kind::StorageFull | Kind::QuotaExceeded | Kind::OutOfMemory | Kind::FileTooLarge => Self::ResourceExhausted,
            Kind::ConnectionRefused | Kind::ConnectionReset | Kind::ConnectionAborted | Kind::NotConnected => {
                Self::Unavailable
            }
            Kind::ResourceBusy => Self::Conflict,
            _ => Self::Internal,
        }
    }
}

impl From<&io::Error> for Class {
    /// That of a failure which travels in it; else as its kind says, and where the standard library has no kind, its number.
    fn from(error: &io::Error) -> Self {
        if let Some(failure) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            return failure.class();
        }
        match error.raw_os_error() {
            Some(ENFILE | EMFILE) => Self::ResourceExhausted,
            _ => error.kind().into(),
        }
    }
}

/// Too many open files: of the host, of the process (errno(3)).
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn want_of_descriptors_is_an_exhausted_resource() {
        for number in [ENFILE, EMFILE] {
            assert_eq!(Class::from(&io::Error::from_raw_os_error(number)), Class::ResourceExhausted);
        }
        assert_eq!(Class::from(&io::Error::from_raw_os_error(2)), Class::NotFound);
    }

    #[test]
    fn a_failure_that_travels_in_an_error_of_reading_keeps_its_class() {
        assert_eq!(Class::from(&io::Error::other(Error::conflict("in use"))), Class::Conflict);
    }

    #[test]
    fn names_are_unique_and_come_back() {
        for class in Class::ALL {
            assert_eq!(Class::from_name(class.as_str()), class);
        }
        assert_eq!(Class::from_name("of-a-later-version"), Class::Internal);
    }

    #[test]
    fn a_full_disk_is_an_exhausted_resource() {
        let full = io::Error::from_raw_os_error(28);
        assert_eq!(Class::from(full.kind()), Class::ResourceExhausted);
    }
}
