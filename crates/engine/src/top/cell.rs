//! What stands in one column of one row.

use std::collections::BTreeMap;
use std::fs;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::process::Process;

/// Clock ticks per second as /proc counts them (`USER_HZ`, time(7)); 100 on every architecture Linux has.
const TICKS: i64 = 100;
/// Longer names of users are cut off, as procps does it.
const NAME: usize = 8;

/// What all rows need to know.
#[derive(Debug, Default)]
pub(super) struct Host {
    /// Seconds since 1970.
    boot: i64,
    now: i64,
    /// kB of memory.
    memory: i64,
    users: BTreeMap<u32, String>,
    groups: BTreeMap<u32, String>,
}

impl Host {
    pub(super) fn read() -> Self {
        let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
        let boot = stat.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok()).unwrap_or_default();
        let memory = rustix::system::sysinfo();
        let bytes = memory.totalram as u64 * u64::from(memory.mem_unit);
        Self {
            boot,
            now: Timestamp::now().as_second(),
            memory: i64::try_from(bytes / 1024).unwrap_or(i64::MAX),
            users: names("/etc/passwd"),
            groups: names("/etc/group"),
        }
    }

    /// The host's name of a user, or the number.
    pub(super) fn user(&self, id: u32) -> String {
        short(self.users.get(&id).cloned().unwrap_or_else(|| id.to_string()))
    }

    pub(super) fn group(&self, id: u32) -> String {
        short(self.groups.get(&id).cloned().unwrap_or_else(|| id.to_string()))
    }

    /// The number of a user by name or number.
    pub(super) fn user_id(&self, text: &str) -> Option<u32> {
        let named = self.users.iter().find(|(_, name)| name.as_str() == text).map(|(id, _)| *id);
        named.or_else(|| text.parse().ok())
    }

    /// Tenths of a percent of the host's memory.
    pub(super) fn memory_percent(&self, process: &Process) -> String {
        tenths(process.resident * 1000 / self.memory.max(1))
    }

    /// Tenths of a percent of the time since its start.
    pub(super) fn cpu_tenths(&self, process: &Process) -> i64 {
        process.ticks() * 1000 / TICKS / self.elapsed(process).max(1)
    }

    pub(super) fn cpu_percent(&self, process: &Process) -> String {
        tenths(self.cpu_tenths(process))
    }

    fn started(&self, process: &Process) -> i64 {
        self.boot + process.start() / TICKS
    }

    /// Seconds since its start.
    pub(super) fn elapsed(&self, process: &Process) -> i64 {
        (self.now - self.started(process)).max(0)
    }

    fn moment(seconds: i64) -> DateTime {
        let time = Timestamp::from_second(seconds).unwrap_or_default();
        TimeZone::system().to_datetime(time)
    }

    /// The hour today, the day this year, else the year.
    pub(super) fn start_day(&self, process: &Process) -> String {
        let (start, now) = (Self::moment(self.started(process)), Self::moment(self.now));
        let format = match (start.year() == now.year(), start.date() == now.date()) {
            (_, true) => "%H:%M",
            (true, false) => "%b%d",
            (false, false) => "%Y",
        };
        start.strftime(format).to_string()
    }

    /// The hour of the last 24, else the day.
    pub(super) fn start_hour(&self, process: &Process) -> String {
        let format = if self.elapsed(process) > 24 * 3600 { "%b%d" } else { "%H:%M" };
        Self::moment(self.started(process)).strftime(format).to_string()
    }

    /// The second of the last 24 hours, else the day.
    pub(super) fn start_second(&self, process: &Process) -> String {
        let format = if self.elapsed(process) > 24 * 3600 { "%b %d" } else { "%H:%M:%S" };
        Self::moment(self.started(process)).strftime(format).to_string()
    }

    /// All of it.
    pub(super) fn start_long(&self, process: &Process) -> String {
        Self::moment(self.started(process)).strftime("%a %b %e %H:%M:%S %Y").to_string()
    }
}

/// Names by number, from passwd(5) or group(5).
fn names(path: &str) -> BTreeMap<u32, String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let entry = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        Some((fields.nth(1)?.parse().ok()?, name))
    };
    // The first of several names of a number counts.
    text.lines().rev().filter_map(entry).collect()
}

