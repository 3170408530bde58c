//! Which namespaces are made and which are joined.

use std::os::fd::OwnedFd;
use std::path::Path;

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_oci::runtime::{LinuxNamespace, Spec};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::thread::ThreadNameSpaceType as Flags;

use super::id_map::IdMaps;

/// A namespace of somebody else's that is entered.
#[derive(Debug)]
pub(crate) struct Join {
    pub(crate) kind: Flags,
    pub(crate) file: OwnedFd,
    pub(crate) path: String,
}

/// The namespaces of a container.
#[derive(Debug)]
pub(crate) struct Namespaces {
    /// Made by `clone3` in one go.
    pub(crate) create: Flags,
    /// Entered by the parent's thread around the clone, which leaves them afterwards: the pid namespace, which only
    /// children enter, and what a new user namespace would have no right to enter.
    pub(crate) around: Vec<Join>,
    /// Entered by the child.
    pub(crate) join: Vec<Join>,
    /// Made by the child once it is in its cgroup, which becomes the root it sees.
    pub(crate) cgroup: bool,
    /// Made by the child, with what is written to `timens_offsets` before it lives there.
    pub(crate) time: Option<Vec<u8>>,
    /// Of a new user namespace.
    pub(crate) id_maps: Option<IdMaps>,
    /// All namespaces the container does not share with its maker.
    pub(crate) own: Flags,
}

impl Namespaces {
    /// Reads `linux.namespaces` and what belongs to it. `network`: one made ahead.
    pub(crate) fn plan(spec: &Spec, network: Option<OwnedFd>) -> Result<Self> {
        let linux = spec.linux.as_ref();
        let mut plan = Self {
            create: Flags::empty(),
            around: Vec::new(),
            join: Vec::new(),
            cgroup: false,
            time: None,
            id_maps: None,
            own: Flags::empty(),
        };
        for namespace in linux.map(|linux| linux.namespaces.as_slice()).unwrap_or_default() {
            plan.add(namespace)?;
        }
        if let Some(file) = network {
            plan.take_network(file);
        }
        if plan.create.contains(Flags::USER) {
            plan.id_maps = Some(IdMaps::of(spec)?);
            let (stay, around) = plan.join.drain(..).partition(|join| join.kind == Flags::MOUNT);
            plan.join = stay;
            plan.around.extend::<Vec<Join>>(around);
        }
        if plan.time.is_some() {
            plan.time = Some(time_offsets(spec));
        }
        if !plan.own.contains(Flags::MOUNT) {
            return Err(Error::invalid("the container has no mount namespace of its own")
                .with_hint("add {\"type\": \"mount\"} to linux.namespaces"));
        }
        Ok(plan)
    }

    fn add(&mut self, namespace: &LinuxNamespace) -> Result<()> {
        let kind = kind_of(&namespace.kind)?;
        if self.own.contains(kind) {
            return Err(Error::invalid(format!("namespace {} is listed twice", namespace.kind)));
        }
        self.own |= kind;
        match namespace.path.as_deref().filter(|path| !path.as_os_str().is_empty()) {
            Some(path) => self.add_join(kind, path)?,
            None if kind == Flags::CONTROL_GROUP => self.cgroup = true,
            None if kind == Flags::TIME => self.time = Some(Vec::new()),
            None => self.create |= kind,
        }
        Ok(())
    }

    fn add_join(&mut self, kind: Flags, path: &Path) -> Result<()> {
        let file = openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .map_err(std::io::Error::from)
            .context(|| format!("open namespace {}", path.display()))?;
        let join = Join { kind, file, path: path.display().to_string() };
        match kind {
            Flags::PROCESS_ID => self.around.push(join),
            // The user namespace goes first: it gives the rights over namespaces that belong to it.
            Flags::USER => self.join.insert(0, join),
            _ => self.join.push(join),
        }
        Ok(())
    }

    /// Takes a network namespace made ahead for a new one, unless that has to belong to another user namespace.
    fn take_network(&mut self, file: OwnedFd) {
        if self.new_network() && !self.has_user() {
            self.create.remove(Flags::NETWORK);
            self.join.push(Join { kind: Flags::NETWORK, file, path: "a network namespace made ahead".into() });
        }
    }

    /// Whether the container lives in a user namespace other than its maker's.
    pub(crate) fn has_user(&self) -> bool {
        self.own.contains(Flags::USER)
    }

    /// All that are entered: by the child, then by its parent.
    pub(crate) fn joined(&self) -> impl Iterator<Item = &Join> {
        self.join.iter().chain(&self.around)
    }

    /// Whether the child can enter what its parent may not: the pid namespace, from which an engine in a user namespace of
    /// its own would have no way home. A new user namespace has no right over it.
    pub(crate) fn child_can_enter(&self, join: &Join) -> bool {
        join.kind == Flags::PROCESS_ID && self.id_maps.is_none()
    }

    /// Whether somebody else's user namespace is entered: what is made has to be made from inside it.
    pub(crate) fn joins_user(&self) -> bool {
        self.join.first().is_some_and(|join| join.kind == Flags::USER)
    }

    /// Whether a new network namespace is made, which has its loopback interface down.
    pub(crate) fn new_network(&self) -> bool {
        self.create.contains(Flags::NETWORK)
    }
}

fn kind_of(name: &str) -> Result<Flags> {
    Ok(match name {
        "mount" => Flags::MOUNT,
        "pid" => Flags::PROCESS_ID,
        "network" => Flags::NETWORK,
        "ipc" => Flags::INTER_PROCESS_COMMUNICATION,
        "uts" => Flags::HOST_NAME_AND_NIS_DOMAIN_NAME,
        "user" => Flags::USER,
        "cgroup" => Flags::CONTROL_GROUP,
        "time" => Flags::TIME,
        other => return Err(Error::invalid(format!("unknown namespace type {other:?}"))),
    })
}

/// The lines of `timens_offsets` (time_namespaces(7)).
fn time_offsets(spec: &Spec) -> Vec<u8> {
    let offsets = spec.linux.as_ref().map(|linux| &linux.time_offsets);
    let mut lines = String::new();
    for (clock, offset) in offsets.into_iter().flatten() {
        lines.push_str(&format!("{clock} {} {}\n", offset.secs, offset.nanosecs));
    }
    lines.into_bytes()
}
