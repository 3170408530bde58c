//! Loop devices: a file as a block device (loop(4)). These functions allocate.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;

/// `LOOP_CTL_GET_FREE` and `LOOP_CONFIGURE` of linux/loop.h.
const GET_FREE: libc::c_ulong = 0x4C82;
const CONFIGURE: libc::c_ulong = 0x4C0A;

const READ_ONLY: u32 = 1;
/// The device lets go of the file when nobody has it open or mounted any more.
const AUTOCLEAR: u32 = 4;

/// How often another process may take the free device first.
const ATTEMPTS: usize = 64;

/// `struct loop_info64` of linux/loop.h.
#[repr(C)]
#[derive(Clone, Copy)]
struct Info {
    device: u64,
    inode: u64,
    rdevice: u64,
    offset: u64,
    size_limit: u64,
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    flags: u32,
    file_name: [u8; 64],
    crypt_name: [u8; 64],
    encrypt_key: [u8; 32],
    init: [u64; 2],
}

/// `struct loop_config` of linux/loop.h.
#[repr(C)]
struct Config {
    fd: u32,
    block_size: u32,
    info: Info,
    reserved: [u64; 8],
}

/// A device that stands for a file. It goes with the last of: this value, and whatever is mounted from it.
#[derive(Debug)]
pub struct LoopDevice {
    /// As in `/dev/loop3`.
    pub path: PathBuf,
    _device: File,
}

/// Gives a file a loop device.
///
/// # Errors
/// `EACCES` or `EPERM` without the right to configure devices; `EBUSY` when others were faster all the time.
pub fn of_file(file: impl AsFd, read_only: bool) -> io::Result<LoopDevice> {
    let control = OpenOptions::new().read(true).write(true).open("/dev/loop-control")?;
    let fd = file.as_fd().as_raw_fd().cast_unsigned();
    for _ in 0..ATTEMPTS {
        // SAFETY: LOOP_CTL_GET_FREE takes no argument.
        let number = match unsafe { libc::ioctl(control.as_raw_fd(), GET_FREE as libc::Ioctl) } {
            -1 => return Err(io::Error::last_os_error()),
            number => number,
        };
        let path = PathBuf::from(format!("/dev/loop{number}"));
        let device = OpenOptions::new().read(true).write(!read_only).open(&path)?;
        let flags = AUTOCLEAR | if read_only { READ_ONLY } else { 0 };
        // SAFETY: `Config` is made of integers only, for which all-zero is valid.
        let mut config: Config = unsafe { std::mem::zeroed() };
        (config.fd, config.info.flags) = (fd, flags);
        // SAFETY: LOOP_CONFIGURE reads a `loop_config`, which lives through the call.
        match unsafe { libc::ioctl(device.as_raw_fd(), CONFIGURE as libc::Ioctl, &raw const config) } {
            0 => return Ok(LoopDevice { path, _device: device }),
            _ => match io::Error::last_os_error() {
                error if error.raw_os_error() == Some(libc::EBUSY) => {}
                error => return Err(error),
            },
        }
    }
    Err(io::Error::from_raw_os_error(libc::EBUSY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_structures_are_the_kernels() {
        assert_eq!((size_of::<Info>(), size_of::<Config>()), (232, 304));
    }
}
