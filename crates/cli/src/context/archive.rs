//! A context as a file that can be given to others: a tar archive with `meta.json` and `tls/ENDPOINT/FILE`.

use std::io::{self, Read, Write};
use std::path::Path;

use dhow_errdefs::{Error, Result, ResultExt};
use tar::{Archive, Builder, EntryType, Header};

use super::{Material, Meta};

/// Most bytes of one file in an archive, so that a strange one does not fill the memory.
const LARGEST: u64 = 10 << 20;

/// Writes the archive.
pub(crate) fn write(meta: &Meta, material: &Material, to: impl Write) -> Result<()> {
    let step = || format!("export context {:?}", meta.name);
    let text = serde_json::to_vec(meta).map_err(|cause| Error::internal("encode a context").with_cause(cause))?;
    let mut archive = Builder::new(to);
    add(&mut archive, "meta.json", 0o644, &text).context(step)?;
    folder(&mut archive, "tls").context(step)?;
    let mut last = None;
    for ((endpoint, file), content) in material {
        if last.replace(endpoint) != Some(endpoint) {
            folder(&mut archive, &format!("tls/{endpoint}")).context(step)?;
        }
        add(&mut archive, &format!("tls/{endpoint}/{file}"), 0o600, content).context(step)?;
    }
    archive.into_inner().and_then(|mut to| to.flush()).context(step)
}

fn add<W: Write>(archive: &mut Builder<W>, path: &str, mode: u32, content: &[u8]) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(mode);
    header.set_mtime(0);
    archive.append_data(&mut header, path, content)
}

fn folder<W: Write>(archive: &mut Builder<W>, path: &str) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Directory);
    header.set_size(0);
    header.set_mode(0o700);
    header.set_mtime(0);
    archive.append_data(&mut header, path, io::empty())
}

/// Reads an archive. Only names that a context has are taken, so nothing can be put elsewhere.
pub(crate) fn read(from: impl Read) -> Result<(Meta, Material)> {
    let (mut meta, mut material) = (None, Material::new());
    let mut archive = Archive::new(from);
    for entry in archive.entries().context(|| "read the archive")? {
        let entry = entry.or_else(|error| match error.raw_os_error() {
            Some(_) => Err(error).context(|| "read the archive"),
            // Docker's words, for whatever is no archive.
            None => Err(Error::invalid("unexpected EOF")),
        })?;
        if entry.header().entry_type() == EntryType::Directory {
            continue;
        }
        let path = entry.path().context(|| "read the archive")?.into_owned();
        let mut content = Vec::new();
        entry.take(LARGEST + 1).read_to_end(&mut content).context(|| format!("read {}", path.display()))?;
        if content.len() as u64 > LARGEST {
            return Err(Error::invalid(format!("{}: too large for a context", path.display())));
        }
        let parts: Vec<&str> = path.iter().map(|part| part.to_str().unwrap_or_default()).collect();
        match parts[..] {
            ["meta.json"] => meta = Some(serde_json::from_slice(&content).map_err(not_meta)?),
            ["tls", endpoint, file] if is_name(endpoint) && is_name(file) => {
                material.insert((endpoint.to_owned(), file.to_owned()), content);
            }
            _ => return Err(unexpected(&path)),
        }
    }
    let meta = meta.ok_or_else(|| Error::invalid("invalid context: no metadata found"))?;
    Ok((meta, material))
}

fn not_meta(cause: serde_json::Error) -> Error {
    Error::invalid("invalid context: parse meta.json").with_cause(cause)
}

fn is_name(part: &str) -> bool {
    !matches!(part, "" | "." | "..") && !part.contains('/')
}

fn unexpected(path: &Path) -> Error {
    Error::invalid(format!("{}: unexpected context file", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Endpoint;

    #[test]
    fn what_is_written_can_be_read() {
        let meta = Meta::new("far", "d".into(), Endpoint::new("ssh://me@box".into(), false));
        let material = Material::from([
            (("docker".into(), "ca.pem".into()), b"c".to_vec()),
            (("docker".into(), "key.pem".into()), b"k".to_vec()),
        ]);
        let mut archive = Vec::new();
        write(&meta, &material, &mut archive).unwrap();
        assert_eq!(read(&archive[..]).unwrap(), (meta, material));
    }

    #[test]
    fn strange_archives_are_refused() {
        let mut archive = Builder::new(Vec::new());
        add(&mut archive, "other", 0o644, b"x").unwrap();
        let refused = read(&archive.into_inner().unwrap()[..]).unwrap_err();
        assert_eq!(refused.to_string(), "other: unexpected context file");
        let mut header = Header::new_gnu();
        header.as_gnu_mut().unwrap().name[..17].copy_from_slice(b"tls/docker/../x/y");
        header.set_size(0);
        header.set_cksum();
        let mut archive = Builder::new(Vec::new());
        archive.append(&header, io::empty()).unwrap();
        assert!(read(&archive.into_inner().unwrap()[..]).is_err());
        assert!(read(&b"x"[..]).is_err() && read(io::empty()).is_err());
    }
}
