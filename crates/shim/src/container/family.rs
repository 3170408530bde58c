//! A process and everything that comes from it: its children, theirs, and whoever is in a session that one of them leads.
//! Who has left both its parent and its session cannot be told from the rest of the container.

use std::collections::BTreeSet;
use std::fs;

use dhow_sys::process::{self, Stat, field};
use rustix::process::Signal;

/// How often is looked for processes that were forked while others were killed.
const ROUNDS: usize = 8;

/// A process, as `/proc/PID/stat` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Kin {
    pid: i32,
    parent: i32,
    session: i32,
}

/// Kills a process, which leads a session, and everything that comes from it. `everybody` lists who may belong to it.
pub(crate) fn kill(first: i32, everybody: impl Fn() -> Vec<i32>) {
    let mut family = BTreeSet::from([first]);
    for round in 0..ROUNDS {
        let known = family.len();
        extend(&mut family, &everybody().into_iter().filter_map(kin).collect::<Vec<_>>());
        if round > 0 && family.len() == known {
            return;
        }
        for &pid in &family {
            let Some(pidfd) = process::open(pid) else { continue };
            // The number may have become somebody else's since it was read. The first process is our child: its number is
            // its own until we reap it.
            let belongs = |kin: Kin| family.contains(&kin.parent) || family.contains(&kin.session);
            if pid == first || kin(pid).is_some_and(belongs) {
                // Who has ended meanwhile needs no signal.
                let _ = rustix::process::pidfd_send_signal(&pidfd, Signal::KILL);
            }
        }
    }
}

/// Adds all whose parent or session is in the family already.
fn extend(family: &mut BTreeSet<i32>, everybody: &[Kin]) {
    loop {
        let belongs = |kin: &&Kin| family.contains(&kin.parent) || family.contains(&kin.session);
        let more: Vec<i32> = everybody.iter().filter(belongs).map(|kin| kin.pid).collect();
        let known = family.len();
        family.extend(more);
        if family.len() == known {
            return;
        }
    }
}

fn kin(pid: i32) -> Option<Kin> {
    let stat = Stat::of(pid).ok()?;
    Some(Kin { pid, parent: stat.get(field::PARENT)?, session: stat.get(field::SESSION)? })
}

/// Every process there is: for a container without a cgroup, which would list its own.
pub(super) fn all_processes() -> Vec<i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kin(pid: i32, parent: i32, session: i32) -> Kin {
        Kin { pid, parent, session }
    }

    #[test]
    fn children_sessions_and_sessions_of_children_belong_to_it() {
        let everybody = [
            kin(1, 0, 1),
            kin(10, 1, 10),
            kin(11, 10, 10),
            // A grandchild that leads a session, and one of it that has lost its parent.
            kin(12, 11, 12),
            kin(13, 1, 12),
            // Lost its parent, kept the session.
            kin(14, 1, 10),
            kin(20, 1, 20),
            kin(21, 20, 20),
        ];
        let mut family = BTreeSet::from([10]);
        extend(&mut family, &everybody);
        assert_eq!(family, BTreeSet::from([10, 11, 12, 13, 14]));
    }
}
