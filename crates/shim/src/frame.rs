//! Frames of bytes with descriptors: encoding, and decoding of what has arrived so far.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_sys::fdpass;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::protocol::MAX_FRAME;

/// Bytes of the length before each frame.
const HEAD: usize = 4;

/// How much is asked of the kernel at a time.
const CHUNK: usize = 4096;

const WITHOUT_ROOM: &str = "the container's shim has as many files open as it may, with its clients and execs; let some of \
                            them end, or raise the hard limit of the engine (LimitNOFILE in its unit, or `ulimit -Hn`) and \
                            start the container again";

/// A peer that sends descriptors with messages that take none is cut off before it uses up ours.
const MAX_WAITING_FDS: usize = 64;

/// A message as the bytes of a frame.
///
/// # Errors
/// `InvalidArgument` when it is longer than [`MAX_FRAME`].
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>> {
    let mut frame = vec![0; HEAD];
    serde_json::to_writer(&mut frame, message)
        .map_err(|error| Error::internal("encode a message to the shim").with_cause(error))?;
    let length = frame.len() - HEAD;
    if length > MAX_FRAME {
        return Err(Error::invalid(format!("a message of {length} bytes is longer than {MAX_FRAME}")));
    }
    frame[..HEAD].copy_from_slice(&(length as u32).to_le_bytes());
    Ok(frame)
}

/// What arrived on a connection and was not taken yet. It holds as much as the longest frame, and no more.
///
/// Descriptors keep the order in which they were sent, but one read can bring several frames and the descriptor of the
/// last of them; so who decodes a message that comes with a descriptor takes the next one.
#[derive(Debug, Default)]
pub struct Buffer {
    bytes: Vec<u8>,
    /// Bytes at the beginning that are decoded already.
    start: usize,
    /// `None`: there was no room for it.
    fds: VecDeque<Option<OwnedFd>>,
}

impl Buffer {
    /// Reads once from a socket. Returns the number of bytes; 0 is the end.
    ///
    /// # Errors
    /// What recvmsg(2) says; `WouldBlock` when nothing is there on a non-blocking socket; `InvalidData` for more
    /// descriptors than any messages need.
    pub fn fill(&mut self, socket: impl AsFd) -> io::Result<usize> {
        self.compact();
        let end = self.bytes.len();
        self.bytes.resize(end + CHUNK, 0);
        let mut fds = Vec::new();
        let result = fdpass::receive_what_fits(socket, &mut self.bytes[end..], &mut fds);
        self.bytes.truncate(end + result.as_ref().map_or(0, |received| received.bytes));
        let received = result?;
        self.fds.extend(fds.into_iter().map(Some));
        if received.lost {
            // A message comes with one at most.
            self.fds.push_back(None);
        }
        if self.fds.len() > MAX_WAITING_FDS {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "descriptors that no message takes"));
        }
        Ok(received.bytes)
    }

    /// Adds bytes that were received in another way.
    pub fn push(&mut self, bytes: &[u8]) {
        self.compact();
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole message; `None` when more has to arrive first.
    ///
    /// # Errors
    /// `DataLoss` for a frame that is too long or is no such message. The connection is of no use afterwards.
    pub fn decode<T: DeserializeOwned>(&mut self) -> Result<Option<T>> {
        let rest = &self.bytes[self.start..];
        let Some((head, rest)) = rest.split_first_chunk::<HEAD>() else { return Ok(None) };
        let length = u32::from_le_bytes(*head) as usize;
        if length > MAX_FRAME {
            return Err(Error::data_loss(format!("a frame of {length} bytes is longer than {MAX_FRAME}")));
        }
        let Some(body) = rest.get(..length) else { return Ok(None) };
        let message = serde_json::from_slice(body)
            .map_err(|error| Error::data_loss("decode a message between engine and shim").with_cause(error))?;
        self.start += HEAD + length;
        Ok(Some(message))
    }

    /// The descriptor that came with the message just decoded; `None`: none came.
    ///
    /// # Errors
    /// `ResourceExhausted` when there was no room for it.
    pub fn take_fd(&mut self) -> Result<Option<OwnedFd>> {
        match self.fds.pop_front() {
            Some(None) => Err(no_room()),
            found => Ok(found.flatten()),
        }
    }

    /// Drops what is decoded, and the memory of a large frame with it.
    fn compact(&mut self) {
        if self.start == 0 {
            return;
        }
        self.bytes.drain(..self.start);
        self.start = 0;
        if self.bytes.len() < CHUNK {
            self.bytes.shrink_to(2 * CHUNK);
        }
    }
}

/// The error of a message whose descriptor the shim cannot have.
pub(crate) fn no_room() -> Error {
    Error::exhausted("the container's shim has too many open files").with_hint(WITHOUT_ROOM)
}

/// Sends a whole frame with its descriptors on a blocking socket.
///
/// # Errors
/// What sendmsg(2) says.
pub fn send<T: Serialize>(socket: impl AsFd, message: &T, fds: &[BorrowedFd<'_>]) -> Result<()> {
    let frame = encode(message)?;
    let mut sent = fdpass::send(&socket, &frame, fds).context(|| "send to the shim")?;
    while sent < frame.len() {
        sent += fdpass::send(&socket, &frame[sent..], &[]).context(|| "send to the shim")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_descriptor_goes_to_its_message_also_when_frames_arrive_together() {
        let (a, b) = UnixStream::pair().unwrap();
        let (near, far) = UnixStream::pair().unwrap();
        send(&a, &"plain", &[]).unwrap();
        send(&a, &"with", &[near.as_fd()]).unwrap();
        send(&a, &"after", &[]).unwrap();
        drop((near, a));
        let mut buffer = Buffer::default();
        while buffer.fill(&b).unwrap() > 0 {}
        assert_eq!(buffer.decode::<String>().unwrap().unwrap(), "plain");
        assert_eq!(buffer.decode::<String>().unwrap().unwrap(), "with");
        let passed = UnixStream::from(buffer.take_fd().unwrap().unwrap());
        assert_eq!(buffer.decode::<String>().unwrap().unwrap(), "after");
        assert!(buffer.take_fd().unwrap().is_none());
        rustix::io::write(&passed, b"x").unwrap();
        let mut byte = [0];
        rustix::io::read(&far, &mut byte).unwrap();
        assert_eq!(&byte, b"x");
    }

    #[test]
    fn nonsense_is_an_error_and_not_a_crash() {
        let mut buffer = Buffer::default();
        buffer.push(&[255; 4]);
        assert!(buffer.decode::<String>().is_err());
        let mut buffer = Buffer::default();
        buffer.push(&[3, 0, 0, 0, b'{', b'}', b'x']);
        assert!(buffer.decode::<String>().is_err());
    }

    proptest! {
        #[test]
        fn messages_survive_any_cutting(messages: Vec<String>, cuts in prop::collection::vec(1_usize..40, 1..40)) {
            let stream: Vec<u8> = messages.iter().flat_map(|message| encode(message).unwrap()).collect();
            let (mut buffer, mut decoded, mut rest) = (Buffer::default(), Vec::new(), stream.as_slice());
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (now, later) = rest.split_at((*cut).min(rest.len()));
                buffer.push(now);
                rest = later;
                while let Some(message) = buffer.decode::<String>().unwrap() {
                    decoded.push(message);
                }
            }
            prop_assert_eq!(decoded, messages);
        }

        #[test]
        fn any_bytes_decode_or_fail(bytes: Vec<u8>) {
            let mut buffer = Buffer::default();
            buffer.push(&bytes);
            while let Ok(Some(_)) = buffer.decode::<crate::protocol::Request>() {}
        }
    }
}
