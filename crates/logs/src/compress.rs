//! Files that were rotated, compressed: in slices, so that the shim's only thread is never busy with it for long.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use flate2::read::{GzDecoder, MultiGzDecoder};
use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};
use rustix::fs::{Mode, OFlags};

use crate::files::{self, Origin};

/// Bytes per slice: about a millisecond.
const SLICE: usize = 64 * 1024;

/// A file on its way into its compressed form.
#[derive(Debug)]
pub(crate) struct Packing {
    source: File,
    encoder: GzEncoder<File>,
    /// How old the file is by now.
    age: u32,
    buffer: Vec<u8>,
}

impl Packing {
    /// Begins with the file of that age; `None` where it is to be left alone for now, because somebody follows who has
    /// come to it.
    pub(crate) fn begin(base: &Path, age: u32) -> io::Result<Option<Self>> {
        let source = File::open(files::path_of(base, age))?;
        if !files::can_be_locked(&source) {
            return Ok(None);
        }
        let Origin([device, inode, length, time]) = Origin::from(&source.metadata()?);
        let target = files::create_fresh(&files::unfinished_path_of(base))?;
        // A reader that has the file open finds it again by this.
        let encoder =
            GzBuilder::new().comment(format!("{device}:{inode}:{length}:{time}")).write(target, Compression::fast());
        Ok(Some(Self { source, encoder, age, buffer: vec![0; SLICE] }))
    }

    /// The log was rotated meanwhile.
    pub(crate) fn grow_older(&mut self) {
        self.age += 1;
    }

    /// Does a slice of the work; `true` when it is done and the compressed file has taken the place of the other.
    pub(crate) fn step(&mut self, base: &Path) -> io::Result<bool> {
        let count = self.source.read(&mut self.buffer)?;
        if count > 0 {
            self.encoder.write_all(&self.buffer[..count])?;
            return Ok(false);
        }
        self.encoder.try_finish()?;
        // It may have been too old meanwhile; then it is not made anew.
        let plain = files::path_of(base, self.age);
        if fs::exists(&plain)? {
            fs::rename(files::unfinished_path_of(base), files::packed_path_of(base, self.age))?;
            fs::remove_file(plain)?;
        } else {
            fs::remove_file(files::unfinished_path_of(base))?;
        }
        Ok(true)
    }
}

/// What it was made of, if we made it.
pub(crate) fn origin(packed: &File) -> Option<Origin> {
    let mut beginning = [0; 512];
    let count = packed.read_at(&mut beginning, 0).ok()?;
    let decoder = GzDecoder::new(&beginning[..count]);
    let comment = std::str::from_utf8(decoder.header()?.comment()?).ok()?;
    let mut fields = comment.split(':').map(str::parse);
    let mut next = || fields.next()?.ok();
    Some(Origin([next()?, next()?, next()?, next()?]))
}

/// The content of a compressed file in a file without a name, and whether all of it could be read. The directory takes
/// it, because it has room for logs and memory may not.
pub(crate) fn unpack(mut packed: File, directory: &Path) -> io::Result<(File, bool)> {
    packed.seek(SeekFrom::Start(0))?;
    let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
    let mut target: File = rustix::fs::open(directory, flags, Mode::RUSR | Mode::WUSR)?.into();
    let mut decoder = MultiGzDecoder::new(BufReader::with_capacity(SLICE, packed));
    let mut buffer = vec![0; SLICE];
    loop {
        match decoder.read(&mut buffer) {
            Ok(0) => return Ok((target, true)),
            Ok(count) => target.write_all(&buffer[..count])?,
            Err(_) => return Ok((target, false)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_compressed_in_slices_and_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("x.log");
        let text: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
        fs::write(files::path_of(&base, 1), &text).unwrap();
        let made_of = Origin::from(&fs::metadata(files::path_of(&base, 1)).unwrap());
        let mut packing = Packing::begin(&base, 1).unwrap().unwrap();
        let mut slices = 0;
        while !packing.step(&base).unwrap() {
            slices += 1;
        }
        assert_eq!(slices, text.len().div_ceil(SLICE));
        assert!(!files::path_of(&base, 1).exists() && !files::unfinished_path_of(&base).exists());
        let packed = File::open(files::packed_path_of(&base, 1)).unwrap();
        assert_eq!(origin(&packed), Some(made_of));
        let (mut file, whole) = unpack(packed, dir.path()).unwrap();
        let mut back = Vec::new();
        file.seek(SeekFrom::Start(0)).unwrap();
        file.read_to_end(&mut back).unwrap();
        assert!(whole && back == text);
    }

    #[test]
    fn what_somebody_follows_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("x.log");
        fs::write(files::path_of(&base, 1), "x").unwrap();
        let followed = File::open(files::path_of(&base, 1)).unwrap();
        files::follow(&followed);
        assert!(Packing::begin(&base, 1).unwrap().is_none());
    }
}
