//! Cutting what is read from a stream into lines.

use crate::format::MAX_LINE;

/// The line that is not complete yet. Lines are handed out as they are, newline included; one longer than
/// [`MAX_LINE`] is handed out in parts of that size, however the reads cut it.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    /// Adds bytes and hands out every line, or part of the largest size, that is complete with them.
    pub(crate) fn add(&mut self, mut bytes: &[u8], mut line: impl FnMut(&[u8])) {
        if !self.rest.is_empty() {
            let taken = next_cut(self.rest.len(), bytes);
            let (now, later) = bytes.split_at(taken.unwrap_or(bytes.len()));
            self.rest.extend_from_slice(now);
            if taken.is_none() {
                return;
            }
            line(&self.rest);
            self.rest.clear();
            bytes = later;
        }
        while let Some(end) = next_cut(0, bytes) {
            let (now, later) = bytes.split_at(end);
            line(now);
            bytes = later;
        }
        self.rest.extend_from_slice(bytes);
    }

    /// Hands out what is left: no more bytes will come.
    pub(crate) fn finish(&mut self, mut line: impl FnMut(&[u8])) {
        if !self.rest.is_empty() {
            line(&self.rest);
            self.rest = Vec::new();
        }
    }
}

/// Where `bytes` have to be cut if `before` bytes of the line are there already.
fn next_cut(before: usize, bytes: &[u8]) -> Option<usize> {
    let room = MAX_LINE - before;
    let window = &bytes[..bytes.len().min(room)];
    match memchr::memchr(b'\n', window) {
        Some(at) => Some(at + 1),
        None if window.len() == room => Some(room),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
        let (mut lines, mut found) = (Lines::default(), Vec::new());
        for piece in pieces {
            lines.add(piece, |line| found.push(line.to_vec()));
        }
        lines.finish(|line| found.push(line.to_vec()));
        found
    }

    #[test]
    fn a_line_of_the_largest_size_is_followed_by_its_newline() {
        let long = [vec![b'x'; MAX_LINE], b"\ny".to_vec()].concat();
        let found = cut(&[&long]);
        assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [MAX_LINE, 1, 1]);
    }

    proptest! {
        #[test]
        fn the_cuts_of_the_reads_do_not_matter(
            lengths in prop::collection::vec(0_usize..40_000, 0..6),
            cuts in prop::collection::vec(1_usize..30_000, 1..10),
        ) {
            let all: Vec<u8> = lengths.iter().flat_map(|n| [vec![b'x'; *n], vec![b'\n']].concat()).collect();
            let (mut pieces, mut rest) = (Vec::new(), all.as_slice());
            for size in cuts.iter().cycle() {
                if rest.is_empty() { break; }
                let (now, later) = rest.split_at((*size).min(rest.len()));
                pieces.push(now);
                rest = later;
            }
            let found = cut(&pieces);
            prop_assert_eq!(found.concat(), all.clone());
            prop_assert_eq!(found, cut(&[&all]));
        }
    }
}
