//! Versions of the API.

use std::fmt;
use std::str::FromStr;

/// A version of the API, as in `1.51`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// Always 1.
    pub major: u16,
    /// Counts up.
    pub minor: u16,
}

impl Version {
    /// The newest version spoken.
    pub const MAX: Self = Self::new(1, 51);
    /// The oldest version spoken.
    pub const MIN: Self = Self::new(1, 24);

    /// A version from its parts.
    #[must_use]
    pub const fn new(major: u16, minor: u16) -> Self {
        Self { major, minor }
    }

    /// Whether this is at least `1.minor`.
    #[must_use]
    pub fn at_least(self, minor: u16) -> bool {
        self >= Self::new(1, minor)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// What is not a version: digits, a point, digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAVersion;

impl fmt::Display for NotAVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a version of the API")
    }
}

impl std::error::Error for NotAVersion {}

impl FromStr for Version {
    type Err = NotAVersion;

    fn from_str(text: &str) -> Result<Self, NotAVersion> {
        let part = |digits: &str| match digits.bytes().all(|byte| byte.is_ascii_digit()) {
            true => digits.parse().map_err(|_| NotAVersion),
            false => Err(NotAVersion),
        };
        let (major, minor) = text.split_once('.').ok_or(NotAVersion)?;
        Ok(Self::new(part(major)?, part(minor)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        let nine: Version = "1.9".parse().expect("good");
        assert!(nine < Version::MIN);
        assert!(Version::MAX.at_least(51) && !nine.at_least(10));
        assert_eq!(nine.to_string(), "1.9");
    }

    #[test]
    fn other_words_are_no_versions() {
        for word in ["", "1", "1.", ".1", "1.+4", "1.2.3", "v1.2", "1.99999"] {
            assert_eq!(word.parse::<Version>(), Err(NotAVersion), "{word}");
        }
    }
}
