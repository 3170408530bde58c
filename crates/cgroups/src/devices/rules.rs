//! Device rules as the kernel's v1 controller understands them: a default and exceptions from it.
//!
//! The runtime-spec gives an ordered list of "allow" and "deny". The v1 controller folds such a list into one state
//! (security/device_cgroup.c); we fold it ourselves, so that v1 gets the fewest writes and v2 the same meaning.

use std::collections::BTreeMap;

use dhow_errdefs::{Error, Result};

/// May make the node with mknod(2).
pub(crate) const MKNOD: u8 = 1;
/// May open it for reading.
pub(crate) const READ: u8 = 2;
/// May open it for writing.
pub(crate) const WRITE: u8 = 4;
const ALL: u8 = MKNOD | READ | WRITE;

/// Block or character device; the numbers are those of `BPF_DEVCG_DEV_*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Block = 1,
    Char = 2,
}

/// Which devices: `None` stands for every number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Device {
    pub(crate) kind: Kind,
    pub(crate) major: Option<u32>,
    pub(crate) minor: Option<u32>,
}

/// One rule of the list; no device means all of every kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) allow: bool,
    pub(crate) device: Option<Device>,
    pub(crate) access: u8,
}

/// The folded rules.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Policy {
    /// What happens to a device without an exception.
    pub(crate) allow: bool,
    /// The accesses for which it is the other way round.
    pub(crate) exceptions: BTreeMap<Device, u8>,
}

impl Policy {
    /// Folds a list of rules, first to last.
    ///
    /// # Errors
    /// `InvalidArgument` for a rule that takes single devices out of an exception for a whole range: the kernel
    /// cannot express it and would silently go on allowing.
    pub(crate) fn fold(rules: &[Rule]) -> Result<Self> {
        let mut policy = Self::default();
        rules.iter().try_for_each(|rule| policy.apply(rule))?;
        Ok(policy)
    }

    fn apply(&mut self, rule: &Rule) -> Result<()> {
        let Some(device) = rule.device else {
            *self = Self { allow: rule.allow, exceptions: BTreeMap::new() };
            return Ok(());
        };
        if rule.allow != self.allow {
            *self.exceptions.entry(device).or_default() |= rule.access;
            return Ok(());
        }
        if let Some(access) = self.exceptions.get_mut(&device) {
            *access &= !rule.access;
            if *access == 0 {
                self.exceptions.remove(&device);
            }
        }
        let wider = |(other, access): (&Device, &u8)| other.covers(&device) && access & rule.access != 0;
        if self.exceptions.iter().any(wider) {
            let line = line(&device, rule.access);
            return Err(Error::invalid(format!("device rule {line:?} contradicts an earlier rule for a range")));
        }
        Ok(())
    }

    /// Whether an access is allowed: the meaning of the policy, for tests of what is made of it.
    #[cfg(test)]
    pub(crate) fn allows(&self, kind: Kind, major: u32, minor: u32, access: u8) -> bool {
        let one = Device { kind, major: Some(major), minor: Some(minor) };
        let matching = self.exceptions.iter().filter(|(device, _)| device.covers(&one));
        if self.allow {
            !matching.into_iter().any(|(_, denied)| access & denied != 0)
        } else {
            matching.into_iter().any(|(_, allowed)| access & !allowed == 0)
        }
    }

    /// The writes that bring a v1 cgroup from `self` to `target`, as pairs of file and value.
    pub(crate) fn transition(&self, target: &Self) -> Vec<(&'static str, String)> {
        let [grant, refuse] = ["devices.allow", "devices.deny"];
        let mut writes = Vec::new();
        let mut have = &self.exceptions;
        let nothing = BTreeMap::new();
        if self.allow != target.allow {
            writes.push((if target.allow { grant } else { refuse }, "a".to_owned()));
            have = &nothing;
        }
        let [make, unmake] = if target.allow { [refuse, grant] } else { [grant, refuse] };
        for (device, access) in have {
            let gone = access & !target.exceptions.get(device).unwrap_or(&0);
            if gone != 0 {
                writes.push((unmake, line(device, gone)));
            }
        }
        for (device, access) in &target.exceptions {
            let new = access & !have.get(device).unwrap_or(&0);
            if new != 0 {
                writes.push((make, line(device, new)));
            }
        }
        writes
    }

    /// Reads `devices.list`. The kernel writes `a *:* rwm` for "everything", also when there are exceptions to it,
    /// which it does not tell; so that answer counts as a state without exceptions.
    pub(crate) fn parse(list: &str) -> Self {
        let mut policy = Self::default();
        for line in list.lines() {
            match parse_line(line) {
                Some((None, _)) => return Self { allow: true, exceptions: BTreeMap::new() },
                Some((Some(device), access)) => *policy.exceptions.entry(device).or_default() |= access,
                None => {}
            }
        }
        policy
    }
}

