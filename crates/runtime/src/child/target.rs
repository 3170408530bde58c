//! Finding and making mount points inside a root that may be hostile (CVE-2021-30465).
//!
//! A target is walked by the kernel with `RESOLVE_IN_ROOT` and kept as a descriptor; whatever the image's or another
//! container's processes rename meanwhile, the mount goes to the file that was found inside the root.

use std::ffi::CStr;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, ResolveFlags, mkdirat, openat, openat2, readlinkat_raw};
use rustix::io::Errno;

/// What is made where nothing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    /// A directory.
    Directory,
    /// An empty file, in directories made for it.
    File,
}

/// `PATH_MAX`.
const LONGEST_PATH: usize = 4096;
/// As many links as the kernel follows in one walk.
const MOST_LINKS: usize = 40;

/// Opens a path inside the root; nothing is made.
pub(super) fn find(root: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd, Errno> {
    openat2(root, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), inside())
}

/// Opens a directory inside the root that is reached without any symbolic link, and makes its last name if need be.
pub(super) fn open_plain(root: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd, Errno> {
    open(root, path, Want::Directory)?;
    let resolve = inside() | ResolveFlags::NO_SYMLINKS;
    openat2(root, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty(), resolve)
}

/// Opens a path inside the root, and makes what is missing of it.
pub(super) fn open(root: BorrowedFd<'_>, path: &CStr, want: Want) -> Result<OwnedFd, Errno> {
    match find(root, path) {
        Err(Errno::NOENT) => {
            let mut walk = Walk::new(path.to_bytes())?;
            match walk.make_last(root, want)? {
                Some(made) => Ok(made),
                None => walk.make(root, want),
            }
        }
        result => result,
    }
}

fn inside() -> ResolveFlags {
    // A link such as /proc/self/root would leave the root by no walk at all.
    ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS
}

/// A path on the stack, made component by component. A link whose target is missing is replaced by its text and the
/// walk begins again, so that the target is made, as it would be for a process inside.
struct Walk {
    path: [u8; LONGEST_PATH],
    length: usize,
    links: usize,
}

/// What came of one component.
enum Made {
    Opened(OwnedFd),
    /// The path was rewritten.
    Again,
}

impl Walk {
    fn new(path: &[u8]) -> Result<Self, Errno> {
        let mut walk = Self { path: [0; LONGEST_PATH], length: 0, links: 0 };
        walk.set(&[path])?;
        Ok(walk)
    }

    /// Replaces the path by these parts with slashes between.
    fn set(&mut self, parts: &[&[u8]]) -> Result<(), Errno> {
        let mut fresh = [0; LONGEST_PATH];
        let mut length = 0;
        for part in parts {
            let end = length + 1 + part.len();
            // One byte stays zero, the end of the string.
            let room = fresh.get_mut(length..end).filter(|_| end < LONGEST_PATH).ok_or(Errno::NAMETOOLONG)?;
            room[0] = b'/';
            room[1..].copy_from_slice(part);
            length = end;
        }
        (self.path, self.length) = (fresh, length);
        Ok(())
    }

    /// Makes the last name where the rest is there, as it mostly is. `None`: more is to be made, or a link is in the way.
    fn make_last(&mut self, root: BorrowedFd<'_>, want: Want) -> Result<Option<OwnedFd>, Errno> {
        let slash = self.path[..self.length].iter().rposition(|byte| *byte == b'/');
        let Some(slash) = slash.filter(|slash| *slash > 0) else { return Ok(None) };
        if matches!(&self.path[slash + 1..self.length], b"" | b"." | b"..") {
            return Ok(None);
        }
        let directory = match self.with_end(slash, |walk| find(root, walk.string(0))) {
            Err(Errno::NOENT) => return Ok(None),
            result => result?,
        };
        match make_one(directory.as_fd(), self.string(slash + 1), want) {
            Err(Errno::EXIST) => Ok(None),
            made => made.and_then(|()| find(root, self.string(0))).map(Some),
        }
    }

    fn make(mut self, root: BorrowedFd<'_>, want: Want) -> Result<OwnedFd, Errno> {
        'again: loop {
            let mut parent: Option<OwnedFd> = None;
            let mut start = 0;
            while let Some((from, to)) = self.component(start) {
                let last = self.component(to).is_none();
                let want = if last { want } else { Want::Directory };
                let directory = parent.as_ref().map_or(root, AsFd::as_fd);
                match self.step(root, directory, from..to, want)? {
                    Made::Opened(file) if last => return Ok(file),
                    Made::Opened(file) => parent = Some(file),
                    Made::Again => continue 'again,
                }
                start = to;
            }
            return find(root, c"/");
        }
    }

    /// The bounds of the next component after `start`.
    fn component(&self, start: usize) -> Option<(usize, usize)> {
        let rest = self.path.get(start..self.length)?;
        let from = start + rest.iter().position(|byte| *byte != b'/')?;
        let length = self.path[from..self.length].iter().position(|byte| *byte == b'/');
        Some((from, length.map_or(self.length, |length| from + length)))
    }

    /// Opens the path up to the end of a component, from the root anew, and makes its last name in `directory` if it is
    /// missing.
    fn step(
        &mut self,
        root: BorrowedFd<'_>,
        directory: BorrowedFd<'_>,
        component: Range<usize>,
        want: Want,
    ) -> Result<Made, Errno> {
        let Range { start: from, end: to } = component;
        match self.with_end(to, |walk| find(root, walk.string(0))) {
            Err(Errno::NOENT) => {}
            result => return result.map(Made::Opened),
        }
        match self.with_end(to, |walk| make_one(directory, walk.string(from), want)) {
            Ok(()) => self.with_end(to, |walk| find(root, walk.string(0))).map(Made::Opened),
            // Something is there, and yet not there: a link to nothing.
            Err(Errno::EXIST) => self.replace_link(directory, from, to).map(|()| Made::Again),
            Err(errno) => Err(errno),
        }
    }

    /// Runs `call` on the path as if it ended at `to`.
    fn with_end<T>(&mut self, to: usize, call: impl FnOnce(&Self) -> T) -> T {
        let byte = std::mem::replace(&mut self.path[to], 0);
        let result = call(self);
        self.path[to] = byte;
        result
    }

    /// The string that starts at `from` and ends at the first zero byte.
    fn string(&self, from: usize) -> &CStr {
        CStr::from_bytes_until_nul(&self.path[from..]).unwrap_or_default()
    }

    fn replace_link(&mut self, directory: BorrowedFd<'_>, from: usize, to: usize) -> Result<(), Errno> {
        self.links += 1;
        if self.links > MOST_LINKS {
            return Err(Errno::LOOP);
        }
        let mut space = [0u8; LONGEST_PATH];
        let length = self.with_end(to, |walk| readlinkat_raw(directory, walk.string(from), &mut space))?;
        let link = space.get(..length).ok_or(Errno::NAMETOOLONG)?;
        let old = self.path;
        let (before, after) = (&old[..from], &old[to..self.length]);
        if link.starts_with(b"/") { self.set(&[link, after]) } else { self.set(&[before, link, after]) }
    }
}

