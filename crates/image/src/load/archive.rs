//! The members of an archive, in whatever order they come: documents into memory, everything else into the store.

use std::collections::HashMap;
use std::io::{BufRead, Read, Write};
use std::thread;

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_oci::Digest;
use dhow_store::{Blob, Lease, Room, Store, TarMember, TarMemberKind, TarReader, Unpacked};

use super::ahead::{Ahead, Look};
use crate::stream::{self, PIECE};

/// More members than any honest archive has.
const MOST_MEMBERS: usize = 100_000;

/// Largest document that is read into memory, in bytes.
const LARGEST_DOCUMENT: u64 = 4 << 20;

/// Links that are followed one after another.
const MOST_LINKS: usize = 8;

/// The documents at the top of an archive that say what the rest is.
const DOCUMENTS: [&str; 3] = ["manifest.json", "index.json", "oci-layout"];

/// An archive that was read to its end. Its blobs are held by the lease it was read with.
#[derive(Debug, Default)]
pub(super) struct Archive<'s> {
    members: HashMap<String, Member>,
    /// Blobs that are layers, unpacked while they were read.
    unpacked: HashMap<Digest, Unpacked<'s>>,
}

#[derive(Debug, PartialEq, Eq)]
enum Member {
    Document(Vec<u8>),
    Blob(Blob),
    Link(String),
}

impl<'s> Archive<'s> {
    /// Reads an archive. `budget` is how many bytes it may bring.
    pub(super) fn read(store: &'s Store, lease: &Lease, input: impl BufRead, budget: Room) -> Result<Self> {
        let mut archive = Self::default();
        let tar = TarReader::new(input);
        let mut reader = Reader { store, lease, tar, budget, buffer: vec![0; PIECE], unpacked: HashMap::new() };
        while let Some(member) = reader.tar.next()? {
            let Some((name, member)) = reader.member(&member)? else { continue };
            archive.insert(name, member)?;
        }
        archive.unpacked = reader.unpacked;
        reader.tar.finish()?;
        Ok(archive)
    }

    /// A member that came twice could be read as one thing by us and as another by the next reader.
    fn insert(&mut self, name: String, member: Member) -> Result<()> {
        if self.members.len() == MOST_MEMBERS {
            return Err(Error::exhausted(format!("the archive has more than {MOST_MEMBERS} members")));
        }
        match self.members.get(&name) {
            Some(before) if *before != member => Err(Error::invalid(format!("the archive has two members {name:?}"))),
            _ => {
                self.members.insert(name, member);
                Ok(())
            }
        }
    }

    /// What was unpacked of it already, by the blob.
    pub(super) fn take_unpacked(&mut self) -> HashMap<Digest, Unpacked<'s>> {
        std::mem::take(&mut self.unpacked)
    }

    /// One of the documents at the top.
    pub(super) fn document(&self, name: &str) -> Option<&[u8]> {
        match self.members.get(name) {
            Some(Member::Document(bytes)) => Some(bytes),
            _ => None,
        }
    }

    /// A file by its name in the archive, through links.
    pub(super) fn file(&self, name: &str) -> Result<&Blob> {
        let missing = || {
            Error::data_loss(format!("the archive has no member {name:?}")).with_hint("the archive may be truncated")
        };
        let mut at = clean(name).ok_or_else(missing)?;
        for _ in 0..MOST_LINKS {
            match self.members.get(&at).ok_or_else(missing)? {
                Member::Blob(blob) => return Ok(blob),
                Member::Link(target) => at.clone_from(target),
                Member::Document(_) => return Err(Error::invalid(format!("the archive's {at} is not a blob"))),
            }
        }
        Err(Error::invalid(format!("the archive's member {name:?} is a link to a link to a link …")))
    }

    /// A blob of an OCI layout.
    pub(super) fn blob(&self, digest: &Digest) -> Result<&Blob> {
        self.file(&format!("{BLOBS}{}", digest.hex()))
    }
}

/// Where an OCI layout has its blobs (OCI image-spec, image-layout.md).
const BLOBS: &str = "blobs/sha256/";

struct Reader<'a, 's, R> {
    store: &'s Store,
    lease: &'a Lease,
    tar: TarReader<R>,
    budget: Room,
    buffer: Vec<u8>,
    unpacked: HashMap<Digest, Unpacked<'s>>,
}

impl<R: BufRead> Reader<'_, '_, R> {
    /// The member and its name; nothing for what an image does not need.
    fn member(&mut self, member: &TarMember) -> Result<Option<(String, Member)>> {
        let name = name(&member.path)?;
        let member = match &member.kind {
            TarMemberKind::Folder => return Ok(None),
            TarMemberKind::File(_) if is_superfluous(&name) => return Ok(None),
            TarMemberKind::File(size) if DOCUMENTS.contains(&name.as_str()) => {
                Member::Document(self.document(&name, *size)?)
            }
            TarMemberKind::File(size) => {
                Member::Blob(self.blob(&name, *size).context(|| format!("read the archive's {name}"))?)
            }
            TarMemberKind::Symlink(target) => Member::Link(beside(&name, target)?),
            TarMemberKind::Hardlink(target) => Member::Link(self::name(target)?),
            TarMemberKind::Other => {
                return Err(Error::invalid(format!("the archive's member {name:?} is neither file nor link")));
            }
        };
        Ok(Some((name, member)))
    }

