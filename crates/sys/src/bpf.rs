//! eBPF programs that decide about device access in a cgroup of version 2 (bpf(2), `BPF_PROG_TYPE_CGROUP_DEVICE`).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// One instruction of an eBPF program (`struct bpf_insn`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Instruction {
    /// Operation.
    pub code: u8,
    /// Destination register in the low four bits, source register in the high four.
    pub registers: u8,
    /// Offset of a jump or of a memory access.
    pub offset: i16,
    /// Constant.
    pub immediate: i32,
}

const _: () = assert!(size_of::<Instruction>() == 8);

// Commands and constants of `linux/bpf.h`.
const PROG_LOAD: u32 = 5;
const PROG_ATTACH: u32 = 8;
const PROG_DETACH: u32 = 9;
const PROG_GET_FD_BY_ID: u32 = 13;
const PROG_QUERY: u32 = 16;
const TYPE_CGROUP_DEVICE: u32 = 15;
const ATTACH_CGROUP_DEVICE: u32 = 6;
const FLAG_ALLOW_MULTI: u32 = 2;
/// The kernel refuses more programs than this in one cgroup (`BPF_CGROUP_MAX_PROGS`).
const MAX_PROGRAMS: usize = 64;

/// The start of `union bpf_attr` for `BPF_PROG_LOAD`.
#[repr(C)]
#[derive(Default)]
struct LoadAttr {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buffer: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
}

/// The start of `union bpf_attr` for `BPF_PROG_ATTACH` and `BPF_PROG_DETACH`.
#[repr(C)]
#[derive(Default)]
struct AttachAttr {
    target: u32,
    program: u32,
    kind: u32,
    flags: u32,
}

/// The start of `union bpf_attr` for `BPF_PROG_QUERY`.
#[repr(C)]
#[derive(Default)]
struct QueryAttr {
    target: u32,
    kind: u32,
    query_flags: u32,
    attach_flags: u32,
    ids: u64,
    count: u32,
    padding: u32,
}

/// The start of `union bpf_attr` for `BPF_PROG_GET_FD_BY_ID`.
#[repr(C)]
#[derive(Default)]
struct IdAttr {
    id: u32,
    next: u32,
    open_flags: u32,
    padding: u32,
}

fn bpf<T>(command: u32, attr: &mut T) -> io::Result<i32> {
    // SAFETY: not wrapped by rustix. `attr` is one of the structures above, each a prefix of `union bpf_attr` without
    // padding bytes, and its size is passed along; the pointers in it are to memory that the callers keep borrowed.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attr), size_of::<T>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result as i32) }
}

/// Lets the kernel check and load a device program.
///
/// # Errors
/// `EPERM` without `CAP_BPF` in the initial user namespace, `EINVAL` or `EACCES` for a program that the verifier refuses.
pub fn load_device_program(program: &[Instruction]) -> io::Result<OwnedFd> {
    let count = u32::try_from(program.len()).map_err(|_| io::Error::from(rustix::io::Errno::TOOBIG))?;
    let mut attr = LoadAttr {
        kind: TYPE_CGROUP_DEVICE,
        count,
        instructions: program.as_ptr() as u64,
        license: c"Apache-2.0".as_ptr() as u64,
        name: *b"dhow_devices\0\0\0\0",
        ..LoadAttr::default()
    };
    let fd = bpf(PROG_LOAD, &mut attr)?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Attaches a program to a cgroup, beside those that are there: all have to allow.
///
/// # Errors
/// `EPERM` without `CAP_NET_ADMIN` or `CAP_BPF`, or where a parent's program does not allow others beside it.
pub fn attach_device_program(cgroup: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    let mut attr =
        AttachAttr { target: raw(cgroup), program: raw(program), kind: ATTACH_CGROUP_DEVICE, flags: FLAG_ALLOW_MULTI };
    bpf(PROG_ATTACH, &mut attr).map(drop)
}

/// The numbers of the device programs that are attached to a cgroup itself.
///
/// # Errors
/// What bpf(2) gives; `EINVAL` on kernels before 4.15.
pub fn device_programs(cgroup: BorrowedFd<'_>) -> io::Result<Vec<u32>> {
    let mut ids = [0_u32; MAX_PROGRAMS];
    let mut attr = QueryAttr {
        target: raw(cgroup),
        kind: ATTACH_CGROUP_DEVICE,
        ids: ids.as_mut_ptr() as u64,
        count: MAX_PROGRAMS as u32,
        ..QueryAttr::default()
    };
    bpf(PROG_QUERY, &mut attr)?;
    Ok(ids[..(attr.count as usize).min(MAX_PROGRAMS)].to_vec())
}

/// Detaches a program by its number.
///
/// # Errors
/// What bpf(2) gives; `ENOENT` when it is not there any more.
pub fn detach_device_program(cgroup: BorrowedFd<'_>, id: u32) -> io::Result<()> {
    let fd = bpf(PROG_GET_FD_BY_ID, &mut IdAttr { id, ..IdAttr::default() })?;
    // SAFETY: the kernel has just made this descriptor for us.
    let program = unsafe { OwnedFd::from_raw_fd(fd) };
    let mut attr = AttachAttr {
        target: raw(cgroup),
        program: program.as_raw_fd().cast_unsigned(),
        kind: ATTACH_CGROUP_DEVICE,
        flags: 0,
    };
    bpf(PROG_DETACH, &mut attr).map(drop)
}

fn raw(fd: BorrowedFd<'_>) -> u32 {
    fd.as_raw_fd().cast_unsigned()
}
