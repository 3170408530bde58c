//! `docker top`: the processes of a container as `ps` prints them, from /proc. The host needs no `ps`; its options are
//! those of procps as far as they choose columns, rows and their order.

mod arguments;
mod cell;
mod column;
mod process;
mod select;
mod tree;

use std::fs;

use dhow_cgroups::Cgroup;
use dhow_errdefs::{Error, Result};

use crate::ProcessTable;
use crate::container::{Container, Request, View};
use crate::core::Core;
use arguments::Wanted;
use cell::Host;
use process::Process;

impl Core {
    /// The processes as `ps` with these arguments shows them.
    pub(crate) fn top(&self, container: &Container, arguments: &str) -> Result<ProcessTable> {
        arguments::check(arguments)?;
        let view = container.check(Request::Top)?;
        let wanted = Wanted::parse(arguments)?;
        table(&wanted, self.pids(container, &view)?, &Host::read())
    }

    fn pids(&self, container: &Container, view: &View) -> Result<Vec<i32>> {
        match (&self.host.cgroups, self.present_cgroup_of(container)) {
            (Some(hierarchy), Some(path)) => Cgroup::open(hierarchy, &path)?.pids(),
            _ => crate::container::Process::of(view)?.look(|pid| Ok(same_namespace(pid))),
        }
    }

    /// The processes of a container that runs; none if it has ended meanwhile.
    pub(crate) fn processes(&self, container: &Container, view: &View) -> Vec<i32> {
        self.pids(container, view).unwrap_or_default()
    }
}

/// Rows and heads. Docker needs to find the ids of processes in them, and so do its users.
fn table(wanted: &Wanted, mut pids: Vec<i32>, host: &Host) -> Result<ProcessTable> {
    if !wanted.headers || !wanted.columns.iter().any(|column| column.title == "PID") {
        return Err(Error::internal("Couldn't find PID field in ps output"));
    }
    pids.sort_unstable();
    let mut rows: Vec<Process> = pids.into_iter().flat_map(|pid| Process::read(pid, wanted.threads)).collect();
    rows.retain(|process| wanted.selects(process, host));
    wanted.arrange(&mut rows, host);
    let cells = |process: &Process| wanted.columns.iter().map(|column| (column.cell)(process, host)).collect();
    Ok(ProcessTable {
        titles: wanted.columns.iter().map(|column| column.title.clone()).collect(),
        processes: rows.iter().map(cells).collect(),
    })
}

/// Where there is no cgroup: whoever shares process 1's pid namespace.
fn same_namespace(pid: i32) -> Vec<i32> {
    let namespace = |pid: i32| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let Some(own) = namespace(pid) else { return Vec::new() };
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| namespace(*pid).as_ref() == Some(&own)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(arguments: &str) -> ProcessTable {
        let pid = i32::try_from(std::process::id()).unwrap();
        table(&Wanted::parse(arguments).unwrap(), vec![pid], &Host::read()).unwrap()
    }

    #[test]
    fn this_process_has_a_row_in_every_format() {
        for arguments in ["-ef", "aux", "-eF", "-l", "-ly", "axl", "-ej", "axj", "axv", "axs", "", "ax", "-o pid,args"]
        {
            let table = own(arguments);
            assert_eq!(table.processes.len(), 1, "{arguments}");
            assert_eq!(table.processes[0].len(), table.titles.len(), "{arguments}");
            let pid = table.titles.iter().position(|title| title == "PID").unwrap();
            assert_eq!(table.processes[0][pid], std::process::id().to_string(), "{arguments}");
        }
    }

    #[test]
    fn threads_have_rows_of_their_own() {
        let waiting = std::thread::spawn(std::thread::park);
        let table = own("-eLf");
        assert!(table.processes.len() > 1, "{table:?}");
        assert_eq!(table.titles[3], "LWP");
        waiting.thread().unpark();
        waiting.join().unwrap();
    }

    #[test]
    fn a_table_without_ids_is_refused_as_docker_does() {
        for arguments in ["-o args", "-o pid=", "-ef --no-headers"] {
            let wanted = Wanted::parse(arguments).unwrap();
            let refused = table(&wanted, Vec::new(), &Host::default()).unwrap_err();
            assert_eq!(refused.to_string(), "Couldn't find PID field in ps output", "{arguments}");
        }
    }
}
