//! Docker's rules of `cp`: what the ends of paths mean and where things go.

use std::fs;
use std::io;
use std::path::Path;

use dhow_errdefs::{Error, Result, ResultExt};

/// More links than this, and they lead in a circle.
const MOST_LINKS: usize = 10;

/// Something that is copied, or the place it is copied to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub path: String,
    pub exists: bool,
    pub is_folder: bool,
    /// The name it is to have, where that is not the path's last component.
    pub name: Option<String>,
}

/// Cleaned, and relative paths with the working folder before them; with the `/` or `/.` that it ended with.
pub(super) fn local(path: &str) -> Result<String> {
    let here = || std::env::current_dir().context(|| "find the working folder");
    let whole = if path.starts_with('/') { path.to_owned() } else { format!("{}/{path}", here()?.display()) };
    Ok(keeping_end(clean(&whole), path))
}

/// As Go's `filepath.Clean`.
pub(super) fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    let absolute = path.starts_with('/');
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            ".." if absolute => {}
            _ => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (absolute, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

/// As Go's `filepath.Base`.
pub(super) fn base(path: &str) -> &str {
    match path.trim_end_matches('/') {
        "" if path.is_empty() => ".",
        "" => "/",
        path => path.rsplit('/').next().unwrap_or(path),
    }
}

fn is_dot(path: &str) -> bool {
    base(path) == "."
}

fn keeping_end(mut clean: String, original: &str) -> String {
    if !is_dot(&clean) && is_dot(original) {
        if !clean.ends_with('/') {
            clean.push('/');
        }
        clean.push('.');
    }
    if original.ends_with('/') && !clean.ends_with('/') {
        clean.push('/');
    }
    clean
}

/// The folder (with its slash) and the name in it, `.` for what ends with a dot.
pub(super) fn split(path: &str) -> (String, String) {
    let mut whole = clean(path);
    if is_dot(path) {
        whole.push_str("/.");
    }
    let slash = whole.rfind('/').map_or(0, |slash| slash + 1);
    (whole[..slash].to_owned(), whole[slash..].to_owned())
}

/// Where a link leads, seen from where it is.
pub(super) fn beside(path: &str, target: &str) -> String {
    if target.starts_with('/') { target.to_owned() } else { clean(&format!("{}{target}", split(path).0)) }
}

/// What a link leads to gets the end of the path that was typed, and its name.
pub(super) fn instead(path: &str, target: &str) -> (String, Option<String>) {
    let mut target = target.to_owned();
    if is_dot(path) && !is_dot(&target) {
        target.push_str("/.");
    }
    if path.ends_with('/') && !target.ends_with('/') {
        target.push('/');
    }
    let name = (base(path) != base(&target)).then(|| base(path).to_owned());
    (target, name)
}

/// What is to be copied from this machine.
pub(super) fn source(path: &str, follow: bool) -> Result<Place> {
    let (path, name) = if follow {
        instead(path, &evaluated(path)?)
    } else {
        // Links on the way are followed, the last component is not.
        let slash = path.rfind('/').map_or(0, |slash| slash + 1);
        let resolved = format!("{}/{}", evaluated(&path[..slash])?.trim_end_matches('/'), &path[slash..]);
        let other = path.ends_with('/') && base(path) != base(&resolved);
        (resolved, other.then(|| base(path).to_owned()))
    };
    let found = fs::symlink_metadata(&path).map_err(|error| looked(&path, error))?;
    if (path.ends_with('/') || is_dot(&path)) && !found.is_dir() {
        return Err(Error::invalid("not a directory"));
    }
    Ok(Place { is_folder: found.is_dir(), exists: true, path, name })
}

fn evaluated(path: &str) -> Result<String> {
    let found = fs::canonicalize(path).map_err(|error| looked(path.trim_end_matches('/'), error))?;
    Ok(found.display().to_string())
}

fn looked(path: &str, error: io::Error) -> Error {
    if error.kind() == io::ErrorKind::NotADirectory {
        return Error::invalid("not a directory");
    }
    Err::<(), _>(error).context(|| format!("lstat {path}")).expect_err("made of an error")
}

/// Where something is to be copied to on this machine; links are followed, also one that leads to nothing yet.
pub(super) fn destination(path: &str) -> Result<Place> {
    let mut path = path.to_owned();
    for _ in 0..=MOST_LINKS {
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_symlink() => {
                let target = fs::read_link(&path).context(|| format!("readlink {path}"))?;
                path = beside(&path, &target.to_string_lossy());
            }
            Ok(found) => return Ok(Place { is_folder: found.is_dir(), exists: true, path, name: None }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let parent = split(&path).0;
                return match fs::metadata(&parent) {
                    Ok(found) if found.is_dir() => Ok(Place { path, ..Place::default() }),
                    Ok(_) => Err(Error::invalid("not a directory")),
                    Err(error) => Err(looked(&parent, error)),
                };
            }
            Err(error) => return Err(looked(&path, error)),
        }
    }
    Err(Error::invalid(format!("too many symlinks in {path}")))
}

