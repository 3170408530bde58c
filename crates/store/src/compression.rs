//! How a stream is compressed, told by its first bytes.

use std::io::{self, BufRead, Chain, Cursor, Read};

use dhow_errdefs::{Error, Result};
use dhow_oci::media;
use flate2::bufread::MultiGzDecoder;

/// So many bytes tell all compressions apart.
const TELLING: u64 = 10;

/// A stream with the bytes that were read of it put back.
pub type Whole<R> = Chain<Cursor<Vec<u8>>, R>;

/// How a stream is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

impl Compression {
    /// What the first bytes say (RFC 1952, section 2.3.1; RFC 8878, section 3.1).
    ///
    /// # Errors
    /// [`NotImplemented`](dhow_errdefs::Class::NotImplemented) for bzip2 and xz.
    pub fn of(start: &[u8]) -> Result<Self> {
        let refused = |name: &str, tool: &str| {
            Err(Error::not_implemented(format!("the archive is compressed with {name}"))
                .with_hint(format!("decompress it first: `{tool}`")))
        };
        match start {
            [0x1f, 0x8b, ..] => Ok(Self::Gzip),
            // A frame of zstd, or one without contents before it: pzstd writes such.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Ok(Self::Zstd),
            // Three letters and a digit alone may begin the name of a tar's first file.
            [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, 0x53, 0x59, ..] => refused("bzip2", "bzip2 -d"),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => refused("xz", "xz -d"),
            _ => Ok(Self::None),
        }
    }

    /// Looks at the first bytes of a stream, and gives it whole again.
    ///
    /// # Errors
    /// What reading says, or what [`of`](Self::of) says, as it was, in an error of reading.
    pub fn look<R: Read>(mut stream: R) -> io::Result<(Self, Whole<R>)> {
        let mut start = Vec::new();
        stream.by_ref().take(TELLING).read_to_end(&mut start)?;
        let compression = Self::of(&start).map_err(|refused| io::Error::new(io::ErrorKind::Unsupported, refused))?;
        Ok((compression, Cursor::new(start).chain(stream)))
    }

    /// What a stream that is compressed like that was before.
    ///
    /// # Errors
    /// When there is no memory for that.
    pub fn decode<'a>(self, stream: impl BufRead + 'a) -> io::Result<Box<dyn Read + 'a>> {
        Ok(match self {
            Self::None => Box::new(stream),
            Self::Gzip => Box::new(MultiGzDecoder::new(stream)),
            Self::Zstd => Box::new(zstd::Decoder::with_buffer(stream)?),
        })
    }

    /// The media type of a layer that is compressed like that.
    #[must_use]
    pub fn layer_type(self) -> &'static str {
        match self {
            Self::None => media::OCI_LAYER,
            Self::Gzip => media::OCI_LAYER_GZIP,
            Self::Zstd => media::OCI_LAYER_ZSTD,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use dhow_errdefs::Class;
    use flate2::write::GzEncoder;

    use super::*;

    fn round_trip(bytes: &[u8]) -> (Compression, Vec<u8>) {
        let (compression, whole) = Compression::look(bytes).unwrap();
        let mut read = Vec::new();
        compression.decode(whole).unwrap().read_to_end(&mut read).unwrap();
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
        for plain in [&b"hello"[..], b"", b"BZh1 is a name"] {
            assert_eq!(round_trip(plain), (Compression::None, plain.to_vec()));
        }
    }

    #[test]
    fn other_compressions_are_refused_by_name() {
        for (start, name) in [(&b"BZh91AY&SY"[..], "bzip2"), (b"\xfd7zXZ\0", "xz")] {
            let error = Compression::of(start).unwrap_err();
            assert_eq!(error.class(), Class::NotImplemented);
            assert!(error.to_string().contains(name), "{error}");
            assert_eq!(Compression::look(start).err().unwrap().to_string(), error.to_string());
        }
    }
}
