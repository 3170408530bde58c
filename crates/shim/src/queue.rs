//! Bytes that a slow reader has not taken yet.

use std::io::{self, IoSlice};
use std::os::fd::AsFd;

use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendFlags};

/// Bytes on their way to a descriptor that takes them when it can. Memory is given back when it is empty.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    bytes: Vec<u8>,
    /// Bytes at the beginning that are gone already.
    start: usize,
}

impl Queue {
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        // Moving the rest to the front costs at most what was written since the last time.
        if self.start > self.bytes.len() / 2 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Writes as much as goes, with `write`. `WouldBlock` is no error.
    pub(crate) fn flush(&mut self, mut write: impl FnMut(&[u8]) -> io::Result<usize>) -> io::Result<()> {
        while !self.is_empty() {
            match write(&self.bytes[self.start..]) {
                Ok(written) => self.start += written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        *self = Self::default();
        Ok(())
    }
}

/// Sends on a socket what goes at once, whatever the socket's mode, without a signal for a closed peer.
pub(crate) fn send_now(socket: impl AsFd, parts: &[IoSlice<'_>]) -> io::Result<usize> {
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    let send = || rustix::net::sendmsg(&socket, parts, &mut SendAncillaryBuffer::default(), flags);
    Ok(rustix::io::retry_on_intr(send)?)
}

/// Writes on a non-blocking descriptor what goes at once.
pub(crate) fn write_now(fd: impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    Ok(rustix::io::retry_on_intr(|| rustix::io::write(&fd, bytes))?)
}

/// What a read gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Read {
    Bytes(usize),
    /// Nothing, just now.
    Nothing,
    /// Nothing ever again.
    End,
}

impl From<Result<usize, Errno>> for Read {
    fn from(result: Result<usize, Errno>) -> Self {
        match result {
            Ok(0) => Self::End,
            Ok(count) => Self::Bytes(count),
            Err(Errno::AGAIN) => Self::Nothing,
            // A terminal whose other end is closed gives EIO; a client that was cut off a reset.
            Err(_) => Self::End,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bytes_leave_in_order_however_they_are_taken(steps: Vec<(Vec<u8>, u8)>) {
            let (mut queue, mut wanted, mut taken) = (Queue::default(), Vec::new(), Vec::new());
            for (bytes, portion) in steps {
                queue.push(&bytes);
                wanted.extend_from_slice(&bytes);
                let mut room = usize::from(portion);
                queue.flush(|rest| {
                    if room == 0 {
                        return Err(io::ErrorKind::WouldBlock.into());
                    }
                    let now = rest.len().min(room);
                    room -= now;
                    taken.extend_from_slice(&rest[..now]);
                    Ok(now)
                }).unwrap();
                prop_assert_eq!(queue.len(), wanted.len() - taken.len());
            }
            prop_assert!(wanted.starts_with(&taken));
        }
    }
}
