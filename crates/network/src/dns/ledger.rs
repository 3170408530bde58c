//! Questions that wait for other servers, written down where they survive the engine: in memory that the container's shim
//! has open, too. An engine that is killed between question and answer leaves them there, and the next one answers.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, PoisonError};

use dhow_errdefs::{Result, ResultExt};
use rustix::fs::MemfdFlags;

/// Bytes of an entry: length (two bytes, 0: none), port (two), address (four), question.
const ENTRY: usize = 520;
const HEAD: usize = 8;

/// Entries. The first that is free is used, so that mostly a page or two of memory are.
const ENTRIES: usize = 512;

/// The entries of one container. Format 1; it never gets to a disk, and another version begins with an empty one.
#[derive(Debug)]
pub(super) struct Ledger {
    file: File,
    free: Mutex<Vec<usize>>,
}

/// An entry, to be struck out when it is answered.
#[derive(Debug)]
#[must_use]
pub(super) struct Entry(Option<usize>);

impl Ledger {
    /// Memory for one.
    pub(super) fn memory() -> Result<OwnedFd> {
        rustix::fs::memfd_create("dhow-names", MemfdFlags::CLOEXEC)
            .map_err(std::io::Error::from)
            .context(|| "make memory for questions that wait")
    }

    /// One with nothing in it; what was in there comes along.
    pub(super) fn take_over(memory: OwnedFd) -> (Self, Vec<(SocketAddr, Vec<u8>)>) {
        let ledger = Self { file: memory.into(), free: Mutex::new((0..ENTRIES).rev().collect()) };
        let left = (0..ENTRIES).filter_map(|place| ledger.read(place)).collect();
        // Without an end there is nothing to read, and no memory is used.
        if let Err(error) = ledger.file.set_len(0) {
            tracing::warn!(%error, "strike out questions");
        }
        (ledger, left)
    }

    /// Writes a question down, if there is room for it.
    pub(super) fn note(&self, client: SocketAddr, question: &[u8]) -> Entry {
        let SocketAddr::V4(client) = client else { return Entry(None) };
        if question.len() > ENTRY - HEAD {
            return Entry(None);
        }
        let Some(place) = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop() else { return Entry(None) };
        let length = (question.len() as u16).to_le_bytes();
        let entry = [&length[..], &client.port().to_le_bytes(), &client.ip().octets(), question].concat();
        // What cannot be written down is answered all the same, by this engine.
        let _ = self.file.write_at(&entry, (place * ENTRY) as u64);
        Entry(Some(place))
    }

    /// It is answered.
    pub(super) fn strike(&self, entry: Entry) {
        let Some(place) = entry.0 else { return };
        let _ = self.file.write_at(&[0; 2], (place * ENTRY) as u64);
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(place);
    }

    fn read(&self, place: usize) -> Option<(SocketAddr, Vec<u8>)> {
        let mut entry = [0; ENTRY];
        let count = self.file.read_at(&mut entry, (place * ENTRY) as u64).ok()?;
        let length = usize::from(u16::from_le_bytes([entry[0], entry[1]]));
        if length == 0 || HEAD + length > count {
            return None;
        }
        let port = u16::from_le_bytes([entry[2], entry[3]]);
        let address = Ipv4Addr::new(entry[4], entry[5], entry[6], entry[7]);
        Some((SocketAddrV4::new(address, port).into(), entry[HEAD..HEAD + length].to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_struck_out_is_there_for_the_next_engine() {
        let memory = Ledger::memory().unwrap();
        let again = || memory.try_clone().unwrap();
        let (ledger, left) = Ledger::take_over(again());
        assert!(left.is_empty());
        let client = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        let answered = ledger.note(client(1), b"answered");
        let _waits = ledger.note(client(2), b"waits");
        ledger.strike(answered);
        let _also = ledger.note(client(3), b"also");
        let too_long = ledger.note(client(4), &[0; ENTRY]);
        ledger.strike(too_long);
        let (_ledger, mut left) = Ledger::take_over(again());
        left.sort();
        assert_eq!(left, [(client(2), b"waits".to_vec()), (client(3), b"also".to_vec())]);
        assert!(Ledger::take_over(again()).1.is_empty(), "once");
    }

    #[test]
    fn there_is_room_for_so_many() {
        let (ledger, _) = Ledger::take_over(Ledger::memory().unwrap());
        let mut entries: Vec<Entry> = (0..ENTRIES).map(|_| ledger.note(([127, 0, 0, 1], 9).into(), b"x")).collect();
        assert!(entries.iter().all(|entry| entry.0.is_some()));
        assert!(ledger.note(([127, 0, 0, 1], 9).into(), b"x").0.is_none());
        ledger.strike(entries.pop().unwrap());
        assert!(ledger.note(([127, 0, 0, 1], 9).into(), b"x").0.is_some());
    }
}
