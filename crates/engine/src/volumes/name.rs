//! What a volume may be called.

use dhow_errdefs::{Error, Result};

use crate::create::is_restricted_name;

/// Bytes of a file's name (NAME_MAX).
const LONGEST: usize = 255;

/// Docker's rule for the names of local volumes, in Docker's words.
pub(crate) fn check(name: &str) -> Result<()> {
    if name.len() == 1 {
        return Err(Error::invalid("volume name is too short, names should be at least two alphanumeric characters"));
    }
    if name.len() > LONGEST {
        return Err(Error::invalid(format!("volume name is too long, names can have {LONGEST} characters")));
    }
    if is_restricted_name(name) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "\"{name}\" includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. \
         If you intended to pass a host directory, use absolute path"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_paths_or_too_short_are_refused() {
        assert!(check("data-1.x_y").is_ok());
        assert!(check("a").unwrap_err().to_string().starts_with("volume name is too short"));
        assert!(check(&"a".repeat(255)).is_ok());
        assert!(check(&"a".repeat(256)).unwrap_err().to_string().starts_with("volume name is too long"));
        for name in ["../x", "a/b", ".hidden", "-x", "a b", "\u{e4}b"] {
            assert!(check(name).unwrap_err().to_string().contains("includes invalid characters"), "{name}");
        }
    }
}
