//! A compiled filter.

use std::io;
use std::os::fd::OwnedFd;

use dhow_errdefs::{Error, Result};
use dhow_sys::seccomp::{Instruction, load};

/// The first bytes of a program in bytes: what it is, and the version of the form.
const MAGIC: &[u8; 8] = b"dhowbpf1";
/// The kernel takes no longer program (`BPF_MAXINSNS`).
pub(super) const MAX_INSTRUCTIONS: usize = 4096;

/// A compiled filter: a classic BPF program and the flags to load it with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    instructions: Vec<Instruction>,
    flags: u32,
}

impl Program {
    pub(super) fn new(instructions: Vec<Instruction>, flags: u32) -> Self {
        Self { instructions, flags }
    }

    /// The instructions.
    #[must_use]
    pub fn instructions(&self) -> &[Instruction] {
        &self.instructions
    }

    /// The flags of seccomp(2), `SECCOMP_FILTER_FLAG_…`.
    #[must_use]
    pub fn flags(&self) -> u32 {
        self.flags
    }

    /// Puts the filter into force for the calling thread and all it executes. Async-signal-safe.
    ///
    /// # Errors
    /// `EACCES` without both `no_new_privs` and `CAP_SYS_ADMIN`; what seccomp(2) gives otherwise.
    pub fn load(&self) -> io::Result<Option<OwnedFd>> {
        load(&self.instructions, self.flags)
    }

    /// The program in bytes, for another process of the same build on the same machine: a mark, the flags, then the
    /// instructions, in the byte order of the machine as the kernel has them.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(12 + 8 * self.instructions.len());
        bytes.extend(MAGIC);
        bytes.extend(self.flags.to_ne_bytes());
        for instruction in &self.instructions {
            bytes.extend(instruction.code.to_ne_bytes());
            bytes.extend([instruction.jt, instruction.jf]);
            bytes.extend(instruction.k.to_ne_bytes());
        }
        bytes
    }

    /// The program that [`Program::to_bytes`] wrote.
    ///
    /// # Errors
    /// `DataLoss` for bytes of another form or length. Whether the instructions make sense is for the kernel to say.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let damaged = || Error::data_loss("the bytes are no seccomp program of this version");
        let rest = bytes.strip_prefix(MAGIC).ok_or_else(damaged)?;
        let (flags, rest) = rest.split_first_chunk::<4>().ok_or_else(damaged)?;
        let (instructions, []) = rest.as_chunks::<8>() else { return Err(damaged()) };
        if instructions.is_empty() || instructions.len() > MAX_INSTRUCTIONS {
            return Err(damaged());
        }
        let decode = |[c0, c1, jt, jf, k0, k1, k2, k3]: &[u8; 8]| Instruction {
            code: u16::from_ne_bytes([*c0, *c1]),
            jt: *jt,
            jf: *jf,
            k: u32::from_ne_bytes([*k0, *k1, *k2, *k3]),
        };
        Ok(Self { instructions: instructions.iter().map(decode).collect(), flags: u32::from_ne_bytes(*flags) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back() {
        let allow = Instruction { code: 6, jt: 1, jf: 2, k: 0x7fff_0000 };
        let program = Program::new(vec![allow; 3], 4);
        assert_eq!(Program::from_bytes(&program.to_bytes()).unwrap(), program);
    }

    #[test]
    fn other_bytes_are_refused() {
        let good = Program::new(vec![Instruction::default()], 0).to_bytes();
        for bytes in [&good[..12], &good[..19], b"", b"dhowbpf2aaaaaaaaaaaa"] {
            assert!(Program::from_bytes(bytes).is_err());
        }
    }
}
