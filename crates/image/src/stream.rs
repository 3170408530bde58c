//! Streams that may be compressed.

use std::cell::Cell;
use std::io::{self, BufRead, BufReader, Read};
use std::rc::Rc;

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_store::{Compression, Limits, Whole};

/// How much is read at once: stays in the cache of a core, and what is allocated for it in the allocator's hands.
pub(crate) const PIECE: usize = 64 << 10;

/// The uncompressed stream. A bomb (much out of little) ends with an error.
///
/// # Errors
/// As [`Compression::of`], or what reading says.
pub(crate) fn open<'a>(input: impl Read + 'a) -> Result<(Compression, Box<dyn BufRead + 'a>)> {
    let received = Rc::new(Cell::new(0));
    let input = BufReader::with_capacity(PIECE, Counted { inner: input, count: Rc::clone(&received) });
    let (compression, whole) = look(input)?;
    if compression == Compression::None {
        return Ok((compression, Box::new(whole)));
    }
    let plain = compression.decode(whole).context(|| "read the archive")?;
    let guarded = Guarded { inner: plain, received, out: 0 };
    Ok((compression, Box::new(BufReader::with_capacity(PIECE, guarded))))
}

/// How an archive is compressed, and the archive with the bytes that told it.
///
/// # Errors
/// As [`Compression::of`], or what reading says.
pub(crate) fn look<R: Read>(archive: R) -> Result<(Compression, Whole<R>)> {
    Compression::look(archive).map_err(|error| failed("read the archive", error))
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

    use flate2::write::GzEncoder;

    use super::*;

    #[test]
    fn a_truncated_stream_is_an_error() {
        let mut gzip = GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&[7; 4096]).unwrap();
        let bytes = gzip.finish().unwrap();
        let (_, mut stream) = open(&bytes[..bytes.len() - 9]).unwrap();
        assert!(io::copy(&mut stream, &mut io::sink()).is_err());
    }
}
