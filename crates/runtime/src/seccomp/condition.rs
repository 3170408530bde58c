//! Comparisons of a call's arguments.

use dhow_errdefs::{Error, Result};
use dhow_oci::runtime::LinuxSeccompArg;

use super::arch::Arch;
use super::assembler::{Assembler, Label};
use super::table;

/// One comparison of an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) argument: u32,
    comparison: Comparison,
    /// Only the lower 32 bits count.
    narrow: bool,
}

/// How it is compared, all unsigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal(u64),
    NotEqual(u64),
    Less(u64),
    LessOrEqual(u64),
    Greater(u64),
    GreaterOrEqual(u64),
    MaskedEqual { mask: u64, value: u64 },
}

impl Condition {
    pub(super) fn new(argument: u32, comparison: Comparison) -> Self {
        Self { argument, comparison, narrow: false }
    }

    /// The same condition, on the bits which that call of that architecture looks at: more would let a program hide a
    /// forbidden value behind a bit that the kernel throws away.
    pub(super) fn seen_by(self, arch: Arch, call: &str) -> Self {
        let (Comparison::Equal(value)
        | Comparison::NotEqual(value)
        | Comparison::Less(value)
        | Comparison::LessOrEqual(value)
        | Comparison::Greater(value)
        | Comparison::GreaterOrEqual(value)
        | Comparison::MaskedEqual { mask: value, .. }) = self.comparison;
        let int = table::takes_int(call, self.argument) && value >> 32 == 0;
        Self { narrow: arch.narrow() || int, ..self }
    }

    /// # Errors
    /// `InvalidArgument` for an argument that no call has and for an unknown comparison.
    pub(super) fn parse(arg: &LinuxSeccompArg) -> Result<Self> {
        if arg.index > 5 {
            return Err(Error::invalid(format!("seccomp: argument {} does not exist: calls have 0 to 5", arg.index)));
        }
        let comparison = match arg.op.as_str() {
            "SCMP_CMP_EQ" => Comparison::Equal(arg.value),
            "SCMP_CMP_NE" => Comparison::NotEqual(arg.value),
            "SCMP_CMP_LT" => Comparison::Less(arg.value),
            "SCMP_CMP_LE" => Comparison::LessOrEqual(arg.value),
            "SCMP_CMP_GT" => Comparison::Greater(arg.value),
            "SCMP_CMP_GE" => Comparison::GreaterOrEqual(arg.value),
            "SCMP_CMP_MASKED_EQ" => {
                Comparison::MaskedEqual { mask: arg.value, value: arg.value_two.unwrap_or(0) & arg.value }
            }
            other => return Err(Error::invalid(format!("seccomp: unknown comparison {other:?}"))),
        };
        Ok(Self::new(arg.index, comparison))
    }

    /// Adds the code that goes to `hit` when the comparison holds, else to `miss`; gives its entry. BPF compares 32
    /// bits, so the upper half decides first, and the lower half where the upper halves are equal.
    pub(super) fn assemble(self, code: &mut Assembler, hit: Label, miss: Label) -> Label {
        match self.comparison {
            Comparison::Equal(value) => self.equal(code, (u64::MAX, value), hit, miss),
            Comparison::NotEqual(value) => self.equal(code, (u64::MAX, value), miss, hit),
            Comparison::MaskedEqual { mask, value } => self.equal(code, (mask, value), hit, miss),
            Comparison::Greater(value) => {
                code.if_greater(value as u32, hit, miss);
                self.upper_half_first(code, value, hit, miss)
            }
            Comparison::LessOrEqual(value) => {
                code.if_greater(value as u32, miss, hit);
                self.upper_half_first(code, value, miss, hit)
            }
            Comparison::GreaterOrEqual(value) => {
                code.if_not_less(value as u32, hit, miss);
                self.upper_half_first(code, value, hit, miss)
            }
            Comparison::Less(value) => {
                code.if_not_less(value as u32, miss, hit);
                self.upper_half_first(code, value, miss, hit)
            }
        }
    }

    fn equal(self, code: &mut Assembler, (mask, value): (u64, u64), hit: Label, miss: Label) -> Label {
        code.if_equal(value as u32, hit, miss);
        let lower = self.load_masked(code, 0, mask as u32);
        if self.narrow {
            return lower;
        }
        code.if_equal((value >> 32) as u32, lower, miss);
        self.load_masked(code, 4, (mask >> 32) as u32)
    }

    /// Puts in front of a comparison of the lower half: its load, and the upper half, which alone decides where it
    /// is not equal.
    fn upper_half_first(self, code: &mut Assembler, value: u64, greater: Label, less: Label) -> Label {
        let lower = self.load_masked(code, 0, u32::MAX);
        if self.narrow {
            return lower;
        }
        let high = (value >> 32) as u32;
        let not_greater = code.if_equal(high, lower, less);
        code.if_greater(high, greater, not_greater);
        self.load_masked(code, 4, u32::MAX)
    }

    fn load_masked(self, code: &mut Assembler, half: u32, mask: u32) -> Label {
        if mask != u32::MAX {
            code.and(mask);
        }
        code.load(ARGUMENTS + 8 * self.argument + half)
    }

    /// Whether the comparison holds: what the code has to do, for the tests.
    #[cfg(test)]
    pub(super) fn holds(self, arguments: &[u64; 6]) -> bool {
        let cut = |value: u64| if self.narrow { value & 0xffff_ffff } else { value };
        let argument = cut(arguments[self.argument as usize]);
        match self.comparison {
            Comparison::Equal(value) => argument == cut(value),
            Comparison::NotEqual(value) => argument != cut(value),
            Comparison::Less(value) => argument < cut(value),
            Comparison::LessOrEqual(value) => argument <= cut(value),
            Comparison::Greater(value) => argument > cut(value),
            Comparison::GreaterOrEqual(value) => argument >= cut(value),
            Comparison::MaskedEqual { mask, value } => argument & cut(mask) == cut(value),
        }
    }
}

/// Where the arguments begin in `struct seccomp_data`; each has eight bytes, the lower half first on the machines dhow
/// runs on.
const ARGUMENTS: u32 = 16;
