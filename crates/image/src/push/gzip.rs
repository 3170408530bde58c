//! A gzip stream in which noise is stored as it is.
//!
//! Half of what images hold is compressed already (archives, pictures, packages); deflate takes longest for exactly that
//! and gains nothing. So the input is cut into blocks, and a block that looks like noise becomes a stored block
//! (RFC 1951, section 3.2.4). What is written depends on the input alone, not on how it comes.

use std::io::{self, Read};

use flate2::{Compress, Compression as Level, Crc, FlushCompress, Status};

/// How much is looked at at once: the length of the longest stored block, cut to a power of two.
const BLOCK: usize = 32 << 10;

/// A part of a block that is looked at: bytes are counted in the beginning of each quarter, and one is compressed.
const SAMPLE: usize = 2 << 10;

/// RFC 1952, section 2.3: deflate, no name, no time, an unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// The gzip stream of what is read.
pub(super) struct Gzip<R> {
    plain: R,
    deflate: Compress,
    /// Only for looking.
    probe: Compress,
    crc: Crc,
    block: Vec<u8>,
    /// Written and not yet read.
    ready: Vec<u8>,
    at: usize,
    /// The deflater holds something back, or may refer to what it has seen.
    warm: bool,
    ended: bool,
}

impl<R: Read> Gzip<R> {
    pub(super) fn new(plain: R, level: u32) -> Self {
        Self {
            plain,
            deflate: Compress::new(Level::new(level), false),
            probe: Compress::new(Level::new(1), false),
            crc: Crc::new(),
            block: Vec::with_capacity(BLOCK),
            ready: HEADER.to_vec(),
            at: 0,
            warm: false,
            ended: false,
        }
    }

    fn advance(&mut self) -> io::Result<()> {
        (self.at, self.block) = (0, std::mem::take(&mut self.block));
        self.ready.clear();
        self.block.clear();
        self.plain.by_ref().take(BLOCK as u64).read_to_end(&mut self.block)?;
        self.crc.update(&self.block);
        if self.block.len() == BLOCK && self.is_noise()? {
            return self.store();
        }
        if !self.block.is_empty() {
            self.warm = true;
            self.deflate(FlushCompress::None)?;
        }
        if self.block.len() < BLOCK {
            self.end()?;
        }
        Ok(())
    }

    /// Whether no byte is much more frequent than the others, and nothing comes again soon.
    fn is_noise(&mut self) -> io::Result<bool> {
        let mut counts = [0_u32; 256];
        let samples = self.block.chunks(BLOCK / 4).map(|quarter| &quarter[..SAMPLE]);
        samples.flatten().for_each(|&byte| counts[usize::from(byte)] += 1);
        let squares: u64 = counts.iter().map(|&count| u64::from(count).pow(2)).sum();
        // Noise has length² / 256 + length; one part in sixteen more is worth half a percent to Huffman's code.
        let length = 4 * SAMPLE as u64;
        let flat = length * length / 256;
        if squares > flat + flat / 16 + length {
            return Ok(false);
        }
        self.probe.reset();
        let mut out = Vec::with_capacity(2 * SAMPLE);
        self.probe.compress_vec(&self.block[BLOCK / 2..][..SAMPLE], &mut out, FlushCompress::Finish)?;
        Ok(out.len() >= SAMPLE - SAMPLE / 32)
    }

    fn store(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.warm) {
            // Ends on a whole byte, and what comes later will not refer to what was before this block.
            let block = std::mem::take(&mut self.block);
            self.deflate(FlushCompress::Full)?;
            self.block = block;
        }
        let length = u16::try_from(self.block.len()).map_err(io::Error::other)?;
        self.ready.push(0);
        self.ready.extend(length.to_le_bytes());
        self.ready.extend((!length).to_le_bytes());
        self.ready.extend_from_slice(&self.block);
        Ok(())
    }

    /// Compresses the block.
    fn deflate(&mut self, flush: FlushCompress) -> io::Result<()> {
        let before = self.deflate.total_in();
        loop {
            let read = usize::try_from(self.deflate.total_in() - before).map_err(io::Error::other)?;
            self.ready.reserve(BLOCK);
            let status = self.deflate.compress_vec(&self.block[read..], &mut self.ready, flush)?;
            let all = self.deflate.total_in() - before == self.block.len() as u64;
            let done = match flush {
                FlushCompress::Finish => status == Status::StreamEnd,
                // All is out when there is room left.
                _ => all && self.ready.len() < self.ready.capacity(),
            };
            if done {
                return Ok(());
            }
        }
    }

    fn end(&mut self) -> io::Result<()> {
        self.block.clear();
        self.deflate(FlushCompress::Finish)?;
        self.ready.extend(self.crc.sum().to_le_bytes());
        self.ready.extend(self.crc.amount().to_le_bytes());
        self.ended = true;
        Ok(())
    }
}

impl<R: Read> Read for Gzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.ready.len() && !self.ended {
            self.advance()?;
        }
        let length = buffer.len().min(self.ready.len() - self.at);
        buffer[..length].copy_from_slice(&self.ready[self.at..self.at + length]);
        self.at += length;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use flate2::read::MultiGzDecoder;

    use super::*;

    /// Hands out a few bytes at a time.
    struct Drip<'a>(&'a [u8], usize);

    impl Read for Drip<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = self.0.len().min(buffer.len()).min(self.1);
            let (now, later) = self.0.split_at(length);
            buffer[..length].copy_from_slice(now);
            self.0 = later;
            Ok(length)
        }
    }

    fn packed(plain: impl Read) -> Vec<u8> {
        let mut packed = Vec::new();
        Gzip::new(plain, 2).read_to_end(&mut packed).expect("it is in memory");
        packed
    }

    fn noise(length: usize) -> Vec<u8> {
        let mut dice = fastrand::Rng::with_seed(7);
        (0..length).map(|_| dice.u8(..)).collect()
    }

    fn text(length: usize) -> Vec<u8> {
        (0_u32..).flat_map(|number| number.to_string().into_bytes()).take(length).collect()
    }

    #[test]
    fn what_was_mixed_comes_out_again() {
        let parts = [text(100_000), noise(100_000), text(70_000), noise(BLOCK), text(5), vec![0; 1 << 20], noise(3)];
        for length in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 200_000, usize::MAX] {
            let mut plain = parts.concat();
            plain.truncate(length);
            let mut back = Vec::new();
            MultiGzDecoder::new(&packed(&plain[..])[..]).read_to_end(&mut back).expect("gzip");
            assert!(back == plain, "{length} bytes");
        }
    }

    #[test]
    fn how_it_comes_does_not_matter() {
        let plain = [text(90_000), noise(90_000), text(90_000)].concat();
        let whole = packed(&plain[..]);
        assert_eq!(packed(Drip(&plain, 1)), whole);
        assert_eq!(packed(Drip(&plain, 40_001)), whole);
    }

    #[test]
    fn noise_hardly_grows_and_text_shrinks() {
        assert!(packed(&noise(1 << 20)[..]).len() < (1 << 20) + 1024);
        assert!(packed(&text(1 << 20)[..]).len() < 1 << 19);
        // Flat, but no noise.
        let ramp: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
        assert!(packed(&ramp[..]).len() < 1 << 16);
    }
}
