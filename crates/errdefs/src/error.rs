//! One error type: class, text, hint, cause.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use crate::Class;

type Cause = Box<dyn StdError + Send + Sync + 'static>;

/// A failure: what class, what failed on which thing, what to do, and why.
///
/// It is one word wide, so that a `Result` costs nothing on the paths that succeed.
pub struct Error(Box<Parts>);

struct Parts {
    class: Class,
    message: String,
    hint: Option<String>,
    cause: Option<Cause>,
}

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident => $class:ident),* $(,)?) => {
        $($(#[$doc])*
        #[must_use]
        pub fn $name(message: impl Into<String>) -> Self {
            Self::new(Class::$class, message)
        })*
    };
}

impl Error {
    /// An error of a class, with a text that names the thing and the step.
    #[must_use]
    pub fn new(class: Class, message: impl Into<String>) -> Self {
        Self(Box::new(Parts { class, message: message.into(), hint: None, cause: None }))
    }

    constructors! {
        /// An error of class [`Class::NotFound`].
        not_found => NotFound,
        /// An error of class [`Class::InvalidArgument`].
        invalid => InvalidArgument,
        /// An error of class [`Class::Conflict`].
        conflict => Conflict,
        /// An error of class [`Class::AlreadyExists`].
        already_exists => AlreadyExists,
        /// An error of class [`Class::NotModified`].
        not_modified => NotModified,
        /// An error of class [`Class::Unavailable`].
        unavailable => Unavailable,
        /// An error of class [`Class::PermissionDenied`].
        denied => PermissionDenied,
        /// An error of class [`Class::NotImplemented`].
        not_implemented => NotImplemented,
        /// An error of class [`Class::ResourceExhausted`].
        exhausted => ResourceExhausted,
        /// An error of class [`Class::DeadlineExceeded`].
        deadline => DeadlineExceeded,
        /// An error of class [`Class::Cancelled`].
        cancelled => Cancelled,
        /// An error of class [`Class::DataLoss`].
        data_loss => DataLoss,
        /// An error of class [`Class::Internal`].
        internal => Internal,
    }

    /// The same error with the error that caused it.
    #[must_use]
    pub fn with_cause(mut self, cause: impl Into<Cause>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// The same error with advice to the person, shown beside the message.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// The same error in another class, where a caller knows better what it means.
    #[must_use]
    pub fn with_class(mut self, class: Class) -> Self {
        self.0.class = class;
        self
    }

    /// Puts a step around the error: `message: <this error>`. Class and hint are kept.
    #[must_use]
    pub fn context(self, message: impl Into<String>) -> Self {
        let class = self.class();
        let hint = self.0.hint.clone();
        let mut outer = Self::new(class, message).with_cause(self);
        outer.0.hint = hint;
        outer
    }

    /// The class.
    #[must_use]
    pub fn class(&self) -> Class {
        self.0.class
    }

    /// The outermost text, without causes.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Advice to the person, if there is any.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The operating system's error number at the root of the chain, if that is what went wrong.
    #[must_use]
    pub fn os_error(&self) -> Option<i32> {
        let mut cause = self.source();
        while let Some(error) = cause {
            if let Some(io) = error.downcast_ref::<io::Error>() {
                return io.raw_os_error();
            }
            cause = error.source();
        }
        None
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        match &self.0.cause {
            Some(cause) => write!(f, ": {}", words(cause.as_ref())),
            None => Ok(()),
        }
    }
}

/// A cause in the words of Docker's users: what the operating system says in lower case and without its number.
fn words(cause: &(dyn StdError + Send + Sync + 'static)) -> String {
    let text = cause.to_string();
    let number = cause.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error);
    match number.and_then(|number| text.strip_suffix(&format!(" (os error {number})"))) {
        Some(words) => words.to_lowercase(),
        None => text,
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}({self})", self.0.class)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.cause.as_deref().map(|cause| cause as &(dyn StdError + 'static))
    }
}

/// Puts a step around foreign errors on their way up.
pub trait ResultExt<T> {
    /// Wraps the error with the step that failed and the thing it failed on, as in `read /etc/hosts`.
    fn context<M: Into<String>>(self, message: impl FnOnce() -> M) -> Result<T, Error>;
}

impl<T> ResultExt<T> for Result<T, Error> {
    fn context<M: Into<String>>(self, message: impl FnOnce() -> M) -> Result<T, Error> {
        self.map_err(|error| error.context(message()))
    }
}

impl<T> ResultExt<T> for Result<T, io::Error> {
    fn context<M: Into<String>>(self, message: impl FnOnce() -> M) -> Result<T, Error> {
        self.map_err(|error| Error::new(Class::from(&error), message()).with_cause(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn context_keeps_class_and_hint_and_prints_the_chain() {
        let error = Error::conflict("in use").with_hint("stop it first").context("remove image x");
        assert_eq!(error.class(), Class::Conflict);
        assert_eq!(error.hint(), Some("stop it first"));
        assert_eq!(error.to_string(), "remove image x: in use");
    }

    #[test]
    fn io_errors_bring_their_class_and_number() {
        let error: Error = Err::<(), _>(io::Error::from_raw_os_error(2)).context(|| "open /x").unwrap_err();
        assert_eq!(error.class(), Class::NotFound);
        assert_eq!(error.os_error(), Some(2));
        assert_eq!(error.to_string(), "open /x: no such file or directory");
    }
}
