//! Docker's rules for paths in containers, where a slash or a dot at the end means something.

use crate::create::clean_path;

/// The absolute path that is meant: cleaned, but with the `/` or `/.` that it ended with.
pub(super) fn absolute(path: &str) -> String {
    let mut clean = clean_path(path);
    if base(path) == "." && !clean.ends_with('/') {
        clean.push('/');
    }
    if base(path) == "." {
        clean.push('.');
    }
    if path.ends_with('/') && !clean.ends_with('/') {
        clean.push('/');
    }
    clean
}

/// The last component as Go's `filepath.Base` sees it: slashes at the end do not count.
pub(super) fn base(path: &str) -> &str {
    match path.trim_end_matches('/') {
        "" if path.is_empty() => ".",
        "" => "/",
        path => path.rsplit('/').next().unwrap_or(path),
    }
}

/// The folder and the name in it.
pub(super) fn split(path: &str) -> (&str, &str) {
    let slash = path.rfind('/').unwrap_or_default();
    (&path[..=slash], &path[slash + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_at_the_end_is_kept() {
        for (path, wanted) in [
            ("etc", "/etc"),
            ("/etc/", "/etc/"),
            ("/etc/.", "/etc/."),
            ("/etc/./", "/etc/./"),
            ("/", "/"),
            (".", "/."),
            ("/../a/..", "/"),
            ("a//b/../c", "/a/c"),
            ("/a/../", "/"),
        ] {
            assert_eq!(absolute(path), wanted, "{path}");
        }
    }

    #[test]
    fn names_are_those_of_go() {
        for (path, wanted) in [("/", "/"), ("/etc/", "etc"), ("/etc/.", "."), ("a/b", "b"), ("", ".")] {
            assert_eq!(base(path), wanted, "{path}");
        }
        assert_eq!(split("/a/b"), ("/a/", "b"));
        assert_eq!(split("/b"), ("/", "b"));
    }
}
