//! Output that a slow client has not taken yet.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{FallocateFlags, Mode, OFlags};

use crate::queue::Queue;

/// Bytes of it in memory; more waits in a file.
const MEMORY: usize = 128 * 1024;

/// Bytes that may wait in the file: as much as the default log keeps.
const LIMIT: u64 = 100 * 1000 * 1000;

/// Bytes that are read back at a time, and after which room is given back to the disk.
const PIECE: usize = 64 * 1024;
const HOLE: u64 = 4 << 20;

/// Bytes in order: the oldest in memory, then what is in a file without a name, then what found no room there.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    front: Queue,
    spill: Option<Spill>,
    rest: Queue,
}

#[derive(Debug)]
struct Spill {
    file: File,
    read: u64,
    written: u64,
    /// Bytes at its beginning whose room was given back.
    freed: u64,
}

impl Backlog {
    pub(crate) fn is_empty(&self) -> bool {
        self.front.is_empty() && self.spill.is_none() && self.rest.is_empty()
    }

    /// Nothing more can wait but in memory.
    pub(crate) fn is_full(&self) -> bool {
        !self.rest.is_empty()
    }

    /// It is short again.
    pub(crate) fn is_short(&self) -> bool {
        self.spill.is_none() && self.rest.is_empty()
    }

    /// Adds bytes. The file is made in `directory`; without one everything waits in memory.
    pub(crate) fn push(&mut self, bytes: &[u8], directory: Option<&Path>) {
        if self.is_short() && self.front.len() + bytes.len() <= MEMORY {
            return self.front.push(bytes);
        }
        if !self.rest.is_empty() || self.spill(bytes, directory).is_err() {
            self.rest.push(bytes);
        }
    }

    fn spill(&mut self, bytes: &[u8], directory: Option<&Path>) -> io::Result<()> {
        let spill = match &mut self.spill {
            Some(spill) => spill,
            None => {
                let file = unnamed(directory.ok_or(io::ErrorKind::Unsupported)?)?;
                self.spill.insert(Spill { file, read: 0, written: 0, freed: 0 })
            }
        };
        let result = spill.push(bytes);
        if spill.written == 0 {
            self.spill = None;
        }
        result
    }

    /// Writes as much as goes, with `write`. `WouldBlock` is no error.
    pub(crate) fn flush(&mut self, mut write: impl FnMut(&[u8]) -> io::Result<usize>) -> io::Result<()> {
        loop {
            self.front.flush(&mut write)?;
            if !self.front.is_empty() || !self.refill()? {
                return Ok(());
            }
        }
    }

    /// Brings the next bytes to the front; `false`: there are none.
    fn refill(&mut self) -> io::Result<bool> {
        let Some(spill) = &mut self.spill else {
            self.front = std::mem::take(&mut self.rest);
            return Ok(!self.front.is_empty());
        };
        let mut piece = vec![0; PIECE.min((spill.written - spill.read) as usize)];
        spill.file.read_exact_at(&mut piece, spill.read)?;
        self.front.push(&piece);
        spill.read += piece.len() as u64;
        if spill.read == spill.written {
            self.spill = None;
        } else {
            spill.free();
        }
        Ok(true)
    }
}

impl Spill {
    fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.written - self.read + bytes.len() as u64 > LIMIT {
            return Err(io::ErrorKind::StorageFull.into());
        }
        // What was written in part is written over, or read by nobody.
        self.file.write_all_at(bytes, self.written)?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    fn free(&mut self) {
        let length = self.read - self.freed;
        if length >= HOLE {
            let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            // Where the file system cannot, the room comes back with the file.
            let _ = rustix::fs::fallocate(&self.file, flags, self.freed, length);
            self.freed = self.read;
        }
    }
}

fn unnamed(directory: &Path) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
    Ok(rustix::fs::open(directory, flags, Mode::RUSR | Mode::WUSR)?.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

        #[test]
        fn bytes_leave_in_order_wherever_they_waited(
            steps in prop::collection::vec((0_usize..100_000, 0_usize..90_000), 1..40),
            on_disk: bool,
        ) {
            let dir = tempfile::tempdir().unwrap();
            let directory = on_disk.then(|| dir.path());
            let (mut backlog, mut pushed, mut taken) = (Backlog::default(), Vec::new(), Vec::new());
            let take = |backlog: &mut Backlog, taken: &mut Vec<u8>, mut room: usize| {
                backlog.flush(|rest| {
                    if room == 0 {
                        return Err(io::ErrorKind::WouldBlock.into());
                    }
                    let now = rest.len().min(room);
                    room -= now;
                    taken.extend_from_slice(&rest[..now]);
                    Ok(now)
                }).unwrap();
            };
            for (index, (size, room)) in steps.into_iter().enumerate() {
                let bytes: Vec<u8> = (0..size).map(|at| (at * 31 + index) as u8).collect();
                backlog.push(&bytes, directory);
                pushed.extend(bytes);
                take(&mut backlog, &mut taken, room);
                if on_disk {
                    prop_assert!(!backlog.is_full() && backlog.front.len() <= MEMORY + PIECE);
                }
            }
            take(&mut backlog, &mut taken, usize::MAX);
            prop_assert!(backlog.is_empty() && backlog.is_short());
            prop_assert!(taken == pushed);
        }
    }

    #[test]
    fn it_is_full_when_neither_memory_nor_disk_takes_more() {
        let mut backlog = Backlog::default();
        backlog.push(&[0; MEMORY], None);
        assert!(!backlog.is_full());
        backlog.push(&[0; 1], None);
        assert!(backlog.is_full());
        let dir = tempfile::tempdir().unwrap();
        let mut backlog = Backlog::default();
        for _ in 0..(LIMIT as usize / 1_000_000) {
            backlog.push(&[0; 1_000_000], Some(dir.path()));
            assert!(!backlog.is_full());
        }
        backlog.push(&[0; 1], Some(dir.path()));
        assert!(backlog.is_full());
    }
}
