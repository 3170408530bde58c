//! Memory and size. PSS counts a shared page by its sharers (proc(5), smaps_rollup).

use std::fs;

use dhow_testkit::World;

use super::report::Report;
use crate::shell::Result;

const CONTAINERS: u64 = 20;

/// The engine with one image and nothing to do.
pub(crate) fn at_rest(world: &World, report: &mut Report) -> Result {
    let pid = world.engine_pid().ok_or("the engine does not run")?;
    report.size("engine at rest, PSS", "at most 15 MB", pss(pid)?);
    Ok(())
}

/// What each running container costs beside its own processes: the growth of the engine and of all its shims.
pub(crate) fn per_container(world: &World, report: &mut Report) -> Result {
    let engine = world.engine_pid().ok_or("the engine does not run")?;
    let before = pss(engine)?;
    for _ in 0..CONTAINERS {
        world.dhow(&["run", "-d", "--network", "none", "busybox", "sleep", "1000"]).exits(0);
    }
    let shims = shims(world)?;
    if shims.len() as u64 != CONTAINERS {
        return Err(format!("{} shims for {CONTAINERS} containers", shims.len()));
    }
    let mut total = pss(engine)?.saturating_sub(before);
    for pid in shims {
        total += pss(pid)?;
    }
    report.size("per running container, PSS of its shim and the engine's growth", "at most 1 MB", total / CONTAINERS);
    let ids = world.dhow(&["ps", "-aq"]).ok();
    world.dhow(&[vec!["rm", "-f"], ids.lines().collect()].concat()).exits(0);
    Ok(())
}

/// The binary.
pub(crate) fn binary(report: &mut Report) -> Result {
    let path = super::binary();
    let metadata = fs::metadata(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    report.size("the binary", "at most 25 MB", metadata.len());
    Ok(())
}

fn pss(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:")).ok_or_else(|| format!("{path}: no Pss"))?;
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().map_err(|error| format!("{path}: {error}"))?;
    Ok(kilobytes * 1024)
}

/// The shims of this world: its folder is in their command line or environment of arguments.
pub(super) fn shims(world: &World) -> Result<Vec<u32>> {
    let ids = world.dhow(&["ps", "-q", "--no-trunc"]).ok();
    let entries = fs::read_dir("/proc").map_err(|error| error.to_string())?;
    Ok(entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_string_lossy().parse::<u32>().ok())
        .filter(|pid| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            line.contains(" shim") && ids.lines().any(|id| line.contains(id))
        })
        .collect())
}
