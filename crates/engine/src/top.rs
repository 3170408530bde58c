//! `docker top`: the processes of a container, from /proc.

use std::fs;

use dhow_cgroups::Cgroup;
use dhow_errdefs::{Error, Result};

use crate::ProcessTable;
use crate::container::{Container, Request};
use crate::core::Core;

/// The columns of `ps -ef`.
const TITLES: [&str; 8] = ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"];
/// Clock ticks per second as /proc counts them (`USER_HZ`, time(7)); 100 on every architecture Linux has.
const TICKS: u64 = 100;

impl Core {
    /// The processes as `ps -ef` shows them; other arguments change nothing.
    pub(crate) fn top(&self, container: &Container) -> Result<ProcessTable> {
        let view = container.check(Request::Top)?;
        let mut pids = match (&self.host.cgroups, self.cgroup_of(container)) {
            (Some(hierarchy), Some(path)) => Cgroup::open(hierarchy, &path)?.pids()?,
            _ => same_namespace(view.pid),
        };
        pids.sort_unstable();
        let processes = pids.into_iter().filter_map(row).collect();
        Ok(ProcessTable { titles: TITLES.map(str::to_owned).to_vec(), processes })
    }
}

/// Where there is no cgroup: whoever shares process 1's pid namespace.
fn same_namespace(pid: i32) -> Vec<i32> {
    let namespace = |pid: i32| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let Some(own) = namespace(pid) else { return Vec::new() };
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| namespace(*pid).as_ref() == Some(&own)).collect()
}

/// One line; `None` for a process that has just ended.
fn row(pid: i32) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (name, fields) = parse_stat(&stat)?;
    let number = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let uid = status.lines().find_map(|line| line.strip_prefix("Uid:"))?.split_ascii_whitespace().next()?.to_owned();
    let seconds = (number(11) + number(12)) / TICKS;
    let time = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    Some(vec![
        if uid == "0" { "root".to_owned() } else { uid },
        pid.to_string(),
        fields.get(1)?.to_string(),
        "0".to_owned(),
        started(number(19)).unwrap_or_else(|| "?".to_owned()),
        terminal(number(4)),
        time,
        command(pid).unwrap_or_else(|| format!("[{name}]")),
    ])
}

/// Name and the fields after it, beginning with the state (proc_pid_stat(5)). The name may have blanks and brackets.
fn parse_stat(stat: &str) -> Option<(&str, Vec<&str>)> {
    let (open, close) = (stat.find('(')?, stat.rfind(')')?);
    Some((stat.get(open + 1..close)?, stat.get(close + 1..)?.split_ascii_whitespace().collect()))
}

fn command(pid: i32) -> Option<String> {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).ok().filter(|bytes| !bytes.is_empty())?;
    let words: Vec<_> = bytes.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
    Some(words.join(" ").trim_end().to_owned())
}

/// Hours and minutes of the start, from ticks after the boot.
fn started(ticks: u64) -> Option<String> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let boot: i64 = stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    let start = jiff::Timestamp::from_second(boot + i64::try_from(ticks / TICKS).ok()?).ok()?;
    let time = jiff::tz::TimeZone::system().to_datetime(start).time();
    Some(format!("{:02}:{:02}", time.hour(), time.minute()))
}

fn terminal(number: u64) -> String {
    let (major, minor) = ((number >> 8) & 0xfff, (number & 0xff) | ((number >> 12) & 0xfff00));
    match major {
        0 => "?".to_owned(),
        136..=143 => format!("pts/{}", (major - 136) * 256 + minor),
        4 => format!("tty{minor}"),
        _ => "?".to_owned(),
    }
}

impl Core {
    /// Refuses arguments that would ask for another program's options than `ps` has.
    pub(crate) fn check_top_arguments(arguments: &str) -> Result<()> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b" -,:=%+_".contains(&byte);
        if arguments.bytes().all(plain) { Ok(()) } else { Err(Error::invalid(format!("ps arguments {arguments:?}"))) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_is_read() {
        let (name, fields) = parse_stat("7 (a) b) S 1 2 3").unwrap();
        assert_eq!((name, fields[0], fields[1]), ("a) b", "S", "1"));
    }

    #[test]
    fn this_process_has_a_row() {
        let row = row(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert_eq!(row.len(), TITLES.len());
        assert!(row[7].contains("dhow_engine"), "{row:?}");
    }
}
