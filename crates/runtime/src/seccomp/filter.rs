//! Rules become decisions: for each architecture a search tree over call numbers whose leaves are actions or
//! comparisons of arguments.

use std::collections::BTreeMap;

use dhow_errdefs::{Error, Result};
use dhow_oci::runtime::{LinuxSeccomp, LinuxSyscall};

use super::action::Action;
use super::arch::Arch;
use super::assembler::{Assembler, Label};
use super::condition::{Comparison, Condition};
use super::program::{MAX_INSTRUCTIONS, Program};
use super::{flags, table};

/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;

/// Compiles a filter for the native architecture and those the rules name.
///
/// The meaning is libseccomp's, as runc uses it: names an architecture does not have are passed over; all conditions
/// of a rule must hold, and several rules for one call are tried in turn; a rule without conditions wins over those
/// with; a call from an architecture that is not named kills the process.
///
/// Where the rules give no number for a default `SCMP_ACT_ERRNO`, calls newer than any they name answer `ENOSYS`
/// instead, so that C libraries fall back to older ones.
///
/// # Errors
/// `InvalidArgument` for names that mean nothing and for a program longer than the kernel takes.
pub fn compile(rules: &LinuxSeccomp) -> Result<Program> {
    let default = Action::parse(&rules.default_action, rules.default_errno_ret)?;
    if default.notifies() {
        return Err(Error::invalid("seccomp: SCMP_ACT_NOTIFY cannot be the default action"));
    }
    let parsed = rules.syscalls.iter().map(Rule::parse).collect::<Result<Vec<Rule<'_>>>>()?;
    let notifies = parsed.iter().any(|rule| rule.action.notifies());
    let stub = rules.default_action == "SCMP_ACT_ERRNO" && rules.default_errno_ret.is_none();
    let tables: BTreeMap<Arch, Calls> =
        architectures(rules)?.into_iter().map(|arch| (arch, Calls::collect(arch, &parsed, default))).collect();
    let instructions = assemble(&tables, default, stub);
    if instructions.len() > MAX_INSTRUCTIONS {
        let length = instructions.len();
        return Err(Error::invalid(format!("seccomp: {length} instructions are more than the kernel takes")));
    }
    Ok(Program::new(instructions, flags::parse(&rules.flags, notifies)?))
}

/// The native architecture, always, and those that are named.
fn architectures(rules: &LinuxSeccomp) -> Result<Vec<Arch>> {
    let mut found = vec![Arch::NATIVE];
    for name in &rules.architectures {
        found.extend(Arch::from_spec(name)?.filter(|arch| !found.contains(arch)));
    }
    Ok(found)
}

/// A rule with its words understood.
struct Rule<'a> {
    names: &'a [String],
    action: Action,
    /// Any of these lists has to hold, each as a whole. Empty: no condition.
    alternatives: Vec<Vec<Condition>>,
}

impl<'a> Rule<'a> {
    fn parse(rule: &'a LinuxSyscall) -> Result<Self> {
        let action = Action::parse(&rule.action, rule.errno_ret)?;
        if action.notifies() && rule.names.iter().any(|name| name == "write") {
            // The answer of the process outside could not be waited for: the runtime itself writes on the way there.
            return Err(Error::invalid("seccomp: SCMP_ACT_NOTIFY cannot be used for write"));
        }
        let conditions = rule.args.iter().map(Condition::parse).collect::<Result<Vec<Condition>>>()?;
        let repeated = conditions
            .iter()
            .enumerate()
            .any(|(at, one)| conditions[..at].iter().any(|earlier| earlier.argument == one.argument));
        let alternatives = match conditions.len() {
            0 => Vec::new(),
            // Two conditions on one argument have always meant "or" with runc, and profiles rely on it.
            _ if repeated => conditions.into_iter().map(|one| vec![one]).collect(),
            _ => vec![conditions],
        };
        Ok(Self { names: &rule.names, action, alternatives })
    }

    /// Whether the rule counts where its conditions cannot be checked, because the arguments proper are behind a
    /// pointer: without conditions it does, and with them only if that errs on the safe side.
    fn reaches_blindly(&self, default: Action) -> bool {
        self.alternatives.is_empty() || self.action.is_stricter(default)
    }
}

/// What is decided for one call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Decision {
    /// Tried in turn.
    conditional: Vec<(Vec<Condition>, Action)>,
    /// Without conditions.
    always: Option<Action>,
}

/// The decisions of one architecture by call number.
#[derive(Debug, Default)]
struct Calls {
    decisions: BTreeMap<u32, Decision>,
}