fn short(name: String) -> String {
    if name.len() > NAME { name.chars().take(NAME - 1).chain(['+']).collect() } else { name }
}

fn tenths(value: i64) -> String {
    format!("{}.{}", value / 10, value % 10)
}

/// CPU time in whole seconds.
pub(super) fn cpu_seconds(process: &Process) -> i64 {
    process.ticks() / TICKS
}

/// `[dd-]hh:mm:ss`.
pub(super) fn clock(seconds: i64) -> String {
    let (days, rest) = (seconds / 86400, seconds % 86400);
    let clock = format!("{:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60);
    if days > 0 { format!("{days}-{clock}") } else { clock }
}

/// `[[dd-]hh:]mm:ss`.
pub(super) fn elapsed(seconds: i64) -> String {
    match seconds {
        0..3600 => format!("{:02}:{:02}", seconds / 60, seconds % 60),
        _ => clock(seconds),
    }
}

/// `m:ss`.
pub(super) fn minutes(seconds: i64) -> String {
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

/// The state with what procps adds to it (ps(1), "PROCESS STATE CODES").
pub(super) fn state(process: &Process) -> String {
    let mut text = process.state.to_string();
    let marks = [
        (process.nice() < 0, '<'),
        (process.nice() > 0, 'N'),
        (process.locked > 0, 'L'),
        (process.session() == i64::from(process.pid), 's'),
        (process.threads() > 1, 'l'),
        (process.terminal_group() == process.group(), '+'),
    ];
    text.extend(marks.into_iter().filter(|(is, _)| *is).map(|(_, mark)| mark));
    text
}

/// The controlling terminal, from its device number.
pub(super) fn terminal(process: &Process) -> String {
    let number = process.terminal();
    let (major, minor) = ((number >> 8) & 0xfff, (number & 0xff) | ((number >> 12) & 0xfff00));
    match major {
        136..=143 => format!("pts/{}", (major - 136) * 256 + minor),
        4 => format!("tty{minor}"),
        5 if minor == 1 => "console".to_owned(),
        _ => "?".to_owned(),
    }
}

/// Program and arguments; the name in brackets where there are none.
pub(super) fn command(process: &Process) -> String {
    let text = match (process.arguments.as_str(), process.state) {
        ("", 'Z') => format!("[{}] <defunct>", process.name),
        ("", _) => format!("[{}]", process.name),
        (arguments, _) => arguments.to_owned(),
    };
    format!("{}{text}", process.indent)
}

/// The name alone.
pub(super) fn name(process: &Process) -> String {
    let end = if process.state == 'Z' { " <defunct>" } else { "" };
    format!("{}{}{end}", process.indent, process.name)
}

/// The scheduling class (sched(7)).
pub(super) fn class(process: &Process) -> String {
    match process.policy() {
        0 => "TS",
        1 => "FF",
        2 => "RR",
        3 => "B",
        5 => "IDL",
        6 => "DLN",
        _ => "?",
    }
    .to_owned()
}

/// Where in the kernel it sleeps.
pub(super) fn sleeps_in(process: &Process, width: usize) -> String {
    let place = process.file("wchan").filter(|place| !place.is_empty() && place != "0");
    place.map_or_else(|| "-".to_owned(), |place| place.chars().take(width).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_pss() {
        assert_eq!((clock(59), clock(90_061)), ("00:00:59".into(), "1-01:01:01".into()));
        assert_eq!((elapsed(61), elapsed(3_661)), ("01:01".into(), "01:01:01".into()));
        assert_eq!(minutes(601), "10:01");
    }

    #[test]
    fn users_have_the_hosts_names() {
        let host = Host { users: [(0, "root".into()), (7, "messagebus".into())].into(), ..Host::default() };
        assert_eq!((host.user(0), host.user(7), host.user(1234)), ("root".into(), "message+".into(), "1234".into()));
        assert_eq!((host.user_id("messagebus"), host.user_id("12"), host.user_id("x")), (Some(7), Some(12), None));
    }
}
