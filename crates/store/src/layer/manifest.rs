//! `layers/<number>/manifest`: what was unpacked, file by file, so that damage can be found later.
//!
//! Text, one line each: `<type> <size> <fingerprint> <path>`, for a link followed by a TAB and its target. Bytes outside
//! printable ASCII are escaped as in Rust. A later line for a path replaces an earlier one and all below it, unless both
//! are folders. The first line has the version: the first has SHA-256 of files (type `f`), the second BLAKE3 (type `b`). From
//! the third on a last line, `end <lines>`, says how many are between the first and itself: a manifest that has lost its end
//! would find a layer sound which it does not describe.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use dhow_errdefs::{Error, Result, ResultExt};
use rustix::fs::{FileType, OFlags, Stat};
use rustix::io::Errno;

use super::Damage;
use super::fingerprint::Fingerprint;
use super::name::Name;
use super::tree::open_plain;

const HEAD: &str = "dhow layer manifest 3";
const EARLIER_HEADS: [&str; 2] = ["dhow layer manifest 1", "dhow layer manifest 2"];

/// Before the number of lines.
const END: &str = "end ";

/// What a line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    File {
        size: u64,
        fingerprint: Fingerprint,
    },
    Directory,
    Symlink(Vec<u8>),
    /// Another name of a file that has a line of its own.
    Hardlink,
    /// A device, a fifo, or a file with holes.
    Special,
    Whiteout,
}

/// Writes a manifest.
#[derive(Debug)]
pub(super) struct Manifest {
    file: BufWriter<File>,
    lines: u64,
}

impl Manifest {
    pub(super) fn create(path: &Path) -> Result<Self> {
        let step = || format!("create {}", path.display());
        let mut file = BufWriter::with_capacity(64 << 10, File::create(path).context(step)?);
        writeln!(file, "{HEAD}").context(step)?;
        Ok(Self { file, lines: 0 })
    }

    pub(super) fn add(&mut self, name: &Name, line: &Line) -> Result<()> {
        self.write(name, line).context(|| "write the layer's manifest")
    }

    fn write(&mut self, name: &Name, line: &Line) -> io::Result<()> {
        self.lines += 1;
        let path = name.as_bytes().escape_ascii();
        match line {
            Line::File { size, fingerprint } => {
                let (kind, digits) = fingerprint.written();
                writeln!(self.file, "{kind} {size} {digits} {path}")
            }
            Line::Symlink(target) => writeln!(self.file, "l 0 - {path}\t{}", target.escape_ascii()),
            Line::Directory => writeln!(self.file, "d 0 - {path}"),
            Line::Hardlink => writeln!(self.file, "h 0 - {path}"),
            Line::Special => writeln!(self.file, "s 0 - {path}"),
            Line::Whiteout => writeln!(self.file, "w 0 - {path}"),
        }
    }

    pub(super) fn finish(mut self) -> Result<()> {
        let end = writeln!(self.file, "{END}{}", self.lines);
        end.and_then(|()| self.file.flush()).context(|| "write the layer's manifest")
    }
}

/// How closely a tree is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// What is there, of which kind and size; and the contents of what was changed since it was unpacked.
    Structure,
    /// Every byte.
    Contents,
}

/// Compares the tree `diff` with the manifest at `path`.
pub(super) fn verify(path: &Path, diff: &File, depth: Depth) -> Result<Vec<Damage>> {
    let wrong = compare_all(path, diff, depth)?;
    Ok(wrong.into_iter().map(|(name, what)| Damage { path: PathBuf::from(name.to_string()), what }).collect())
}

/// The same with the names as they are.
pub(super) fn compare_all(path: &Path, diff: &File, depth: Depth) -> Result<Vec<(Name, String)>> {
    let step = || format!("read {}", path.display());
    let file = File::open(path).context(step)?;
    // It was finished when everything was unpacked, or healed.
    let finished = rustix::fs::fstat(&file).map_err(io::Error::from).context(step)?;
    let lines = read(path, file)?;
    let is_read = |stat: &Stat| depth == Depth::Contents || changed(stat) > changed(&finished);
    let wrong = |(name, line): (Name, Line)| {
        let what = compare(diff.as_fd(), &name, &line, is_read)?;
        Some((name, what))
    };
    Ok(lines.into_iter().filter_map(wrong).collect())
}

/// The lines of a manifest, whole.
fn read(path: &Path, file: File) -> Result<BTreeMap<Name, Line>> {
    let mut found: BTreeMap<Name, Line> = BTreeMap::new();
    let (mut head, mut ended) = (None, false);
    for (number, text) in BufReader::new(file).lines().enumerate() {
        let text = text.context(|| format!("read {}", path.display()))?;
        let damaged = || damaged(path, number + 1);
        if number == 0 {
            let known = [HEAD].into_iter().chain(EARLIER_HEADS).find(|known| *known == text);
            head = Some(known.ok_or_else(damaged)?);
        } else if let Some(lines) = text.strip_prefix(END).filter(|_| head == Some(HEAD)) {
            ended = lines.parse() == Ok(number - 1);
        } else {
            let (name, line) = parse(&text).filter(|_| !ended).ok_or_else(damaged)?;
            if line != Line::Directory {
                name.remove_below(&mut found);
            }
            found.insert(name, line);
        }
    }
    let whole = ended || head.is_some_and(|head| head != HEAD);
    whole.then_some(found).ok_or_else(|| Error::data_loss(format!("{} has no end", path.display())))
}

/// When anything of a file was changed last.
fn changed(stat: &Stat) -> (i64, u64) {
    (stat.st_ctime, stat.st_ctime_nsec)
}

