//! The program that connects the namespace with the outside.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::{NAMESPACE, OUTLET_LOG};
use crate::networks::lock;

/// The link it makes in the namespace.
pub(super) const LINK: &str = "tap0";

/// Its number, for whoever comes after a holder that was killed.
const NUMBER: &str = "outlet.pid";

/// How long is waited before it is started again.
const PAUSE: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(100);

/// The program, started again whenever it ends, until [`stop`](Self::stop).
#[derive(Debug)]
pub(super) struct Outlet {
    folder: PathBuf,
    /// `None`: it is to run no more.
    child: Arc<Mutex<Option<Child>>>,
}

impl Outlet {
    /// Starts it from a thread that is in the host's network namespace and stays there; from such a thread this is to be
    /// called.
    pub(super) fn start(folder: &Path, program: &Path) -> std::io::Result<Self> {
        end_predecessor(folder, program);
        let child = Arc::new(Mutex::new(Some(spawn(folder, program)?)));
        let (kept, folder, program) = (Arc::clone(&child), folder.to_owned(), program.to_owned());
        let outlet = Self { folder: folder.clone(), child };
        thread::Builder::new().name("outlet".to_owned()).spawn(move || keep(&kept, &folder, &program))?;
        Ok(outlet)
    }

    /// Ends it.
    pub(super) fn stop(&self) {
        if let Some(mut child) = lock(&self.child).take() {
            drop(child.kill());
            drop(child.wait());
        }
        for file in [NUMBER, OUTLET_LOG] {
            drop(fs::remove_file(self.folder.join(file)));
        }
    }
}

fn keep(kept: &Mutex<Option<Child>>, folder: &Path, program: &Path) {
    loop {
        thread::sleep(LOOK);
        let mut child = lock(kept);
        let Some(running) = &mut *child else { return };
        if !matches!(running.try_wait(), Ok(None)) {
            drop(child);
            thread::sleep(PAUSE);
            let mut child = lock(kept);
            if child.is_none() {
                return;
            }
            if let Ok(again) = spawn(folder, program) {
                *child = Some(again);
            }
        }
    }
}

/// The options by which each gives the namespace addresses and routes and leaves everything else alone: ports are ours,
/// and what listens on the host's loopback is nobody's in a container.
fn spawn(folder: &Path, program: &Path) -> std::io::Result<Child> {
    let namespace = folder.join(NAMESPACE);
    let mut command = Command::new(program);
    if is_slirp(program) {
        command.args(["--configure", "--mtu=65520", "--disable-host-loopback", "--netns-type=path"]);
        command.arg(namespace).arg(LINK);
    } else {
        command.args(["--foreground", "--config-net", "--no-map-gw", "--ns-ifname", LINK]);
        command.args(["-t", "none", "-u", "none", "-T", "none", "-U", "none", "--netns-only", "--netns"]);
        command.arg(namespace);
    }
    let log = File::create(folder.join(OUTLET_LOG))?;
    let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
    fs::write(folder.join(NUMBER), child.id().to_string())?;
    Ok(child)
}

fn is_slirp(program: &Path) -> bool {
    program.file_name().is_some_and(|name| name == "slirp4netns")
}

/// A holder that was killed has left it behind, connected with the same namespace.
fn end_predecessor(folder: &Path, program: &Path) {
    let number = fs::read_to_string(folder.join(NUMBER)).ok().and_then(|text| text.trim().parse().ok());
    let Some(number) = number.and_then(Pid::from_raw) else { return };
    let name = fs::read_to_string(format!("/proc/{}/comm", number.as_raw_nonzero())).unwrap_or_default();
    let called = program.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    // pasta runs itself once more as the one for this processor, `pasta.avx2`.
    if !called.is_empty() && name.starts_with(called) {
        let _ = kill_process(number, Signal::KILL);
        thread::sleep(LOOK);
    }
}
