//! One process, or one of its threads, as /proc shows it.

use std::fs;
use std::path::Path;

/// A process or a thread. Fields of proc_pid_stat(5) by its numbers, less one.
#[derive(Debug, Clone, Default)]
pub(super) struct Process {
    pub pid: i32,
    pub tid: i32,
    /// The name in brackets, at most 15 bytes.
    pub name: String,
    pub state: char,
    /// From the state on.
    stat: Vec<i64>,
    /// Real, effective, saved, of the file system.
    pub uids: [u32; 4],
    pub gids: [u32; 4],
    /// Pending, blocked, ignored, caught, as the kernel writes them.
    pub signals: [String; 4],
    /// kB locked in memory.
    pub locked: i64,
    /// kB in memory.
    pub resident: i64,
    /// Program and arguments; empty for a kernel thread or a zombie.
    pub arguments: String,
    /// What the tree puts before the command.
    pub indent: String,
}

impl Process {
    /// The rows of a process: one, or one per thread. None if it has just ended.
    pub(super) fn read(pid: i32, threads: bool) -> Vec<Self> {
        let folder = format!("/proc/{pid}");
        if !threads {
            return Self::read_at(Path::new(&folder), pid, pid).into_iter().collect();
        }
        let Ok(tasks) = fs::read_dir(format!("{folder}/task")) else { return Vec::new() };
        let mut tids: Vec<i32> = tasks.flatten().filter_map(|task| task.file_name().to_str()?.parse().ok()).collect();
        tids.sort_unstable();
        tids.into_iter().filter_map(|tid| Self::read_at(Path::new(&format!("{folder}/task/{tid}")), pid, tid)).collect()
    }

    fn read_at(folder: &Path, pid: i32, tid: i32) -> Option<Self> {
        let stat = fs::read_to_string(folder.join("stat")).ok()?;
        let status = fs::read_to_string(folder.join("status")).ok()?;
        let arguments = fs::read(folder.join("cmdline")).unwrap_or_default();
        Self::parse(&stat, &status, &arguments).map(|process| Self { pid, tid, ..process })
    }

    fn parse(stat: &str, status: &str, arguments: &[u8]) -> Option<Self> {
        // The name may have blanks and brackets.
        let (open, close) = (stat.find('(')?, stat.rfind(')')?);
        let fields = stat.get(close + 1..)?.trim_start();
        let state = fields.chars().next()?;
        // Addresses may be greater than any other number; nobody shows them.
        let stat_fields = fields.split_ascii_whitespace().map(|field| field.parse().unwrap_or_default()).collect();
        let line = |key: &str| status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        let kilobytes =
            |key| line(key).and_then(|text| text.split_ascii_whitespace().next()?.parse().ok()).unwrap_or(0);
        let signals = ["SigPnd", "SigBlk", "SigIgn", "SigCgt"];
        Some(Self {
            name: stat.get(open + 1..close)?.to_owned(),
            state,
            stat: stat_fields,
            uids: four(line("Uid")?),
            gids: four(line("Gid")?),
            signals: signals.map(|key| line(key).unwrap_or_default().trim().to_owned()),
            locked: kilobytes("VmLck"),
            resident: kilobytes("VmRSS"),
            arguments: words(arguments),
            ..Self::default()
        })
    }

    /// A field by its number in proc_pid_stat(5), which counts from 1; from 3 (the state) on.
    fn field(&self, number: usize) -> i64 {
        self.stat.get(number - 3).copied().unwrap_or_default()
    }

    pub(super) fn parent(&self) -> i64 {
        self.field(4)
    }

    pub(super) fn group(&self) -> i64 {
        self.field(5)
    }

    pub(super) fn session(&self) -> i64 {
        self.field(6)
    }

    pub(super) fn terminal(&self) -> i64 {
        self.field(7)
    }

    pub(super) fn terminal_group(&self) -> i64 {
        self.field(8)
    }

    pub(super) fn flags(&self) -> i64 {
        self.field(9)
    }

    pub(super) fn minor_faults(&self) -> i64 {
        self.field(10)
    }

    pub(super) fn major_faults(&self) -> i64 {
        self.field(12)
    }

    /// CPU time in clock ticks.
    pub(super) fn ticks(&self) -> i64 {
        self.field(14) + self.field(15)
    }

    pub(super) fn priority(&self) -> i64 {
        self.field(18)
    }

    pub(super) fn nice(&self) -> i64 {
        self.field(19)
    }

    pub(super) fn threads(&self) -> i64 {
        self.field(20)
    }

    /// Clock ticks after the boot.
    pub(super) fn start(&self) -> i64 {
        self.field(22)
    }

    /// Bytes.
    pub(super) fn virtual_size(&self) -> i64 {
        self.field(23)
    }

    /// Bytes from `from` to `to`, fields that hold addresses.
    pub(super) fn text_size(&self) -> i64 {
        self.field(27) - self.field(26)
    }

    pub(super) fn processor(&self) -> i64 {
        self.field(39)
    }

    pub(super) fn real_time_priority(&self) -> i64 {
        self.field(40)
    }

    pub(super) fn policy(&self) -> i64 {
        self.field(41)
    }

    /// A file of its folder in /proc, trimmed.
    pub(super) fn file(&self, name: &str) -> Option<String> {
        let text = fs::read_to_string(format!("/proc/{}/task/{}/{name}", self.pid, self.tid)).ok()?;
        Some(text.trim().to_owned())
    }

    pub(super) fn link(&self, name: &str) -> Option<String> {
        let link = fs::read_link(format!("/proc/{}/{name}", self.pid)).ok()?;
        Some(link.to_string_lossy().into_owned())
    }
}

#[cfg(test)]
impl Process {
    /// A process with a parent and nothing else.
    pub(super) fn for_tree(pid: i32, parent: i32) -> Self {
        Self { pid, tid: pid, state: 'S', stat: vec![0, parent.into()], ..Self::default() }
    }
}

fn four(text: &str) -> [u32; 4] {
    let mut numbers = text.split_ascii_whitespace().filter_map(|word| word.parse().ok());
    std::array::from_fn(|_| numbers.next().unwrap_or_default())
}

fn words(bytes: &[u8]) -> String {
    let words: Vec<_> = bytes.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
    words.join(" ").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_is_read() {
        let process = Process::parse("7 (a) b) S 1 2 3", "Uid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\n", b"x\0y z\0").unwrap();
        assert_eq!((process.name.as_str(), process.state, process.parent(), process.session()), ("a) b", 'S', 1, 3));
        assert_eq!((process.uids, process.gids[1], process.arguments.as_str()), ([1, 2, 3, 4], 6, "x y z"));
    }

    #[test]
    fn what_is_no_process_has_no_row() {
        assert!(Process::parse("", "", b"").is_none());
        assert!(Process::read(0, false).is_empty() && Process::read(0, true).is_empty());
    }
}