/// What can be refused of a place on this machine before anything is read.
pub(super) fn check_output(path: &str) -> Result<()> {
    use std::os::unix::fs::FileTypeExt;
    let cleaned = clean(path);
    let folder = Path::new(&cleaned).parent().map(|parent| parent.display().to_string()).unwrap_or_default();
    if !folder.is_empty() && !Path::new(&folder).exists() {
        return Err(Error::invalid(format!("invalid output path: directory {folder:?} does not exist")));
    }
    let device = |kind: fs::FileType| kind.is_char_device() || kind.is_block_device();
    if fs::metadata(path).is_ok_and(|found| device(found.file_type())) {
        let text = format!("invalid output path: {path:?} must be a directory or a regular file: got a device");
        return Err(Error::invalid(text));
    }
    Ok(())
}

/// The folder to unpack into, and the name that the source gets in it; none if it keeps its own.
pub(super) fn arrange(source: &Place, destination: &Place) -> Result<(String, Option<String>)> {
    let (folder, name) = split(&destination.path);
    match (destination.exists, destination.is_folder, source.is_folder) {
        (true, true, _) => Ok((destination.path.clone(), None)),
        (true, false, true) => Err(Error::invalid("cannot copy directory")),
        (false, _, false) if destination.path.ends_with('/') || is_dot(&destination.path) => {
            Err(Error::invalid("no such directory"))
        }
        _ => Ok((folder, Some(name))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_of_paths_are_kept() {
        for (path, wanted) in
            [("/a/", "/a/"), ("/a/.", "/a/."), ("/a/b/..", "/a"), ("/", "/"), ("/a//b", "/a/b"), ("/a/./", "/a/./")]
        {
            assert_eq!(local(path).unwrap(), wanted);
        }
        assert!(local("x/").unwrap().ends_with("/x/"));
    }

    #[test]
    fn paths_come_apart() {
        let apart = |path| split(path);
        assert_eq!(apart("/a/b"), ("/a/".into(), "b".into()));
        assert_eq!(apart("/a/b/"), ("/a/".into(), "b".into()));
        assert_eq!(apart("/a/b/."), ("/a/b/".into(), ".".into()));
        assert_eq!(apart(""), ("./".into(), ".".into()));
        assert_eq!(beside("/a/link", "x/y"), "/a/x/y");
        assert_eq!(beside("/a/link", "/z"), "/z");
    }

    #[test]
    fn what_a_link_leads_to_keeps_the_name_that_was_typed() {
        assert_eq!(instead("/a/link", "/b/file"), ("/b/file".into(), Some("link".into())));
        assert_eq!(instead("/a/link/", "/b/dir"), ("/b/dir/".into(), Some("link".into())));
        assert_eq!(instead("/a/same", "/b/same"), ("/b/same".into(), None));
        assert_eq!(instead("/a/link/.", "/b/dir"), ("/b/dir/.".into(), None));
    }

    /// The table of Docker's reference, `docker container cp`.
    #[test]
    fn things_go_where_docker_puts_them() {
        let place = |path: &str, exists, is_folder| Place { path: path.into(), exists, is_folder, name: None };
        let file = place("/s/file", true, false);
        let folder = place("/s/dir", true, true);
        let said = |source: &Place, destination: &Place| arrange(source, destination).unwrap_err().to_string();
        let to = |folder: &str, name: &str| (folder.to_owned(), Some(name.to_owned()));
        assert_eq!(arrange(&file, &place("/d/new", false, false)).unwrap(), to("/d/", "new"));
        assert_eq!(said(&file, &place("/d/new/", false, false)), "no such directory");
        assert_eq!(arrange(&file, &place("/d/old", true, false)).unwrap(), to("/d/", "old"));
        assert_eq!(arrange(&file, &place("/d", true, true)).unwrap(), ("/d".to_owned(), None));
        assert_eq!(arrange(&folder, &place("/d/new", false, false)).unwrap(), to("/d/", "new"));
        assert_eq!(arrange(&folder, &place("/d/new/", false, false)).unwrap(), to("/d/", "new"));
        assert_eq!(said(&folder, &place("/d/old", true, false)), "cannot copy directory");
        assert_eq!(arrange(&folder, &place("/d/", true, true)).unwrap(), ("/d/".to_owned(), None));
    }
}