fn make_one(directory: BorrowedFd<'_>, name: &CStr, want: Want) -> Result<(), Errno> {
    if want == Want::Directory {
        return mkdirat(directory, name, Mode::from_raw_mode(0o755));
    }
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::WRONLY | OFlags::CLOEXEC;
    openat(directory, name, flags, Mode::from_raw_mode(0o644)).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs::{self, File};
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::{MetadataExt, symlink};
    use std::path::Path;

    fn made(root: &Path, path: &CStr, want: Want) -> Result<u64, Errno> {
        let directory = File::open(root).unwrap();
        let file = open(directory.as_fd(), path, want)?;
        Ok(rustix::fs::fstat(file).unwrap().st_ino)
    }

    fn inode(path: impl AsRef<Path>) -> u64 {
        fs::symlink_metadata(path).unwrap().ino()
    }

    #[test]
    fn missing_directories_and_files_are_made() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(made(root.path(), c"/a/b/c", Want::Directory), Ok(inode(root.path().join("a/b/c"))));
        assert_eq!(made(root.path(), c"a/x/file", Want::File), Ok(inode(root.path().join("a/x/file"))));
        assert!(root.path().join("a/x/file").is_file());
        assert_eq!(made(root.path(), c"/", Want::Directory), Ok(inode(root.path())));
    }

    #[test]
    fn links_and_dots_stay_inside_the_root() {
        let outside = tempfile::tempdir().unwrap();
        let root = tempfile::tempdir().unwrap();
        symlink(outside.path(), root.path().join("absolute")).unwrap();
        symlink("../../../../../../../../../etc", root.path().join("relative")).unwrap();
        made(root.path(), c"/absolute/x", Want::Directory).unwrap();
        made(root.path(), c"/relative/x", Want::Directory).unwrap();
        made(root.path(), c"/../../y", Want::Directory).unwrap();
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
        assert!(root.path().join("etc/x").is_dir() && root.path().join("y").is_dir());
        let inside = root.path().join(outside.path().strip_prefix("/").unwrap());
        assert!(inside.join("x").is_dir(), "the link's target is made inside");
    }

    #[test]
    fn a_loop_of_links_ends() {
        let root = tempfile::tempdir().unwrap();
        symlink("b", root.path().join("a")).unwrap();
        symlink("a", root.path().join("b")).unwrap();
        assert_eq!(made(root.path(), c"/a/x", Want::Directory), Err(Errno::LOOP));
    }

    #[test]
    fn a_link_is_no_plain_target() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("real")).unwrap();
        symlink("real", root.path().join("proc")).unwrap();
        let directory = File::open(root.path()).unwrap();
        assert_eq!(open_plain(directory.as_fd(), c"/proc").unwrap_err(), Errno::LOOP);
        assert!(open_plain(directory.as_fd(), c"/sys").is_ok());
    }

    /// Parts of hostile paths: names, climbing, and links that were made before.
    fn part() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec!["a", "b", "c", "..", ".", "", "link", "other"])
    }

    fn hostile() -> impl Strategy<Value = String> {
        prop::collection::vec(part(), 0..6).prop_map(|parts| parts.join("/"))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        /// Whatever the path and the links, what is opened or made is inside the root.
        #[test]
        fn nothing_leaves_the_root(path in hostile(), link in hostile(), other in hostile(), absolute: bool, file: bool) {
            let around = tempfile::tempdir().unwrap();
            let root = around.path().join("root");
            fs::create_dir(&root).unwrap();
            let slash = if absolute { "/" } else { "" };
            for (name, text) in [("link", link), ("other", other)] {
                let text = format!("{slash}{text}");
                symlink(if text.is_empty() { "." } else { &text }, root.join(name)).unwrap();
            }
            let directory = File::open(&root).unwrap();
            let want = if file { Want::File } else { Want::Directory };
            let path = std::ffi::CString::new(path).unwrap();
            if let Ok(opened) = open(directory.as_fd(), &path, want) {
                let place = fs::read_link(format!("/proc/self/fd/{}", opened.as_raw_fd())).unwrap();
                prop_assert!(place.starts_with(&root), "{place:?}");
            }
            prop_assert_eq!(fs::read_dir(around.path()).unwrap().count(), 1, "something was made beside the root");
        }
    }
}
