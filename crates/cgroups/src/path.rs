//! Cgroup paths: absolute, without a way out.

use dhow_errdefs::{Error, Result};

/// The path with exactly one slash before each component.
///
/// # Errors
/// `InvalidArgument` for the root itself (it is never ours to limit or to remove), for `.` and `..`, and for
/// characters a line of `/proc/self/cgroup` cannot hold.
pub(crate) fn normalise(path: &str) -> Result<String> {
    let components: Vec<&str> = path.split('/').filter(|component| !component.is_empty()).collect();
    let wrong = |component: &&str| matches!(*component, "." | "..") || component.contains(['\n', '\0']);
    if components.is_empty() || components.iter().any(wrong) {
        return Err(Error::invalid(format!("invalid cgroup path {path:?}")));
    }
    Ok(format!("/{}", components.join("/")))
}

/// Parent and last component of a normalised path without its first slash; the parent is empty for one component.
pub(crate) fn split(relative: &str) -> (&str, &str) {
    relative.rsplit_once('/').unwrap_or(("", relative))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_are_put_in_order() {
        assert_eq!(normalise("dhow//a/").unwrap(), "/dhow/a");
        assert_eq!(split("dhow/a"), ("dhow", "a"));
        assert_eq!(split("a"), ("", "a"));
    }

    #[test]
    fn the_root_and_ways_out_are_refused() {
        for path in ["", "/", "/dhow/../x", "./x", "/a\nb"] {
            assert!(normalise(path).is_err(), "{path:?}");
        }
    }
}