    fn document(&mut self, name: &str, size: u64) -> Result<Vec<u8>> {
        if size > LARGEST_DOCUMENT {
            return Err(Error::exhausted(format!("the archive's {name} is larger than {LARGEST_DOCUMENT} bytes")));
        }
        let mut bytes = Vec::new();
        self.tar.read_to_end(&mut bytes).map_err(|error| stream::failed("read the archive", error))?;
        Ok(bytes)
    }

    /// Into the store; a blob that is named by a digest must have it.
    fn blob(&mut self, name: &str, size: u64) -> Result<Blob> {
        let expected = match name.strip_prefix(BLOBS) {
            Some(hex) => Some(Digest::from_hex(hex)?),
            None if name.starts_with("blobs/") => {
                return Err(Error::not_implemented("the digest is not SHA-256, which is the one that dhow knows"));
            }
            None => None,
        };
        self.budget.take(size).map_err(|error| stream::failed("read the archive", error))?;
        let content = self.store.content();
        let here = expected.map(|digest| content.stat(&digest)).transpose()?.flatten().is_some();
        let length = self.fill()?;
        let Some(look) = Look::of(&self.buffer[..length], size).filter(|_| !here) else {
            return self.keep(expected.as_ref(), (size, length), |_| {});
        };
        let layers = self.store.layers();
        let (blob, unpacked) = thread::scope(|scope| {
            let mut ahead = Ahead::begin(scope, layers, look, size)?;
            let blob = self.keep(expected.as_ref(), (size, length), |piece| ahead.feed(piece))?;
            let unpacked = ahead.finish(blob.digest);
            Ok::<_, Error>((blob, unpacked))
        })?;
        self.unpacked.extend(unpacked.map(|unpacked| (blob.digest, unpacked)));
        Ok(blob)
    }

    /// Writes the present member, of which the buffer has the beginning, into the store; `seen` is shown every piece.
    fn keep(
        &mut self,
        expected: Option<&Digest>,
        (size, mut length): (u64, usize),
        mut seen: impl FnMut(&[u8]),
    ) -> Result<Blob> {
        let mut ingest = self.store.content().ingest(size)?;
        while length > 0 {
            ingest.write_all(&self.buffer[..length]).context(|| "write a blob")?;
            seen(&self.buffer[..length]);
            length = self.fill()?;
        }
        ingest.commit(self.lease, expected, Some(size))
    }

    /// Reads on in the present member until the buffer is full or the member ends.
    fn fill(&mut self) -> Result<usize> {
        let mut filled = 0;
        while filled < self.buffer.len() {
            let read = self.tar.read(&mut self.buffer[filled..]);
            match read.map_err(|error| stream::failed("read the archive", error))? {
                0 => break,
                length => filled += length,
            }
        }
        Ok(filled)
    }
}

/// Files that Docker wrote for readers older than any we know.
fn is_superfluous(name: &str) -> bool {
    name == "repositories" || name.ends_with("/json") || name.ends_with("/VERSION")
}

/// The name of a member; it may not leave the archive.
fn name(path: &[u8]) -> Result<String> {
    let shown = || String::from_utf8_lossy(path).into_owned();
    let text = std::str::from_utf8(path).ok().and_then(clean);
    text.ok_or_else(|| Error::invalid(format!("the archive has a member with the name {:?}", shown())))
}

/// What a symbolic link in the archive points to.
fn beside(link: &str, target: &[u8]) -> Result<String> {
    let folder = link.rsplit_once('/').map_or("", |(folder, _)| folder);
    let refused = || Error::invalid(format!("the archive's link {link:?} leads out of it"));
    let target = std::str::from_utf8(target).map_err(|_| refused())?;
    clean(&format!("{folder}/{target}")).filter(|_| !target.starts_with('/')).ok_or_else(refused)
}

/// Without `.` and `..`; nothing for a name that climbs out.
fn clean(name: &str) -> Option<String> {
    let mut parts = Vec::new();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_in_the_archive() {
        assert_eq!(name(b"./a//b/../c").unwrap(), "a/c");
        assert_eq!(name(b"/a").unwrap(), "a");
        assert!(name(b"../a").is_err());
        assert!(name(b"a/../../b").is_err());
        assert!(name(b"\xff").is_err());
    }

    #[test]
    fn links_are_relative_to_their_folder() {
        assert_eq!(beside("b/layer.tar", b"../a/layer.tar").unwrap(), "a/layer.tar");
        assert!(beside("b/layer.tar", b"../../a").is_err());
        assert!(beside("b/layer.tar", b"/etc/passwd").is_err());
    }

    #[test]
    fn circles_of_links_end() {
        let mut archive = Archive::default();
        archive.insert("a".to_owned(), Member::Link("b".to_owned())).unwrap();
        archive.insert("b".to_owned(), Member::Link("a".to_owned())).unwrap();
        assert!(archive.file("a").unwrap_err().to_string().contains("link to a link"));
    }
}
