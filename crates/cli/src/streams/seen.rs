//! How much of a container's output was shown, so that somebody can go on with it elsewhere.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of each stream that were shown.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    out: AtomicU64,
    err: AtomicU64,
}

impl Seen {
    /// Shows a container's output from its beginning, without what was shown before.
    pub(crate) fn fresh<O: Write, E: Write>(&self, out: O, err: E) -> (Fresh<'_, O>, Fresh<'_, E>) {
        (Fresh::new(out, &self.out), Fresh::new(err, &self.err))
    }
}

/// Counts what is written, and leaves out the beginning, which was written before.
pub(crate) struct Fresh<'s, W> {
    to: W,
    seen: &'s AtomicU64,
    /// Bytes that come again.
    again: u64,
}

impl<'s, W> Fresh<'s, W> {
    fn new(to: W, seen: &'s AtomicU64) -> Self {
        Self { to, seen, again: seen.load(Ordering::Relaxed) }
    }
}

impl<W: Write> Write for Fresh<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let again = bytes.len().min(usize::try_from(self.again).unwrap_or(usize::MAX));
        self.again -= again as u64;
        let fresh = &bytes[again..];
        if fresh.is_empty() {
            return Ok(again);
        }
        let written = self.to.write(fresh)?;
        self.seen.fetch_add(written as u64, Ordering::Relaxed);
        Ok(again + written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_shown_is_not_shown_again() {
        let (seen, mut shown, mut errors) = (Seen::default(), Vec::new(), Vec::new());
        for (so_far, piece) in [("abc", 2), ("abcde", 1), ("abcdefgh", 3)] {
            let (mut out, mut err) = seen.fresh(&mut shown, &mut errors);
            so_far.as_bytes().chunks(piece).for_each(|piece| out.write_all(piece).unwrap());
            err.write_all(b"x").unwrap();
        }
        assert_eq!((shown.as_slice(), errors.as_slice()), (&b"abcdefgh"[..], &b"x"[..]));
    }
}
