//! Lines on their way to something that may be slow.

use crate::{Stream, Timestamp};

/// Length of the line, flags, time.
const HEAD: usize = 13;
const STDERR: u8 = 1;
const MORE: u8 = 2;

/// A line; those for a remote target have lost their newline.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Waiting<'a> {
    pub(crate) stream: Stream,
    pub(crate) time: Timestamp,
    /// It goes on in the next line of this stream.
    pub(crate) more: bool,
    pub(crate) line: &'a [u8],
}

/// Lines as they were read: what a target wants around them is added when they are sent, so that a flood of short ones
/// takes little room. Memory is given back when it is empty.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    bytes: Vec<u8>,
    /// Bytes at the beginning that are gone already.
    start: usize,
    lines: u64,
}

impl Queue {
    /// Bytes that wait.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    pub(crate) fn lines(&self) -> u64 {
        self.lines
    }

    /// Bytes a line will take.
    pub(crate) fn size_of(line: &[u8]) -> usize {
        HEAD + line.len()
    }

    pub(crate) fn push(&mut self, waiting: &Waiting<'_>) {
        // Moving the rest to the front costs at most what was taken since the last time.
        if self.start > self.bytes.len() / 2 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        let flags = if waiting.stream == Stream::Stderr { STDERR } else { 0 } | if waiting.more { MORE } else { 0 };
        self.bytes.extend_from_slice(&(waiting.line.len() as u32).to_le_bytes());
        self.bytes.push(flags);
        self.bytes.extend_from_slice(&waiting.time.0.to_le_bytes());
        self.bytes.extend_from_slice(waiting.line);
        self.lines += 1;
    }

    /// Gives the oldest line away.
    pub(crate) fn pop<T>(&mut self, take: impl FnOnce(Waiting<'_>) -> T) -> Option<T> {
        let (head, rest) = self.bytes[self.start..].split_first_chunk::<HEAD>()?;
        let [l0, l1, l2, l3, flags, time @ ..] = *head;
        let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        let taken = take(Waiting {
            stream: if flags & STDERR == 0 { Stream::Stdout } else { Stream::Stderr },
            time: Timestamp(i64::from_le_bytes(time)),
            more: flags & MORE != 0,
            line: &rest[..length],
        });
        self.start += HEAD + length;
        self.lines -= 1;
        if self.lines == 0 {
            *self = Self::default();
        }
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn lines_come_out_as_they_went_in(steps: Vec<(Vec<u8>, bool, bool, i64, u8)>) {
            let (mut queue, mut pushed, mut popped) = (Queue::default(), Vec::new(), Vec::new());
            let mut pop = |queue: &mut Queue| {
                queue.pop(|w| popped.push((w.line.to_vec(), w.stream == Stream::Stderr, w.more, w.time.0)))
            };
            for (line, stderr, more, time, pops) in steps {
                let stream = if stderr { Stream::Stderr } else { Stream::Stdout };
                queue.push(&Waiting { stream, time: Timestamp(time), more, line: &line });
                pushed.push((line, stderr, more, time));
                for _ in 0..pops % 3 {
                    pop(&mut queue);
                }
            }
            while pop(&mut queue).is_some() {}
            prop_assert_eq!(queue.len(), 0);
            prop_assert_eq!(pushed, popped);
        }
    }
}
