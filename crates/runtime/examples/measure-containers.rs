//! Measures containers and execs as the shim makes them: `measure-containers BUNDLE [COUNT]`, with the bundle's spec.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use dhow_cgroups::{Cgroup, Hierarchy};
use dhow_errdefs::{Error, Result, ResultExt};
use dhow_oci::runtime::Spec;
use dhow_runtime::{Create, Exec, Rootfs, Target, create, exec};
use rustix::process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let bundle = args.next().ok_or_else(|| Error::invalid("usage: measure-containers BUNDLE [COUNT]"))?;
    let count = args.next().and_then(|count| count.parse().ok()).unwrap_or(100);
    let bundle = Path::new(&bundle);
    let text = std::fs::read(bundle.join("config.json")).context(|| "read config.json")?;
    let mut spec: Spec = serde_json::from_slice(&text).map_err(|error| Error::invalid(error.to_string()))?;
    run(bundle, &mut spec, &["true"], count, "container")?;
    run(bundle, &mut spec, &["sleep", "1000"], count, "exec")
}

fn run(bundle: &Path, spec: &mut Spec, command: &[&str], count: usize, what: &str) -> Result<()> {
    let process = spec.process.get_or_insert_default();
    process.args = command.iter().map(|word| (*word).to_owned()).collect();
    process.terminal = false;
    let hierarchy = Hierarchy::detect()?;
    let mut times = Vec::new();
    if what == "container" {
        for _ in 0..count {
            times.push(container(bundle, spec, &hierarchy)?);
        }
    } else {
        let cgroup = Cgroup::create(&hierarchy, "/dhow-measure")?;
        let mut request = request(bundle, spec);
        let root = bundle.join("rootfs");
        request.rootfs = Rootfs::Path(&root);
        request.cgroup = Some(&cgroup);
        let running = create(request)?.start()?;
        let target = Target::open(running.pid)?;
        let mut process = spec.process.clone().unwrap_or_default();
        process.args = vec!["true".into()];
        for _ in 0..count {
            let start = Instant::now();
            let child = exec(Exec { cgroup: Some(&cgroup), ..Exec::new(&target, &process) })?;
            let running = start.elapsed();
            reap(child.pidfd);
            times.push([running, running, start.elapsed()]);
        }
        // It is ours and not reaped yet.
        let _ = pidfd_send_signal(&running.pidfd, Signal::KILL);
        reap(running.pidfd);
        cgroup.delete()?;
    }
    for (index, name) in ["created", "started", "ended"].iter().enumerate() {
        let mut column: Vec<Duration> = times.iter().map(|row| row[index]).collect();
        column.sort_unstable();
        println!("{what} {name}: least {:?}, median {:?}", column[0], column[column.len() / 2]);
    }
    Ok(())
}

fn request<'a>(bundle: &'a Path, spec: &'a Spec) -> Create<'a> {
    Create::new("measure", spec, bundle, Rootfs::Path(bundle))
}

fn container(bundle: &Path, spec: &Spec, hierarchy: &Hierarchy) -> Result<[Duration; 3]> {
    let root = bundle.join("rootfs");
    let start = Instant::now();
    let cgroup = Cgroup::create(hierarchy, "/dhow-measure")?;
    let mut request = request(bundle, spec);
    request.rootfs = Rootfs::Path(&root);
    request.cgroup = Some(&cgroup);
    let init = create(request)?;
    let created = start.elapsed();
    let running = init.start()?;
    let started = start.elapsed();
    reap(running.pidfd);
    cgroup.delete()?;
    Ok([created, started, start.elapsed()])
}

fn reap(pidfd: OwnedFd) {
    let _ = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED);
}
