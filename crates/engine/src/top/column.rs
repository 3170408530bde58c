//! The columns that `ps` knows, by the names of ps(1), "STANDARD FORMAT SPECIFIERS".

use super::cell::{self, Host};
use super::process::Process;

/// Makes the text of a cell.
pub(super) type Cell = fn(&Process, &Host) -> String;

/// A column that was asked for.
#[derive(Clone)]
pub(super) struct Column {
    pub title: String,
    pub cell: Cell,
}

/// The column of that name.
pub(super) fn named(name: &str) -> Option<Column> {
    let (_, title, cell) = COLUMNS.iter().find(|(names, ..)| names.contains(&name))?;
    Some(Column { title: (*title).to_owned(), cell: *cell })
}

/// Several, by names that are in the table.
pub(super) fn all(names: &[&str]) -> Vec<Column> {
    names.iter().filter_map(|name| named(name)).collect()
}

/// Names, title, content.
const COLUMNS: &[(&[&str], &str, Cell)] = &[
    (&["%cpu", "pcpu"], "%CPU", |process, host| host.cpu_percent(process)),
    (&["%mem", "pmem"], "%MEM", |process, host| host.memory_percent(process)),
    (&["addr"], "ADDR", |_, _| "-".to_owned()),
    (&["args", "command"], "COMMAND", |process, _| cell::command(process)),
    (&["cmd"], "CMD", |process, _| cell::command(process)),
    (&["blocked", "sig_block", "sigmask"], "BLOCKED", |process, _| process.signals[1].clone()),
    (&["bsdstart"], "START", |process, host| host.start_hour(process)),
    (&["bsdtime"], "TIME", |process, _| cell::minutes(cell::cpu_seconds(process))),
    (&["c"], "C", |process, host| (host.cpu_tenths(process) / 10).min(99).to_string()),
    (&["caught", "sig_catch", "sigcatch"], "CAUGHT", |process, _| process.signals[3].clone()),
    (&["cgroup"], "CGROUP", |process, _| or_dash(process.file("cgroup").map(|text| text.replace('\n', ",")))),
    (&["cgroupns"], "CGROUPNS", |process, _| namespace(process, "cgroup")),
    (&["class", "cls", "policy", "pol"], "CLS", |process, _| cell::class(process)),
    (&["comm", "ucomm"], "COMMAND", |process, _| cell::name(process)),
    (&["ucmd"], "CMD", |process, _| cell::name(process)),
    (&["cputime", "time"], "TIME", |process, _| cell::clock(cell::cpu_seconds(process))),
    (&["cputimes", "times"], "TIME", |process, _| cell::cpu_seconds(process).to_string()),
    (&["drs"], "DRS", |process, _| ((process.virtual_size() - process.text_size()) / 1024).max(0).to_string()),
    (&["egid"], "EGID", |process, _| process.gids[1].to_string()),
    (&["gid"], "GID", |process, _| process.gids[1].to_string()),
    (&["egroup"], "EGROUP", |process, host| host.group(process.gids[1])),
    (&["group"], "GROUP", |process, host| host.group(process.gids[1])),
    (&["etime"], "ELAPSED", |process, host| cell::elapsed(host.elapsed(process))),
    (&["etimes"], "ELAPSED", |process, host| host.elapsed(process).to_string()),
    (&["euid"], "EUID", |process, _| process.uids[1].to_string()),
    (&["uid"], "UID", |process, _| process.uids[1].to_string()),
    (&["euser"], "EUSER", |process, host| host.user(process.uids[1])),
    (&["uname", "user"], "USER", |process, host| host.user(process.uids[1])),
    (&["uid_hack"], "UID", |process, host| host.user(process.uids[1])),
    (&["exe"], "EXE", |process, _| or_dash(process.link("exe"))),
    (&["f", "flag", "flags"], "F", |process, _| ((process.flags() >> 6) & 7).to_string()),
    (&["fgid", "fsgid"], "FGID", |process, _| process.gids[3].to_string()),
    (&["fgroup", "fsgroup"], "FGROUP", |process, host| host.group(process.gids[3])),
    (&["fuid", "fsuid"], "FUID", |process, _| process.uids[3].to_string()),
    (&["fuser", "fsuser"], "FUSER", |process, host| host.user(process.uids[3])),
    (&["ignored", "sig_ignore", "sigignore"], "IGNORED", |process, _| process.signals[2].clone()),
    (&["ipcns"], "IPCNS", |process, _| namespace(process, "ipc")),
    (&["lstart"], "STARTED", |process, host| host.start_long(process)),
    (&["lwp"], "LWP", |process, _| process.tid.to_string()),
    (&["spid"], "SPID", |process, _| process.tid.to_string()),
    (&["tid"], "TID", |process, _| process.tid.to_string()),
    (&["maj_flt", "majflt"], "MAJFLT", |process, _| process.major_faults().to_string()),
    (&["majfl"], "MAJFL", |process, _| process.major_faults().to_string()),
    (&["min_flt", "minflt"], "MINFLT", |process, _| process.minor_faults().to_string()),
    (&["mntns"], "MNTNS", |process, _| namespace(process, "mnt")),
    (&["netns"], "NETNS", |process, _| namespace(process, "net")),
    (&["ni", "nice"], "NI", |process, _| process.nice().to_string()),
    (&["nlwp"], "NLWP", |process, _| process.threads().to_string()),
    (&["thcount"], "THCNT", |process, _| process.threads().to_string()),
    (&["oom"], "OOM", |process, _| or_dash(process.file("oom_score"))),
    (&["oomadj"], "OOMADJ", |process, _| or_dash(process.file("oom_score_adj"))),
    (&["opri"], "PRI", |process, _| (60 + process.priority()).to_string()),
    (&["pending", "sig"], "PENDING", |process, _| process.signals[0].clone()),
    (&["pgid", "pgrp"], "PGID", |process, _| process.group().to_string()),
    (&["pid", "tgid"], "PID", |process, _| process.pid.to_string()),
    (&["pidns"], "PIDNS", |process, _| namespace(process, "pid")),
    (&["ppid"], "PPID", |process, _| process.parent().to_string()),
    (&["pri"], "PRI", |process, _| (39 - process.priority()).to_string()),
    (&["psr"], "PSR", |process, _| process.processor().to_string()),
    (&["rgid"], "RGID", |process, _| process.gids[0].to_string()),
    (&["rgroup"], "RGROUP", |process, host| host.group(process.gids[0])),
    (&["rss", "rssize", "rsz"], "RSS", |process, _| process.resident.to_string()),
    (&["rtprio"], "RTPRIO", |process, _| match process.policy() {
        1 | 2 => process.real_time_priority().to_string(),
        _ => "-".to_owned(),
    }),
    (&["ruid"], "RUID", |process, _| process.uids[0].to_string()),
    (&["ruser"], "RUSER", |process, host| host.user(process.uids[0])),
    (&["s", "state"], "S", |process, _| process.state.to_string()),
    (&["sess", "session"], "SESS", |process, _| process.session().to_string()),
    (&["sid"], "SID", |process, _| process.session().to_string()),
    (&["sgid", "svgid"], "SGID", |process, _| process.gids[2].to_string()),
    (&["sgroup"], "SGROUP", |process, host| host.group(process.gids[2])),
    (&["suid", "svuid"], "SUID", |process, _| process.uids[2].to_string()),
    (&["suser", "svuser"], "SUSER", |process, host| host.user(process.uids[2])),
    (&["start"], "STARTED", |process, host| host.start_second(process)),
    (&["start_time"], "START", |process, host| host.start_day(process)),
    (&["stime"], "STIME", |process, host| host.start_day(process)),
    (&["stat"], "STAT", |process, _| cell::state(process)),
    (&["sz"], "SZ", |process, _| {
        or_dash(process.file("statm").and_then(|text| Some(text.split_once(' ')?.0.to_owned())))
    }),
    (&["timens"], "TIMENS", |process, _| namespace(process, "time")),
    (&["tname", "tt", "tty"], "TTY", |process, _| cell::terminal(process)),
    (&["tpgid"], "TPGID", |process, _| process.terminal_group().to_string()),
    (&["trs"], "TRS", |process, _| (process.text_size() / 1024).max(0).to_string()),
    (&["userns"], "USERNS", |process, _| namespace(process, "user")),
    (&["utsns"], "UTSNS", |process, _| namespace(process, "uts")),
    (&["vsize", "vsz"], "VSZ", |process, _| (process.virtual_size() / 1024).to_string()),
    (&["wchan"], "WCHAN", |process, _| cell::sleeps_in(process, 6)),
];

fn or_dash(text: Option<String>) -> String {
    text.filter(|text| !text.is_empty()).unwrap_or_else(|| "-".to_owned())
}

/// The number of a namespace (namespaces(7)).
fn namespace(process: &Process, kind: &str) -> String {
    let link = process.link(&format!("ns/{kind}"));
    or_dash(link.and_then(|link| Some(link.split_once('[')?.1.trim_end_matches(']').to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_stands_for_two_columns() {
        let mut seen = std::collections::HashSet::new();
        for name in COLUMNS.iter().flat_map(|(names, ..)| names.iter()) {
            assert!(seen.insert(name), "{name}");
        }
    }
}
