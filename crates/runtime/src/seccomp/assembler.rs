//! Classic BPF, assembled from the end to the start.
//!
//! A jump can only go forward, so whoever writes backward knows every target already, and a target that is too far
//! for the eight bits of a conditional jump gets its stepping stone at once.

use dhow_sys::seccomp::Instruction;

// Operations of `linux/bpf_common.h`.
const LOAD: u16 = 0x20; // LD | W | ABS
const AND: u16 = 0x54; // ALU | AND | K
const JUMP: u16 = 0x05; // JMP | JA
const IF_EQUAL: u16 = 0x15; // JMP | JEQ | K
const IF_GREATER: u16 = 0x25; // JMP | JGT | K
const IF_NOT_LESS: u16 = 0x35; // JMP | JGE | K
const RETURN: u16 = 0x06; // RET | K

/// A place in the program, as its distance from the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Label(usize);

/// The program so far, last instruction first.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    reversed: Vec<Instruction>,
}

impl Assembler {
    /// Ends the program with a value.
    pub(super) fn give(&mut self, value: u32) -> Label {
        self.push(RETURN, value, 0, 0)
    }

    /// Loads a word of `struct seccomp_data`.
    pub(super) fn load(&mut self, offset: u32) -> Label {
        self.push(LOAD, offset, 0, 0)
    }

    /// Masks what was loaded.
    pub(super) fn and(&mut self, mask: u32) -> Label {
        self.push(AND, mask, 0, 0)
    }

    /// Branches on equality.
    pub(super) fn if_equal(&mut self, value: u32, hit: Label, miss: Label) -> Label {
        self.branch(IF_EQUAL, value, hit, miss)
    }

    /// Branches on what was loaded being greater.
    pub(super) fn if_greater(&mut self, value: u32, hit: Label, miss: Label) -> Label {
        self.branch(IF_GREATER, value, hit, miss)
    }

    /// Branches on what was loaded being greater or equal.
    pub(super) fn if_not_less(&mut self, value: u32, hit: Label, miss: Label) -> Label {
        self.branch(IF_NOT_LESS, value, hit, miss)
    }

    /// The program in its order.
    pub(super) fn finish(mut self) -> Vec<Instruction> {
        self.reversed.reverse();
        self.reversed
    }

    fn branch(&mut self, code: u16, value: u32, hit: Label, miss: Label) -> Label {
        // A stepping stone moves the other target one further away: look at both with room for that.
        let hit = self.within_reach(hit);
        let miss = self.within_reach(miss);
        let (to_hit, to_miss) = (self.distance(hit), self.distance(miss));
        let short = |distance| u8::try_from(distance).expect("a stepping stone is at most two instructions away");
        self.push(code, value, short(to_hit), short(to_miss))
    }

    fn within_reach(&mut self, target: Label) -> Label {
        const REACH: usize = u8::MAX as usize - 1;
        if self.distance(target) <= REACH {
            return target;
        }
        let there = self.reversed[target.0];
        // The end of a program is as short as a jump to it.
        if there.code == RETURN { self.give(there.k) } else { self.push(JUMP, self.distance(target) as u32, 0, 0) }
    }

    /// How many instructions are between the next one and the target.
    fn distance(&self, target: Label) -> usize {
        self.reversed.len() - 1 - target.0
    }

    fn push(&mut self, code: u16, k: u32, jt: u8, jf: u8) -> Label {
        self.reversed.push(Instruction { code, jt, jf, k });
        Label(self.reversed.len() - 1)
    }
}