impl Device {
    fn covers(&self, other: &Self) -> bool {
        let wild = |mine: Option<u32>, theirs: Option<u32>| mine.is_none() || mine == theirs;
        self.kind == other.kind && wild(self.major, other.major) && wild(self.minor, other.minor)
    }
}

/// The letters `rwm` as bits.
///
/// # Errors
/// `InvalidArgument` for another letter.
pub(crate) fn parse_access(text: &str) -> Result<u8> {
    text.chars().try_fold(0, |bits, letter| match letter {
        'r' => Ok(bits | READ),
        'w' => Ok(bits | WRITE),
        'm' => Ok(bits | MKNOD),
        _ => Err(Error::invalid(format!("invalid device access {text:?}: letters are r, w and m"))),
    })
}

fn parse_line(line: &str) -> Option<(Option<Device>, u8)> {
    let mut words = line.split_ascii_whitespace();
    let kind = match words.next()? {
        "a" => return Some((None, ALL)),
        "b" => Kind::Block,
        "c" => Kind::Char,
        _ => return None,
    };
    let (major, minor) = words.next()?.split_once(':')?;
    let number = |text: &str| if text == "*" { Some(None) } else { text.parse().ok().map(Some) };
    let device = Device { kind, major: number(major)?, minor: number(minor)? };
    Some((Some(device), parse_access(words.next()?).ok()?))
}

fn line(device: &Device, access: u8) -> String {
    let kind = if device.kind == Kind::Block { 'b' } else { 'c' };
    let number = |number: Option<u32>| number.map_or("*".to_owned(), |number| number.to_string());
    let letters: String = [(READ, 'r'), (WRITE, 'w'), (MKNOD, 'm')]
        .iter()
        .filter(|(bit, _)| access & bit != 0)
        .map(|(_, c)| *c)
        .collect();
    format!("{kind} {}:{} {letters}", number(device.major), number(device.minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn char(major: u32, minor: u32) -> Device {
        Device { kind: Kind::Char, major: Some(major), minor: Some(minor) }
    }

    fn rule(allow: bool, device: Option<Device>, access: &str) -> Rule {
        Rule { allow, device, access: parse_access(access).unwrap() }
    }

    #[test]
    fn rules_for_one_device_are_folded_and_written_once() {
        let rules = [
            rule(false, None, "rwm"),
            rule(true, Some(char(1, 3)), "r"),
            rule(true, Some(char(1, 3)), "w"),
            rule(true, Some(char(5, 0)), "rwm"),
            rule(false, Some(char(5, 0)), "m"),
        ];
        let policy = Policy::fold(&rules).unwrap();
        let everything = Policy { allow: true, ..Policy::default() };
        let writes = everything.transition(&policy);
        let expected = [("devices.deny", "a"), ("devices.allow", "c 1:3 rw"), ("devices.allow", "c 5:0 rw")];
        assert_eq!(writes, expected.map(|(file, value)| (file, value.to_owned())));
    }

    #[test]
    fn a_running_cgroup_gets_only_the_difference() {
        let have = Policy::parse("c 1:3 rwm\nc 1:5 rw\n");
        let want = Policy::parse("c 1:3 rwm\nb *:* m\n");
        let writes = have.transition(&want);
        assert_eq!(writes, [("devices.deny", "c 1:5 rw".to_owned()), ("devices.allow", "b *:* m".to_owned())]);
        assert!(have.transition(&have).is_empty());
        assert_eq!(have.transition(&Policy { allow: true, ..Policy::default() }), [("devices.allow", "a".to_owned())]);
    }

    #[test]
    fn a_hole_in_a_range_is_refused() {
        let all_char = Device { kind: Kind::Char, major: None, minor: None };
        let rules = [rule(true, Some(all_char), "rwm"), rule(false, Some(char(1, 3)), "w")];
        assert!(Policy::fold(&rules).is_err());
    }

    #[test]
    fn the_list_of_the_kernel_is_understood() {
        assert!(Policy::parse("a *:* rwm\n").allow);
        let policy = Policy::parse("c *:* m\nc 136:* rwm\n");
        assert!(policy.allows(Kind::Char, 9, 9, MKNOD) && policy.allows(Kind::Char, 136, 7, ALL));
        assert!(!policy.allows(Kind::Char, 9, 9, READ) && !policy.allows(Kind::Block, 1, 1, MKNOD));
    }
}
