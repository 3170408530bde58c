//! What one thread makes piece by piece, as one stream for another.

use std::io::{self, BufRead, Read};
use std::sync::mpsc::{self, Receiver, SyncSender};

/// The stream; it ends when whoever makes the pieces lets go.
#[derive(Debug)]
pub struct Pieces<P> {
    coming: Receiver<io::Result<P>>,
    piece: P,
    at: usize,
}

impl<P: AsRef<[u8]> + Default> Pieces<P> {
    /// Where pieces go in, and what they become. So many may wait to be read.
    #[must_use]
    pub fn channel(waiting: usize) -> (SyncSender<io::Result<P>>, Self) {
        let (sender, coming) = mpsc::sync_channel(waiting);
        (sender, Self { coming, piece: P::default(), at: 0 })
    }
}

impl<P: AsRef<[u8]>> BufRead for Pieces<P> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.piece.as_ref().len()
            && let Ok(next) = self.coming.recv()
        {
            (self.piece, self.at) = (next?, 0);
        }
        Ok(&self.piece.as_ref()[self.at..])
    }

    fn consume(&mut self, length: usize) {
        self.at += length;
    }
}

impl<P: AsRef<[u8]>> Read for Pieces<P> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let piece = self.fill_buf()?;
        let length = piece.len().min(buffer.len());
        buffer[..length].copy_from_slice(&piece[..length]);
        self.consume(length);
        Ok(length)
    }
}
