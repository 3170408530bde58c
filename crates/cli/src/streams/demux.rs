//! Taking standard output and standard error apart again.

use std::io::{self, Write};

use dhow_api::stream::Channel;

/// Bytes of a header.
const HEADER: usize = 8;

/// Reads frames from pieces of any size and passes the bytes on as they come: a frame is never gathered.
#[derive(Debug, Default)]
pub(crate) struct Demux {
    header: [u8; HEADER],
    filled: usize,
    current: Option<Channel>,
    /// Bytes of the current frame that are still to come.
    left: u32,
    /// What the engine says in its own channel.
    said: Vec<u8>,
}

impl Demux {
    /// Takes a piece; payload goes to `out` and `err`.
    pub(crate) fn feed(&mut self, mut piece: &[u8], out: &mut impl Write, err: &mut impl Write) -> io::Result<()> {
        while !piece.is_empty() {
            if self.left == 0 {
                piece = self.take_header(piece)?;
                continue;
            }
            let (now, rest) = piece.split_at(piece.len().min(usize::try_from(self.left).unwrap_or(usize::MAX)));
            match self.current {
                Some(Channel::Stdout | Channel::Stdin) => out.write_all(now)?,
                Some(Channel::Stderr) => err.write_all(now)?,
                Some(Channel::System) | None => self.said.extend_from_slice(now),
            }
            self.left -= u32::try_from(now.len()).unwrap_or(u32::MAX);
            if self.left == 0 && self.current == Some(Channel::System) {
                let said = String::from_utf8_lossy(&self.said).into_owned();
                return Err(io::Error::other(format!("error from daemon in stream: {said}")));
            }
            piece = rest;
        }
        Ok(())
    }

    fn take_header<'p>(&mut self, piece: &'p [u8]) -> io::Result<&'p [u8]> {
        let (now, rest) = piece.split_at(piece.len().min(HEADER - self.filled));
        self.header[self.filled..self.filled + now.len()].copy_from_slice(now);
        self.filled += now.len();
        if self.filled == HEADER {
            self.filled = 0;
            let (channel, length) = Channel::from_header(self.header)
                .ok_or_else(|| io::Error::other(format!("unrecognized stream: {}", self.header[0])))?;
            (self.current, self.left) = (Some(channel), length);
        }
        Ok(rest)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(channel: Channel, payload: &[u8]) -> Vec<u8> {
        let mut bytes = channel.header(u32::try_from(payload.len()).unwrap()).to_vec();
        bytes.extend_from_slice(payload);
        bytes
    }

    #[test]
    fn the_engines_own_words_end_the_stream() {
        let error =
            Demux::default().feed(&frame(Channel::System, b"gone"), &mut Vec::new(), &mut Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), "error from daemon in stream: gone");
        let error = Demux::default().feed(b"HTTP/1.1 ", &mut Vec::new(), &mut Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), "unrecognized stream: 72");
    }

    proptest! {
        #[test]
        fn frames_survive_any_cutting(
            frames in proptest::collection::vec((any::<bool>(), proptest::collection::vec(any::<u8>(), 0..40)), 0..6),
            step in 1..17_usize,
        ) {
            let (mut wire, mut expected) = (Vec::new(), [Vec::new(), Vec::new()]);
            for (to_err, payload) in &frames {
                wire.extend(frame(if *to_err { Channel::Stderr } else { Channel::Stdout }, payload));
                expected[usize::from(*to_err)].extend_from_slice(payload);
            }
            let (mut demux, mut out, mut err) = (Demux::default(), Vec::new(), Vec::new());
            for piece in wire.chunks(step) {
                demux.feed(piece, &mut out, &mut err).unwrap();
            }
            prop_assert_eq!([out, err], expected);
        }
    }
}
