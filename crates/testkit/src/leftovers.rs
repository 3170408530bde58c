//! What a world may have left behind: processes, mounts and cgroups that carry its name.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dhow_sys::process;

/// How long processes that got SIGKILL may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Everything of a world that is still there, one line each.
pub(crate) fn find(root: &Path, cgroup_parent: &str) -> Vec<String> {
    let programs = processes(root, " shim").chain(processes(root, " network-holder"));
    let programs = programs.map(|(pid, line)| format!("process {pid}: {line}"));
    let mut below = Vec::new();
    cgroups(Path::new("/sys/fs/cgroup"), cgroup_parent, 0, &mut below);
    let below = below.iter().map(|path| format!("cgroup {}", path.display()));
    programs.chain(mounts(root)).chain(below).collect()
}

/// Ends and removes what is left of a world whose engine cannot do it any more.
pub(crate) fn end(root: &Path, cgroup_parent: &str) {
    let mut below = Vec::new();
    cgroups(Path::new("/sys/fs/cgroup"), cgroup_parent, 0, &mut below);
    let inside = below.iter().map(|cgroup| fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default());
    let inside: Vec<i32> = inside.flat_map(|pids| pids.lines().flat_map(str::parse).collect::<Vec<_>>()).collect();
    // First the shims, which would tell of their container's end.
    let programs = processes(root, " shim").chain(processes(root, " network-holder")).map(|(pid, _)| pid);
    let found: Vec<OwnedFd> = programs.chain(inside).filter_map(process::open).collect();
    process::end(&found, Instant::now() + PATIENCE);
    below.iter().for_each(|cgroup| drop(fs::remove_dir(cgroup)));
    // The parent, which is empty now.
    cgroups(Path::new("/sys/fs/cgroup"), cgroup_parent, 0, &mut below);
}

/// Ends of links to containers in the test's own network namespace.
pub(crate) fn links() -> Vec<String> {
    let table = fs::read_to_string("/proc/thread-self/net/dev").unwrap_or_default();
    let names = table.lines().filter_map(|line| Some(line.split_once(':')?.0.trim()));
    names.filter(|name| name.starts_with("veth")).map(|name| format!("link {name}")).collect()
}

/// Shims of the world's containers, by pid and command line, which names it.
pub(crate) fn shims(root: &Path) -> Vec<(i32, String)> {
    processes(root, " shim").filter(|(_, line)| !is_spare(line)).collect()
}

/// Shims that wait for the next start.
pub(crate) fn spares(root: &Path) -> Vec<(i32, String)> {
    processes(root, " shim").filter(|(_, line)| is_spare(line)).collect()
}

fn is_spare(line: &str) -> bool {
    line.contains("/spare-")
}

/// Processes of the world in one of the hidden roles of the binary.
fn processes(root: &Path, role: &str) -> impl Iterator<Item = (i32, String)> {
    let needle = root.to_string_lossy().into_owned();
    fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(move |entry| {
        let pid = entry.file_name().to_string_lossy().parse().ok()?;
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        (line.contains(&needle) && line.contains(role)).then_some((pid, line))
    })
}

pub(crate) fn mounts(root: &Path) -> Vec<String> {
    let needle = root.to_string_lossy().into_owned();
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    table.lines().filter(|line| line.contains(&needle)).map(|line| format!("mount {line}")).collect()
}

/// The cgroups below a parent, in every tree. An empty parent is taken away.
pub(crate) fn cgroups(folder: &Path, parent: &str, depth: usize, found: &mut Vec<PathBuf>) {
    let name = parent.trim_start_matches('/');
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()) {
        if path.file_name().is_some_and(|file| file == name) {
            // The parent itself may stay empty; a container's cgroup below it may not.
            let below = fs::read_dir(&path).into_iter().flatten().flatten();
            found.extend(below.map(|entry| entry.path()).filter(|path| path.is_dir()));
            drop(fs::remove_dir(&path));
        } else if depth < 2 {
            cgroups(&path, parent, depth + 1, found);
        }
    }
}