impl Calls {
    fn collect(arch: Arch, rules: &[Rule<'_>], default: Action) -> Self {
        let mut calls = Self::default();
        for rule in rules.iter().filter(|rule| rule.action != default) {
            for name in rule.names {
                if let Some(number) = table::number(arch, name) {
                    let cut =
                        |conditions: &Vec<Condition>| conditions.iter().map(|one| one.seen_by(arch, name)).collect();
                    let alternatives: Vec<Vec<Condition>> = rule.alternatives.iter().map(cut).collect();
                    calls.add(number, &alternatives, rule.action);
                }
                if let Some((number, selector)) =
                    table::multiplexed(arch, name).filter(|_| rule.reaches_blindly(default))
                {
                    let selected = Condition::new(0, Comparison::Equal(selector));
                    calls.add(number, &[vec![selected]], rule.action);
                }
            }
        }
        calls
    }

    fn add(&mut self, number: u32, alternatives: &[Vec<Condition>], action: Action) {
        let decision = self.decisions.entry(number).or_default();
        if alternatives.is_empty() {
            decision.always.get_or_insert(action);
        }
        for conditions in alternatives {
            let entry = (conditions.clone(), action);
            if !decision.conditional.contains(&entry) {
                decision.conditional.push(entry);
            }
        }
    }

    /// Adds the code for these calls, from the number in the accumulator on.
    fn assemble(&self, code: &mut Assembler, default: Action, beyond: Action) -> Label {
        let leaves = self.leaves(default, beyond);
        let mut ends: Vec<(Leaf<'_>, Label)> = Vec::new();
        let mut ranges: Vec<(u32, Label)> = Vec::new();
        for (first, leaf) in leaves.into_iter().rev() {
            let known = ends.iter().find(|(other, _)| *other == leaf).map(|(_, label)| *label);
            let label = known.unwrap_or_else(|| leaf.assemble(code, default));
            if known.is_none() {
                ends.push((leaf, label));
            }
            ranges.push((first, label));
        }
        ranges.reverse();
        search(code, &ranges)
    }

    /// The ranges of numbers with one outcome, each by its first number.
    fn leaves(&self, default: Action, beyond: Action) -> Vec<(u32, Leaf<'_>)> {
        let newest = self.decisions.keys().rfind(|number| *number & !table::X32_BIT < table::ARM_PRIVATE);
        let mut leaves = vec![(0, Leaf::Action(default))];
        for (number, decision) in &self.decisions {
            let leaf = match decision {
                Decision { always: Some(action), .. } => Leaf::Action(*action),
                conditional => Leaf::Conditions(conditional),
            };
            let after = Leaf::Action(if Some(number) == newest { beyond } else { default });
            // The place after the call before may be this very call.
            leaves.pop_if(|(first, _)| first == number);
            leaves.extend([(*number, leaf), (number + 1, after)]);
        }
        leaves.dedup_by(|later, earlier| later.1 == earlier.1);
        leaves
    }
}

/// The outcome for a range of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leaf<'a> {
    Action(Action),
    Conditions(&'a Decision),
}

impl Leaf<'_> {
    fn assemble(self, code: &mut Assembler, default: Action) -> Label {
        let decision = match self {
            Self::Action(action) => return code.give(action.0),
            Self::Conditions(decision) => decision,
        };
        let mut miss = code.give(default.0);
        for (conditions, action) in decision.conditional.iter().rev() {
            let mut next = code.give(action.0);
            for condition in conditions.iter().rev() {
                next = condition.assemble(code, next, miss);
            }
            miss = next;
        }
        miss
    }
}

/// A search tree over ranges: some seven comparisons for Docker's default profile, where a chain has hundreds.
fn search(code: &mut Assembler, ranges: &[(u32, Label)]) -> Label {
    if let [(_, label)] = ranges {
        return *label;
    }
    let (lower, upper) = ranges.split_at(ranges.len() / 2);
    let right = search(code, upper);
    let left = search(code, lower);
    code.if_not_less(upper[0].0, right, left)
}

/// The whole program: which architecture, then which call.
fn assemble(tables: &BTreeMap<Arch, Calls>, default: Action, stub: bool) -> Vec<dhow_sys::seccomp::Instruction> {
    let mut code = Assembler::default();
    let beyond = if stub { Action::NOT_KNOWN } else { default };
    let foreign = code.give(Action::KILL_PROCESS.0);
    let mut next = foreign;
    // The last in the program is looked at last: the native architecture comes first.
    let mut order: Vec<Arch> = tables.keys().copied().filter(|arch| *arch != Arch::X32).collect();
    order.sort_by_key(|arch| *arch == Arch::NATIVE);
    for arch in order {
        let mut entry = tables[&arch].assemble(&mut code, default, beyond);
        if arch == Arch::X86_64 {
            let x32 = tables.get(&Arch::X32).map_or(foreign, |calls| calls.assemble(&mut code, default, beyond));
            entry = code.if_not_less(table::X32_BIT, x32, entry);
        }
        debug_assert!(entry != foreign, "an architecture decides at least by its default");
        let entry = code.load(NUMBER);
        next = code.if_equal(arch.audit(), entry, next);
    }
    code.load(ARCH);
    code.finish()
}
