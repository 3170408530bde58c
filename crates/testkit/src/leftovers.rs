//! What a world may have left behind: processes, mounts and cgroups that carry its name.

use std::fs;
use std::path::Path;

/// Everything of a world that is still there, one line each.
pub(crate) fn find(root: &Path, cgroup_parent: &str) -> Vec<String> {
    let mut found = processes(root);
    found.extend(mounts(root));
    cgroups(Path::new("/sys/fs/cgroup"), cgroup_parent, 0, &mut found);
    found
}

/// Processes of the world: their command line, or the cgroup they are in, names it.
fn processes(root: &Path) -> Vec<String> {
    let needle = root.to_string_lossy().into_owned();
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().bytes().all(|byte| byte.is_ascii_digit()))
        .filter_map(|entry| {
            let line = fs::read(entry.path().join("cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            let of_world = line.contains(&needle) && line.contains(" shim");
            of_world.then(|| format!("process {}: {line}", entry.file_name().to_string_lossy()))
        })
        .collect()
}

fn mounts(root: &Path) -> Vec<String> {
    let needle = root.to_string_lossy().into_owned();
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    table.lines().filter(|line| line.contains(&needle)).map(|line| format!("mount {line}")).collect()
}

fn cgroups(folder: &Path, parent: &str, depth: usize, found: &mut Vec<String>) {
    let name = parent.trim_start_matches('/');
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()) {
        if path.file_name().is_some_and(|file| file == name) {
            // The parent itself may stay empty; a container's cgroup below it may not.
            let below = fs::read_dir(&path).into_iter().flatten().flatten();
            found.extend(
                below.filter(|entry| entry.path().is_dir()).map(|entry| format!("cgroup {}", entry.path().display())),
            );
            drop(fs::remove_dir(&path));
        } else if depth < 2 {
            cgroups(&path, parent, depth + 1, found);
        }
    }
}
