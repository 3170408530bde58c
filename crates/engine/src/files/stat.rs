//! What is at a path of a container.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use dhow_errdefs::{Error, Result, ResultExt};
use jiff::Timestamp;
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat2, readlinkat};
use rustix::io::Errno;

use super::path;
use crate::rootfs::Root;
use crate::watch::Watch;

/// More links than this lead in a circle (Go's limit).
const MOST_LINKS: usize = 255;

/// What is longer is no path (`PATH_MAX`, linux/limits.h), and so many components of one are looked at, links and all.
const LONGEST_PATH: usize = 4_096;
const MOST_COMPONENTS: usize = 4_096;

/// What is at a path, itself and not what it leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathStat {
    /// The last component.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// Kind and permissions, as stat(2) has them.
    pub mode: u32,
    /// When it was changed last.
    pub mtime: Timestamp,
    /// Where a link leads in the end, absolute; empty for what is none.
    pub link_target: String,
}

/// Something that was found.
#[derive(Debug)]
pub(super) struct Found {
    pub file: OwnedFd,
    pub stat: Stat,
}

impl Found {
    pub(super) fn is_folder(&self) -> bool {
        FileType::from_raw_mode(self.stat.st_mode) == FileType::Directory
    }
}

/// What is at an absolute path; none if there is nothing.
pub(super) fn find(root: &Root, path: &str) -> Result<Option<Found>> {
    let step = || format!("lstat {path}");
    match resolve(root, path, OFlags::NOFOLLOW) {
        Ok(file) => {
            let stat = fstat(&file).map_err(io::Error::from).context(step)?;
            Ok(Some(Found { file, stat }))
        }
        Err(Errno::NOENT) => Ok(None),
        Err(error @ (Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG)) => {
            Err(Error::invalid(step()).with_cause(io::Error::from(error)))
        }
        Err(error) => Err(io::Error::from(error)).context(step),
    }
}

/// Opens a path inside the root, without being able to do anything with it.
pub(super) fn resolve(root: &Root, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::PATH | OFlags::CLOEXEC;
    openat2(root, path, flags, Mode::empty(), ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS)
}

/// # Errors
/// `InvalidArgument` for a link that leads nowhere because of too many others; `DeadlineExceeded` if it was given up.
pub(super) fn describe(root: &Root, path: &str, found: &Found, watch: &Watch) -> Result<PathStat> {
    let stat = &found.stat;
    let link = FileType::from_raw_mode(stat.st_mode) == FileType::Symlink;
    let nanoseconds = i32::try_from(stat.st_mtime_nsec).unwrap_or_default();
    Ok(PathStat {
        name: path::base(path).to_owned(),
        size: stat.st_size.cast_unsigned(),
        mode: stat.st_mode,
        mtime: Timestamp::new(stat.st_mtime, nanoseconds).unwrap_or_default(),
        link_target: if link { evaluate(root, path, watch)? } else { String::new() },
    })
}

/// Where a path leads in the end. A text for the client, which will ask for it again: nothing is decided by it here. Links
/// are made by containers, and each may lead to many others; so both their number and what they add up to are limited.
fn evaluate(root: &Root, path: &str, watch: &Watch) -> Result<String> {
    let endless = || Error::invalid(format!("evalSymlinksInScope: too many links in {path}"));
    let mut here = String::new();
    let mut left: Vec<String> = components(path);
    let mut links = 0;
    for _ in 0..MOST_COMPONENTS {
        watch.go_on()?;
        let Some(component) = left.pop() else { return Ok(if here.is_empty() { "/".to_owned() } else { here }) };
        let parent = here.len();
        if component == ".." {
            here.truncate(here.rfind('/').unwrap_or_default());
            continue;
        }
        here.extend(["/", &component]);
        let target = resolve(root, &here, OFlags::NOFOLLOW).and_then(|file| readlinkat(file, "", Vec::new()));
        let Ok(target) = target.map(|target| target.to_string_lossy().into_owned()) else { continue };
        here.truncate(if Path::new(&target).is_absolute() { 0 } else { parent });
        left.extend(components(&target));
        links += 1;
        let bytes = here.len() + left.iter().map(|component| component.len() + 1).sum::<usize>();
        if links > MOST_LINKS || bytes > LONGEST_PATH {
            return Err(endless());
        }
    }
    Err(endless())
}

/// The components of a path, last first.
fn components(path: &str) -> Vec<String> {
    path.split('/').filter(|component| !matches!(*component, "" | ".")).rev().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use dhow_errdefs::Class;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::time::Duration;

    #[test]
    fn links_are_evaluated_inside() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("a/b")).unwrap();
        symlink("/a/b", at("l")).unwrap();
        symlink("../../../..", at("a/b/up")).unwrap();
        symlink("l/up/a", at("far")).unwrap();
        symlink("gone/x", at("a/dangling")).unwrap();
        let root = Root::of_folder(fs::File::open(dir.path()).unwrap().into());
        let target = |path: &str| leads(&root, path).unwrap();
        assert_eq!(target("/l"), "/a/b");
        assert_eq!(target("/far"), "/a");
        assert_eq!(target("/l/up"), "/");
        assert_eq!(target("/a/dangling"), "/a/gone/x");
        assert!(find(&root, "/l/").unwrap().unwrap().is_folder());
        assert!(!find(&root, "/l").unwrap().unwrap().is_folder());
        assert!(find(&root, "/nothing").unwrap().is_none());
        fs::write(at("file"), "").unwrap();
        assert_eq!(find(&root, "/file/").unwrap_err().to_string(), "lstat /file/: not a directory");
    }

    #[test]
    fn links_that_lead_on_and_on_are_given_up() {
        let dir = tempfile::tempdir().unwrap();
        let link = |name: &str, target: &str| symlink(target, dir.path().join(name)).unwrap();
        fs::create_dir_all(dir.path().join("a/a/a/a/a/a/a/a")).unwrap();
        link("circle", "circle");
        link("logs", &format!("logs{}", "/b".repeat(2_045)));
        // Never long, and still more than anybody wants to look at.
        let detour = format!("{}{}", "a/a/a/a/a/a/a/a/".repeat(80), "../".repeat(640));
        for number in 0..20 {
            link(&format!("{number}"), &format!("{detour}{}", number + 1));
        }
        let root = Root::of_folder(fs::File::open(dir.path()).unwrap().into());
        for path in ["/circle", "/logs", "/0"] {
            let error = leads(&root, path).unwrap_err();
            assert_eq!(error.to_string(), format!("evalSymlinksInScope: too many links in {path}"));
        }
        assert_eq!(leads(&root, "/18").unwrap(), "/20");
    }

    #[tokio::test]
    async fn nobody_looks_where_a_link_leads_after_it_was_given_up() {
        let dir = tempfile::tempdir().unwrap();
        symlink("there", dir.path().join("l")).unwrap();
        let root = Root::of_folder(fs::File::open(dir.path()).unwrap().into());
        let watch = Watch::patient(Duration::from_millis(1));
        crate::watch::watch_over(&watch, std::future::pending::<()>()).await.unwrap_err();
        let found = find(&root, "/l").unwrap().unwrap();
        assert_eq!(describe(&root, "/l", &found, &watch).unwrap_err().class(), Class::DeadlineExceeded);
    }

    fn leads(root: &Root, path: &str) -> Result<String> {
        let watch = Watch::patient(Duration::from_secs(1));
        describe(root, path, &find(root, path)?.unwrap(), &watch).map(|stat| stat.link_target)
    }
}