fn damaged(path: &Path, line: usize) -> Error {
    Error::data_loss(format!("{} is damaged in line {line}", path.display()))
}

fn parse(text: &str) -> Option<(Name, Line)> {
    let mut parts = text.splitn(4, ' ');
    let (kind, size, digits, rest) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let (path, target) = rest.split_once('\t').map_or((rest, None), |(path, target)| (path, Some(target)));
    let line = match (kind, target) {
        ("b" | "f", None) => Line::File { size: size.parse().ok()?, fingerprint: Fingerprint::read(kind, digits)? },
        ("l", Some(target)) => Line::Symlink(unescape(target)?),
        ("d", None) => Line::Directory,
        ("h", None) => Line::Hardlink,
        ("s", None) => Line::Special,
        ("w", None) => Line::Whiteout,
        _ => return None,
    };
    Some((Name::parse(&unescape(path)?).ok()?, line))
}

/// The inverse of [`slice::escape_ascii`].
fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut plain = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        plain.push(match (byte, byte == b'\\') {
            (byte, false) => byte,
            _ => match bytes.next()? {
                b't' => b'\t',
                b'n' => b'\n',
                b'r' => b'\r',
                b'x' => {
                    let digits = [bytes.next()?, bytes.next()?];
                    u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
                }
                literal @ (b'\\' | b'\'' | b'"') => literal,
                _ => return None,
            },
        });
    }
    Some(plain)
}

/// What is wrong, if something is.
fn compare(diff: BorrowedFd<'_>, name: &Name, line: &Line, is_read: impl Fn(&Stat) -> bool) -> Option<String> {
    let found = match open_plain(diff, name, OFlags::PATH | OFlags::NOFOLLOW) {
        Ok(found) => found,
        // Not unpacked because this process may not make it, or taken away by a later whiteout of it.
        Err(Errno::NOENT) if matches!(line, Line::Special | Line::Whiteout) => return None,
        Err(error) => return Some(error.to_string()),
    };
    let stat = match rustix::fs::fstat(&found) {
        Ok(stat) => stat,
        Err(error) => return Some(error.to_string()),
    };
    let kind = FileType::from_raw_mode(stat.st_mode);
    match line {
        Line::File { .. } if kind != FileType::RegularFile => Some("is not a file".into()),
        Line::File { size, .. } if stat.st_size.cast_unsigned() != *size => {
            Some(format!("has {} bytes, expected {size}", stat.st_size))
        }
        Line::File { .. } if !is_read(&stat) => None,
        Line::File { fingerprint, .. } => {
            let opened = open_plain(diff, name, OFlags::RDONLY | OFlags::NOFOLLOW).map_err(io::Error::from);
            match opened.and_then(|file| fingerprint.is_of(&mut File::from(file))) {
                Ok(true) => None,
                Ok(false) => Some("has other contents".into()),
                Err(error) => Some(error.to_string()),
            }
        }
        Line::Directory if kind != FileType::Directory => Some("is not a folder".into()),
        Line::Symlink(target) => match rustix::fs::readlinkat(&found, "", Vec::new()) {
            Ok(found) if found.as_bytes() == target => None,
            Ok(_) => Some("is a link to something else".into()),
            Err(error) => Some(error.to_string()),
        },
        Line::Hardlink | Line::Directory | Line::Special | Line::Whiteout => None,
    }
}

#[cfg(test)]
mod tests {
    use dhow_oci::Digest;

    use super::*;
    use proptest::prelude::*;

    /// As an earlier version wrote it.
    #[test]
    fn a_manifest_with_sha256_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let (path, diff) = (folder.path().join("manifest"), folder.path().join("diff"));
        std::fs::create_dir(&diff).unwrap();
        std::fs::write(diff.join("file"), "abc").unwrap();
        let line = |contents: &[u8]| format!("{}\nf 3 {} file\n", EARLIER_HEADS[0], Digest::of(contents).hex());
        let wrong = |contents: &[u8]| {
            std::fs::write(&path, line(contents)).unwrap();
            verify(&path, &File::open(&diff).unwrap(), Depth::Contents).unwrap()
        };
        assert_eq!(wrong(b"abc"), []);
        assert_eq!(wrong(b"abd")[0].what, "has other contents");
    }

    /// What a power cut leaves of a file may be any part of it, or nothing.
    #[test]
    fn a_manifest_that_is_cut_off_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let (path, diff) = (folder.path().join("manifest"), folder.path().join("diff"));
        std::fs::create_dir(&diff).unwrap();
        let mut manifest = Manifest::create(&path).unwrap();
        for name in ["one", "two"] {
            std::fs::create_dir(diff.join(name)).unwrap();
            manifest.add(&Name::parse(name.as_bytes()).unwrap(), &Line::Directory).unwrap();
        }
        manifest.finish().unwrap();
        let check = || verify(&path, &File::open(&diff).unwrap(), Depth::Contents);
        assert_eq!(check().unwrap(), []);
        let whole = std::fs::read(&path).unwrap();
        // Without the line feed at its end it says the same.
        for length in 0..whole.len() - 1 {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert_eq!(check().unwrap_err().class(), dhow_errdefs::Class::DataLoss, "{length}");
        }
        std::fs::write(&path, [&whole[..], b"d 0 - three\n"].concat()).unwrap();
        assert!(check().is_err(), "something behind the end");
    }

    proptest! {
        #[test]
        fn every_name_survives_the_text(bytes in prop::collection::vec(any::<u8>(), 0..50)) {
            let text = bytes.escape_ascii().to_string();
            prop_assert!(!text.contains(['\t', '\n']));
            prop_assert_eq!(unescape(&text).unwrap(), bytes);
        }
    }
}
