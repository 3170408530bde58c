//! `create`: everything but the program.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{ArgMatches, Command};
use dhow_cgroups::{Cgroup, Hierarchy};
use dhow_errdefs::{Error, Result, ResultExt};
use dhow_oci::runtime::Spec;
use dhow_sys::atomic::{self, Sync};

use super::record::{self, Record, claim, read_json};
use super::{Globals, console, flag, id, path, text};
use crate::{Create, Gate, Init, Rootfs, Stdio, create, default_device_rules};

pub(crate) fn command() -> Command {
    options(Command::new("create").about("create a container"))
}

/// The options that `create` and `run` share.
pub(crate) fn options(command: Command) -> Command {
    command
        .arg(path("bundle").short('b').default_value("."))
        .arg(path("console-socket"))
        .arg(path("pid-file"))
        .arg(flag("no-pivot").hide(true))
        .arg(flag("no-new-keyring").help("leave the container the caller's session keyring"))
        .arg(preserve_fds())
        .arg(id())
}

/// `--preserve-fds N`.
pub(crate) fn preserve_fds() -> clap::Arg {
    clap::Arg::new("preserve-fds").long("preserve-fds").value_parser(clap::value_parser!(u32)).default_value("0")
}

/// How many descriptors from 3 on go to the program: those of `--preserve-fds`, and listening sockets. Each must be open:
/// else a descriptor of our own would get its number, and an absurd count would fill the memory.
pub(crate) fn preserved(matches: &ArgMatches, listening: u32) -> Result<u32> {
    let wanted = matches.get_one::<u32>("preserve-fds").copied().unwrap_or(0);
    let missing = |fd: u64| !dhow_sys::inherited::is_open(i32::try_from(fd).unwrap_or(-1));
    let count = u64::from(wanted) + u64::from(listening);
    match (3..3 + count).find(|fd| missing(*fd)) {
        Some(fd) => Err(Error::invalid(format!(
            "--preserve-fds {wanted}{}: file descriptor {fd} is not open",
            if listening > 0 { format!(" and LISTEN_FDS={listening}") } else { String::new() }
        ))),
        None => Ok(count as u32),
    }
}

pub(crate) fn run(globals: &Globals, matches: &ArgMatches) -> Result<u8> {
    let request = Request::read(globals, matches, true)?;
    let (made, _) = request.make(globals, true)?;
    // The process waits for `start`; it is not ours any more.
    drop(made.detach());
    Ok(0)
}

/// What is to be created.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) id: String,
    pub(crate) bundle: PathBuf,
    pub(crate) spec: Spec,
    pub(crate) console: Option<PathBuf>,
    pid_file: Option<PathBuf>,
    preserve_fds: u32,
    new_keyring: bool,
}

/// What was made besides the process, for undoing it.
#[derive(Debug)]
pub(crate) struct Traces {
    directory: PathBuf,
    cgroup: Option<Cgroup>,
}

impl Request {
    /// Reads the bundle.
    pub(crate) fn read(globals: &Globals, matches: &ArgMatches, detached: bool) -> Result<Self> {
        let bundle = matches.get_one::<PathBuf>("bundle").expect("it has a default");
        let bundle = fs::canonicalize(bundle).context(|| format!("bundle {}", bundle.display()))?;
        let mut spec: Spec = read_json(&bundle.join("config.json"))?;
        let path = spec.linux.as_ref().and_then(|linux| linux.cgroups_path.clone());
        let path = cgroup_path(path.as_deref().unwrap_or_default(), text(matches, "id"), globals.systemd_cgroup)?;
        let linux = spec.linux.get_or_insert_default();
        linux.cgroups_path = Some(path);
        if let Some(resources) = linux.resources.as_mut().filter(|resources| !resources.devices.is_empty()) {
            resources.devices.extend(default_device_rules());
        }
        let listening = pass_listeners(&mut spec);
        let terminal = spec.process.as_ref().is_some_and(|process| process.terminal);
        let console = matches.get_one::<PathBuf>("console-socket").cloned();
        console::check(terminal, console.as_deref(), detached)?;
        Ok(Self {
            id: text(matches, "id").to_owned(),
            bundle,
            spec,
            console,
            pid_file: matches.get_one::<PathBuf>("pid-file").cloned(),
            preserve_fds: preserved(matches, listening)?,
            new_keyring: !matches.get_flag("no-new-keyring"),
        })
    }

    /// Makes the container; with a `gate` another call starts it. A failure leaves nothing.
    pub(crate) fn make(&self, globals: &Globals, gate: bool) -> Result<(Init, Traces)> {
        let mut traces = Traces { directory: claim(globals, &self.id)?, cgroup: None };
        match self.make_with(globals, &mut traces, gate) {
            Ok(init) => Ok((init, traces)),
            Err(error) => {
                traces.remove(globals);
                Err(error)
            }
        }
    }

