//! The eBPF program that decides about devices on v2, assembled by hand.
//!
//! The kernel runs it for each open(2) and mknod(2) of a device in the cgroup, with a `struct bpf_cgroup_dev_ctx` in
//! register 1: `{ u32 access << 16 | kind, u32 major, u32 minor }`; it returns 1 to allow and 0 to refuse.

use dhow_sys::bpf::Instruction;

use super::rules::{Device, MKNOD, Policy, READ, WRITE};

// Operations of `linux/bpf.h`: class, source or size, and what to do.
pub(crate) const LOAD_WORD: u8 = 0x61; // LDX | MEM | W
pub(crate) const MOVE_REGISTER: u8 = 0xbc; // ALU | MOV | X
pub(crate) const MOVE_CONSTANT: u8 = 0xb7; // ALU64 | MOV | K
pub(crate) const AND_CONSTANT: u8 = 0x54; // ALU | AND | K
pub(crate) const SHIFT_RIGHT: u8 = 0x74; // ALU | RSH | K
pub(crate) const JUMP_IF_EQUAL: u8 = 0x15; // JMP | JEQ | K
pub(crate) const JUMP_UNLESS_EQUAL: u8 = 0x55; // JMP | JNE | K
pub(crate) const EXIT: u8 = 0x95; // JMP | EXIT

const RESULT: u8 = 0;
const CONTEXT: u8 = 1;
const ACCESS: u8 = 2;
const KIND: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;

/// Assembles the program for a policy.
pub(crate) fn assemble(policy: &Policy) -> Vec<Instruction> {
    let mut program = vec![
        load(ACCESS, 0),
        Instruction { code: MOVE_REGISTER, registers: KIND | ACCESS << 4, ..Instruction::default() },
        constant(AND_CONSTANT, KIND, 0xffff),
        constant(SHIFT_RIGHT, ACCESS, 16),
        load(MAJOR, 4),
        load(MINOR, 8),
    ];
    for (device, access) in &policy.exceptions {
        exception(&mut program, policy.allow, device, *access);
    }
    verdict(&mut program, policy.allow);
    program
}

/// One exception: conditions that jump behind it when they fail, then the opposite of the default.
fn exception(program: &mut Vec<Instruction>, default: bool, device: &Device, access: u8) {
    let start = program.len();
    program.push(constant(JUMP_UNLESS_EQUAL, KIND, device.kind as i32));
    let every = access == MKNOD | READ | WRITE;
    if !every {
        program.push(Instruction { code: MOVE_REGISTER, registers: RESULT | ACCESS << 4, ..Instruction::default() });
        if default {
            // Refused when any of the refused accesses is asked for.
            program.push(constant(AND_CONSTANT, RESULT, access.into()));
            program.push(constant(JUMP_IF_EQUAL, RESULT, 0));
        } else {
            // Allowed when nothing beyond the allowed accesses is asked for.
            program.push(constant(AND_CONSTANT, RESULT, !i32::from(access)));
            program.push(constant(JUMP_UNLESS_EQUAL, RESULT, 0));
        }
    }
    for (register, number) in [(MAJOR, device.major), (MINOR, device.minor)] {
        if let Some(number) = number {
            program.push(constant(JUMP_UNLESS_EQUAL, register, number.cast_signed()));
        }
    }
    verdict(program, !default);
    let end = program.len();
    for (at, instruction) in program.iter_mut().enumerate().skip(start) {
        if matches!(instruction.code, JUMP_IF_EQUAL | JUMP_UNLESS_EQUAL) {
            instruction.offset = i16::try_from(end - at - 1).expect("an exception has at most ten instructions");
        }
    }
}

fn verdict(program: &mut Vec<Instruction>, allow: bool) {
    program.push(constant(MOVE_CONSTANT, RESULT, allow.into()));
    program.push(Instruction { code: EXIT, ..Instruction::default() });
}

