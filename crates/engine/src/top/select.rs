//! Which rows, and in which order.

use std::cmp::Ordering;

use super::arguments::Wanted;
use super::cell::Host;
use super::column::Cell;
use super::process::Process;
use super::tree;

/// A condition of which one has to hold, as ps(1) has it for its lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Selector {
    Pid(i32),
    Name(String),
    EffectiveUser(String),
    RealUser(String),
    /// Not a condition of its own: of what is selected only what runs.
    Running,
}

impl Selector {
    fn fits(&self, process: &Process, host: &Host) -> bool {
        match self {
            Self::Pid(pid) => process.pid == *pid,
            Self::Name(name) => process.name == *name,
            Self::EffectiveUser(user) => host.user_id(user) == Some(process.uids[1]),
            Self::RealUser(user) => host.user_id(user) == Some(process.uids[0]),
            Self::Running => false,
        }
    }
}

impl Wanted {
    /// Whether a process is to be shown.
    pub(super) fn selects(&self, process: &Process, host: &Host) -> bool {
        let running = self.selectors.contains(&Selector::Running);
        let mut lists = self.selectors.iter().filter(|selector| **selector != Selector::Running).peekable();
        let listed = lists.peek().is_none() || lists.any(|selector| selector.fits(process, host));
        listed && (!running || matches!(process.state, 'R' | 'D'))
    }

    /// Puts them in order: as asked, else by pid; and as a tree, if that is wanted.
    pub(super) fn arrange(&self, rows: &mut Vec<Process>, host: &Host) {
        rows.sort_by(|one, other| {
            let by_key = |(cell, falling): &(Cell, bool)| {
                let order = compare(&cell(one, host), &cell(other, host));
                if *falling { order.reverse() } else { order }
            };
            self.sort.iter().map(by_key).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
        });
        if let Some(lines) = self.tree {
            tree::grow(rows, lines);
        }
    }
}

/// Numbers by size, words by the alphabet.
fn compare(one: &str, other: &str) -> Ordering {
    match (one.parse::<f64>(), other.parse::<f64>()) {
        (Ok(one), Ok(other)) => one.total_cmp(&other),
        _ => one.cmp(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: i32, name: &str, uid: u32) -> Process {
        let mut process = Process::for_tree(pid, 1);
        (process.name, process.uids) = (name.to_owned(), [uid; 4]);
        process
    }

    fn shown(arguments: &str) -> Vec<i32> {
        let wanted = Wanted::parse(arguments).unwrap();
        let mut rows = vec![process(9, "sh", 0), process(10, "sleep", 7), process(100, "sleep", 0)];
        rows.retain(|process| wanted.selects(process, &Host::default()));
        wanted.arrange(&mut rows, &Host::default());
        rows.iter().map(|process| process.pid).collect()
    }

    #[test]
    fn lists_select_and_keys_sort() {
        assert_eq!(shown("-ef"), [9, 10, 100]);
        assert_eq!(shown("-C sleep"), [10, 100]);
        assert_eq!(shown("-p 9 -u 7"), [9, 10]);
        assert_eq!(shown("-e --sort=-pid"), [100, 10, 9]);
        assert_eq!(shown("ax k -uid,pid"), [10, 9, 100]);
        assert_eq!(shown("r"), [0; 0]);
    }
}