    fn make_with(&self, globals: &Globals, traces: &mut Traces, gate: bool) -> Result<Init> {
        record::save_spec(&traces.directory, &self.spec)?;
        traces.cgroup = self.cgroup(globals)?;
        let root = self.spec.root.as_ref().ok_or_else(|| Error::invalid("the spec has no root"))?;
        let rootfs = self.bundle.join(&root.path);
        let gate_path = traces.directory.join("start.sock");
        let terminal = self.spec.process.as_ref().is_some_and(|process| process.terminal);
        let mut request = Create::new(&self.id, &self.spec, &self.bundle, Rootfs::Path(&rootfs));
        request.stdio = if terminal { Stdio::Terminal } else { Stdio::Inherit };
        request.cgroup = traces.cgroup.as_ref();
        request.preserve_fds = self.preserve_fds;
        request.new_keyring = self.new_keyring;
        request.gate = if gate { Gate::Socket(&gate_path) } else { Gate::Private };
        let mut init = create(request)?;
        init.warnings().iter().for_each(|warning| globals.log.warning(warning));
        if let Some(socket) = &self.console {
            console::send(socket, init.take_pty())?;
        }
        let cgroup = traces.cgroup.as_ref().map(|cgroup| cgroup.path().to_owned());
        Record::new(&self.id, &self.bundle, &self.spec, init.pid(), cgroup).save(&traces.directory)?;
        // Last: who waits for this file finds everything in place.
        write_pid_file(self.pid_file.as_deref(), init.pid())?;
        Ok(init)
    }

    /// Its cgroup with its limits; none for an ordinary user to whom no cgroup is delegated, if none was asked for.
    fn cgroup(&self, globals: &Globals) -> Result<Option<Cgroup>> {
        let linux = self.spec.linux.as_ref();
        let path = linux.and_then(|linux| linux.cgroups_path.as_deref()).unwrap_or_default();
        let made = Hierarchy::detect().and_then(|hierarchy| Cgroup::create(&hierarchy, path));
        let cgroup = match made {
            Err(_) if !rustix::process::geteuid().is_root() => return Ok(None),
            made => made?,
        };
        let resources = linux.and_then(|linux| linux.resources.as_ref());
        let applied = resources.map_or_else(|| Ok(Vec::new()), |resources| cgroup.apply(resources));
        // Who asked for it may look into any tree.
        let ready = applied.and_then(|warnings| cgroup.join_all().map(|()| warnings));
        match ready {
            Ok(warnings) => warnings.iter().for_each(|warning| globals.log.warning(warning)),
            Err(error) => {
                let _ = cgroup.delete();
                return Err(error);
            }
        }
        Ok(Some(cgroup))
    }
}

impl Traces {
    /// Removes what was made; what cannot be removed is a warning.
    pub(crate) fn remove(self, globals: &Globals) {
        if let Some(Err(error)) = self.cgroup.map(|cgroup| cgroup.delete()) {
            globals.log.warning(&error.to_string());
        }
        if let Err(error) = fs::remove_dir_all(&self.directory) {
            globals.log.warning(&format!("remove {}: {error}", self.directory.display()));
        }
    }
}

/// Sockets that systemd opened for the container (sd_listen_fds(3)) go to its first process; how many.
fn pass_listeners(spec: &mut Spec) -> u32 {
    let count = std::env::var("LISTEN_FDS").ok().and_then(|count| count.parse().ok()).unwrap_or(0);
    if count > 0
        && let Some(process) = &mut spec.process
    {
        process.env.extend([format!("LISTEN_FDS={count}"), "LISTEN_PID=1".to_owned()]);
    }
    count
}

/// Writes a pid as its file has it: digits alone.
pub(crate) fn write_pid_file(file: Option<&Path>, pid: i32) -> Result<()> {
    let Some(file) = file else { return Ok(()) };
    atomic::write(file, pid.to_string().as_bytes(), 0o644, Sync::No).context(|| format!("write {}", file.display()))
}

/// The cgroup's path below each tree's root. systemd's form `slice:prefix:name` becomes the path that systemd would use;
/// the directories are made directly.
fn cgroup_path(wanted: &str, id: &str, systemd: bool) -> Result<String> {
    if !systemd {
        return Ok(if wanted.is_empty() {
            format!("/dhow-{id}")
        } else {
            format!("/{}", wanted.trim_start_matches('/'))
        });
    }
    let wanted = if wanted.is_empty() { format!("system.slice:dhow:{id}") } else { wanted.to_owned() };
    let [slice, prefix, name] = wanted.split(':').collect::<Vec<_>>()[..] else {
        return Err(Error::invalid(format!("cgroupsPath {wanted:?} is not of the form slice:prefix:name")));
    };
    let slice = if slice.is_empty() { "system.slice" } else { slice };
    let unit = match (name.ends_with(".slice"), prefix.is_empty()) {
        (true, _) => name.to_owned(),
        (false, true) => format!("{name}.scope"),
        (false, false) => format!("{prefix}-{name}.scope"),
    };
    Ok(format!("/{}/{unit}", slice_path(slice)))
}

/// `a-b.slice` lies in `a.slice` (systemd.slice(5)).
fn slice_path(slice: &str) -> String {
    let stem = slice.trim_end_matches(".slice");
    let mut path = Vec::new();
    for (index, _) in stem.match_indices('-').chain([(stem.len(), "")]) {
        path.push(format!("{}.slice", &stem[..index]));
    }
    path.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cgroup_paths_of_both_forms() {
        assert_eq!(cgroup_path("", "x", false).unwrap(), "/dhow-x");
        assert_eq!(cgroup_path("/a/b", "x", false).unwrap(), "/a/b");
        assert_eq!(cgroup_path("", "x", true).unwrap(), "/system.slice/dhow-x.scope");
        assert_eq!(
            cgroup_path("machine-lib.slice:libpod:x", "x", true).unwrap(),
            "/machine.slice/machine-lib.slice/libpod-x.scope"
        );
        assert!(cgroup_path("/a/b", "x", true).is_err());
    }
}
