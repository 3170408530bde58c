//! Compressed streams, told apart by their first bytes.

use std::cell::Cell;
use std::io::{self, BufRead, BufReader, Read};
use std::rc::Rc;

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_oci::media;
use dhow_store::Limits;
use flate2::bufread::MultiGzDecoder;

/// How much is read at once: stays in the cache of a core, and what is allocated for it in the allocator's hands.
pub(crate) const PIECE: usize = 64 << 10;

/// How a stream is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Compression {
    /// What the first bytes say (RFC 1952, section 2.3.1; RFC 8878, section 3.1).
    ///
    /// # Errors
    /// [`NotImplemented`](dhow_errdefs::Class::NotImplemented) for bzip2 and xz.
    pub(crate) fn of(start: &[u8]) -> Result<Self> {
        let refused = |name: &str, tool: &str| {
            Err(Error::not_implemented(format!("the archive is compressed with {name}"))
                .with_hint(format!("decompress it first: `{tool}`")))
        };
        match start {
            [0x1f, 0x8b, ..] => Ok(Self::Gzip),
            // A frame of zstd, or one without contents before it.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Ok(Self::Zstd),
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => refused("bzip2", "bzip2 -d"),
            [0xfd, b'7', b'z', b'X', b'Z', ..] => refused("xz", "xz -d"),
            _ => Ok(Self::None),
        }
    }

    /// The media type of a layer that is compressed like that.
    pub(crate) fn layer_type(self) -> &'static str {
        match self {
            Self::None => media::OCI_LAYER,
            Self::Gzip => media::OCI_LAYER_GZIP,
            Self::Zstd => media::OCI_LAYER_ZSTD,
        }
    }
}

/// The uncompressed stream. A bomb (much out of little) ends with an error.
///
/// # Errors
/// As [`Compression::of`], or what reading says.
pub(crate) fn open<'a>(input: impl Read + 'a) -> Result<(Compression, Box<dyn BufRead + 'a>)> {
    let received = Rc::new(Cell::new(0));
    let mut input = BufReader::with_capacity(PIECE, Counted { inner: input, count: Rc::clone(&received) });
    let mut start = Vec::with_capacity(6);
    input.by_ref().take(6).read_to_end(&mut start).context(|| "read the archive")?;
    let compression = Compression::of(&start)?;
    let whole = io::Cursor::new(start).chain(input);
    let plain: Box<dyn Read + 'a> = match compression {
        Compression::None => return Ok((compression, Box::new(whole))),
        Compression::Gzip => Box::new(MultiGzDecoder::new(whole)),
        Compression::Zstd => Box::new(zstd::Decoder::with_buffer(whole).context(|| "read the archive")?),
    };
    let guarded = Guarded { inner: plain, received, out: 0 };
    Ok((compression, Box::new(BufReader::with_capacity(PIECE, guarded))))
}

/// The uncompressed stream of an archive that comes plain, gzipped or as zstd, found out by looking.
///
/// # Errors
/// [`NotImplemented`](dhow_errdefs::Class::NotImplemented) for bzip2 and xz, or what reading says.
pub fn inflate<'a>(input: impl Read + 'a) -> Result<Box<dyn BufRead + 'a>> {
    open(input).map(|(_, stream)| stream)
}

/// The failure that travelled in a reader's error, as it was.
pub(crate) fn failed(step: &str, error: io::Error) -> Error {
    match error.downcast::<Error>() {
        Ok(error) => error,
        Err(error) => Error::new(error.kind().into(), step).with_cause(error),
    }
}

struct Counted<R> {
    inner: R,
    count: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.count.set(self.count.get() + length as u64);
        Ok(length)
    }
}

struct Guarded<'a> {
    inner: Box<dyn Read + 'a>,
    received: Rc<Cell<u64>>,
    out: u64,
}

impl Read for Guarded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.out += length as u64;
        let Limits { ratio, ratio_from, .. } = Limits::default();
        if self.out > ratio_from && self.out / ratio > self.received.get() {
            let message = format!("the archive becomes more than {ratio} times as large as it is");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
        }
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use dhow_errdefs::Class;
    use flate2::write::GzEncoder;

    use super::*;

    fn round_trip(bytes: &[u8]) -> (Compression, Vec<u8>) {
        let (compression, mut stream) = open(bytes).unwrap();
        let mut read = Vec::new();
        stream.read_to_end(&mut read).unwrap();
        (compression, read)
    }

    #[test]
    fn streams_are_told_apart() {
        let mut gzip = GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(b"hello").unwrap();
        assert_eq!(round_trip(&gzip.finish().unwrap()), (Compression::Gzip, b"hello".to_vec()));
        let zstd = zstd::encode_all(&b"hello"[..], 1).unwrap();
        assert_eq!(round_trip(&zstd), (Compression::Zstd, b"hello".to_vec()));
        let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4][..], &zstd].concat();
        assert_eq!(round_trip(&skippable), (Compression::Zstd, b"hello".to_vec()));
        assert_eq!(round_trip(b"hello"), (Compression::None, b"hello".to_vec()));
        assert_eq!(round_trip(b""), (Compression::None, Vec::new()));
    }

    #[test]
    fn other_compressions_are_refused_by_name() {
        for (start, name) in [(&b"BZh91AY"[..], "bzip2"), (b"\xfd7zXZ\0", "xz")] {
            let error = open(start).err().unwrap();
            assert_eq!(error.class(), Class::NotImplemented);
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    #[test]
    fn a_truncated_stream_is_an_error() {
        let mut gzip = GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&[7; 4096]).unwrap();
        let bytes = gzip.finish().unwrap();
        let (_, mut stream) = open(&bytes[..bytes.len() - 9]).unwrap();
        assert!(io::copy(&mut stream, &mut io::sink()).is_err());
    }
}
