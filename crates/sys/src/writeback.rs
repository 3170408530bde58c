//! Files that go to the disk while more is written.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Asks the kernel to begin with writing a part of a file to the disk, and does not wait for it: the sync that comes later
/// has less to do. Promises nothing (sync_file_range(2), `SYNC_FILE_RANGE_WRITE`).
///
/// # Errors
/// What the kernel says, as of any write; `ESPIPE` for what is no file.
pub fn begin(file: impl AsFd, offset: u64, length: u64) -> io::Result<()> {
    let signed = |number: u64| libc::off64_t::try_from(number).map_err(io::Error::other);
    let (offset, length) = (signed(offset)?, signed(length)?);
    let file = file.as_fd().as_raw_fd();
    // SAFETY: takes numbers only, and changes no memory.
    match unsafe { libc::sync_file_range(file, offset, length, libc::SYNC_FILE_RANGE_WRITE) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn files_can_be_written_early_and_pipes_cannot() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[7; 100_000]).unwrap();
        begin(&file, 0, 100_000).unwrap();
        let (reader, _writer) = io::pipe().unwrap();
        assert!(begin(reader, 0, 1).is_err());
    }
}