fn load(register: u8, offset: i16) -> Instruction {
    Instruction { code: LOAD_WORD, registers: register | CONTEXT << 4, offset, immediate: 0 }
}

fn constant(code: u8, register: u8, immediate: i32) -> Instruction {
    Instruction { code, registers: register, offset: 0, immediate }
}

#[cfg(test)]
mod tests {
    use super::super::rules::{Kind, Rule, parse_access};
    use super::*;

    /// Interprets the few operations that [`assemble`] uses.
    fn run(program: &[Instruction], context: [u32; 3]) -> bool {
        let mut registers = [0_u64; 11];
        let mut at = 0;
        loop {
            let step = program[at];
            let [to, from] = [usize::from(step.registers & 15), usize::from(step.registers >> 4)];
            let value = step.immediate as i64 as u64;
            at += 1;
            match step.code {
                LOAD_WORD => registers[to] = context[step.offset as usize / 4].into(),
                MOVE_REGISTER => registers[to] = registers[from] & 0xffff_ffff,
                MOVE_CONSTANT => registers[to] = value,
                AND_CONSTANT => registers[to] = registers[to] & value & 0xffff_ffff,
                SHIFT_RIGHT => registers[to] = (registers[to] & 0xffff_ffff) >> value,
                JUMP_IF_EQUAL if registers[to] == value => at += step.offset as usize,
                JUMP_UNLESS_EQUAL if registers[to] != value => at += step.offset as usize,
                JUMP_IF_EQUAL | JUMP_UNLESS_EQUAL => {}
                EXIT => return registers[0] == 1,
                other => panic!("unknown operation {other:#x}"),
            }
        }
    }

    fn decides_like(policy: &Policy) {
        let program = assemble(policy);
        for kind in [Kind::Block, Kind::Char] {
            for major in [0, 1, 5, 8, 136, 4095] {
                for minor in [0, 3, 5, 1_048_575] {
                    for access in 1..8_u8 {
                        let context = [u32::from(access) << 16 | kind as u32, major, minor];
                        let expected = policy.allows(kind, major, minor, access);
                        assert_eq!(run(&program, context), expected, "{policy:?} {kind:?} {major}:{minor} {access}");
                    }
                }
            }
        }
    }

    fn rule(allow: bool, kind: Kind, numbers: (Option<u32>, Option<u32>), access: &str) -> Rule {
        let device = Device { kind, major: numbers.0, minor: numbers.1 };
        Rule { allow, device: Some(device), access: parse_access(access).unwrap() }
    }

    #[test]
    fn the_program_decides_as_the_policy_says() {
        let all = |allow| Rule { allow, device: None, access: 7 };
        let lists: [&[Rule]; 5] = [
            &[all(false)],
            &[all(true)],
            &[
                all(false),
                rule(true, Kind::Char, (None, None), "m"),
                rule(true, Kind::Block, (None, None), "m"),
                rule(true, Kind::Char, (Some(1), Some(3)), "rwm"),
                rule(true, Kind::Char, (Some(136), None), "rw"),
                rule(true, Kind::Block, (Some(8), Some(0)), "r"),
            ],
            &[
                all(true),
                rule(false, Kind::Block, (Some(8), None), "w"),
                rule(false, Kind::Char, (Some(1), Some(5)), "rwm"),
            ],
            &[rule(true, Kind::Char, (None, Some(3)), "w")],
        ];
        for rules in lists {
            decides_like(&Policy::fold(rules).unwrap());
        }
    }

    #[test]
    fn the_kernel_accepts_the_program() {
        let rules = [rule(true, Kind::Char, (Some(1), Some(3)), "rw"), rule(true, Kind::Block, (None, None), "m")];
        let program = assemble(&Policy::fold(&rules).unwrap());
        match dhow_sys::bpf::load_device_program(&program) {
            Ok(_) => {}
            Err(error) if error.raw_os_error() == Some(1) => eprintln!("not run: needs CAP_BPF"),
            Err(error) => panic!("{error}"),
        }
    }
}
