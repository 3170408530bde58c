//! Faults at a process' own calls, by strace(1): ended before one of them, or slow in all of some kind. So a test is at a
//! moment that no clock would find again, and the product needs to know nothing of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use dhow_testkit::eventually;

/// A process under strace, with its threads and whatever they fork, until this is dropped.
pub(super) struct Strace {
    child: Child,
}

/// The N-th call of a kind that one thread makes.
pub(super) type Step = (String, usize);

impl Strace {
    pub(super) fn attach(pid: u32, flags: &[&str]) -> Self {
        let mut command = Command::new("strace");
        command.args(["--quiet=all", "--follow-forks"]).args(flags).arg(format!("--attach={pid}"));
        let child = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().expect("strace is installed");
        let traced = format!("TracerPid:\t{}\n", child.id());
        // Made now: it ends with this, whatever comes of the wait.
        let strace = Self { child };
        eventually("strace has all threads", || {
            let mut threads = fs::read_dir(format!("/proc/{pid}/task")).expect("it runs").flatten();
            threads.all(|thread| fs::read_to_string(thread.path().join("status")).unwrap_or_default().contains(&traced))
        });
        strace
    }

    /// Writes down the calls of these kinds.
    pub(super) fn record(pid: u32, kinds: &str, file: &Path) -> Self {
        let (kinds, output) = (format!("--trace={kinds}"), format!("--output={}", file.display()));
        Self::attach(pid, &["--detach-on=execve", &kinds, &output])
    }

    /// Kills whoever comes to this step, before it is done.
    pub(super) fn kill_at(pid: u32, (kind, number): &Step) -> Self {
        let (trace, kill) = (format!("--trace={kind}"), format!("--inject={kind}:signal=KILL:when={number}"));
        Self::attach(pid, &["--detach-on=execve", "--output=/dev/null", &trace, &kill])
    }

    /// Makes every call of these kinds take so many milliseconds more, in programs that are run from there, too.
    pub(super) fn slow_down(pid: u32, kinds: &str, milliseconds: u32) -> Self {
        let (trace, delay) = (format!("--trace={kinds}"), format!("--inject={kinds}:delay_enter={milliseconds}ms"));
        Self::attach(pid, &["--output=/dev/null", &trace, &delay])
    }
}

impl Drop for Strace {
    fn drop(&mut self) {
        // The kernel lets go of whoever lives. When it is asked to end it waits for everybody to stop, but one who waits for
        // its child to run another program (vfork(2)) does not while that child is stopped.
        self.child.kill().expect("it is our child");
        self.child.wait().expect("it is our child");
    }
}

/// All steps that are in a record. Where threads did the same kind of thing, the longest row counts.
pub(super) fn steps(record: &Path) -> Vec<Step> {
    let text = fs::read_to_string(record).expect("strace wrote it");
    let mut calls: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for line in text.lines() {
        let Some((thread, call)) = line.split_once(' ') else { continue };
        // Neither signals (`---`) nor the second halves of calls (`<... mkdirat resumed>`).
        if let Some((kind, _)) = call.trim_start().split_once('(').filter(|(kind, _)| !kind.contains(['<', '-', ' '])) {
            *calls.entry((kind, thread)).or_default() += 1;
        }
    }
    let mut longest: BTreeMap<&str, usize> = BTreeMap::new();
    for ((kind, _), count) in calls {
        longest.entry(kind).and_modify(|longest| *longest = count.max(*longest)).or_insert(count);
    }
    longest.into_iter().flat_map(|(kind, count)| (1..=count).map(move |number| (kind.to_owned(), number))).collect()
}
