//! The holder: a process that keeps the namespace, and what connects it with the outside, while engines come and go.

use std::collections::{HashMap, VecDeque};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::mount::{UnmountFlags, mount_bind, unmount};
use rustix::thread::{LinkNameSpaceType, ThreadNameSpaceType, move_into_link_name_space};
use tokio::runtime::Handle;

use super::gate::{LEAD, LEAD_AS_HOST, OPEN, OPEN_AS_HOST, SOCKET, through_descriptor};
use super::outlet::{LINK, Outlet};
use super::relay::{Relay, Target, Way};
use super::{BACK, NAMESPACE, TABLE, is_namespace};
use crate::link::Links;
use crate::model::Protocol;
use crate::networks::lock;

/// How often is looked whether anybody needs the namespace, and how long the engine that starts it may take to come.
const LOOK: Duration = Duration::from_millis(300);
const GRACE: Duration = Duration::from_secs(10);

/// How long the connecting program has for its link.
const OUTLET: Duration = Duration::from_secs(3);
const BEAT: Duration = Duration::from_millis(2);

/// What is read at once of requests.
const REQUEST: usize = 8192;

type Ports = HashMap<(Protocol, SocketAddr), Relay>;

/// What all threads of the holder share.
struct Holder {
    ports: Mutex<Ports>,
    engines: AtomicUsize,
    /// An engine has been here.
    met: AtomicBool,
    runtime: Handle,
    way_out: bool,
    /// The namespace is for this engine's containers only.
    separate: bool,
}

/// `dhow network-holder FOLDER OUTLET`: started by an engine without root, in its user namespace. Without `OUTLET` it stays
/// where it is, and only passes ports on.
#[must_use]
pub fn main(args: &[OsString]) -> ExitCode {
    let [folder, outlet @ ..] = args else { return ExitCode::FAILURE };
    // It was started from a descriptor, and would be called by its number.
    let _ = rustix::thread::set_name(c"dhow-network");
    match run(Path::new(folder), outlet.first().map(Path::new)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn run(folder: &Path, program: Option<&Path>) -> io::Result<()> {
    // A holder that was started by hand may lead a group already.
    let _ = rustix::process::setsid();
    let outlet = match program {
        Some(program) => move_in(folder, program)?,
        None => {
            come_back(&Links::open().map_err(io::Error::other)?)?;
            None
        }
    };
    let links = Links::open().map_err(io::Error::other)?;
    let way_out = outlet.is_some() && wait_for_way_out(&links);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let holder = Arc::new(Holder {
        ports: Mutex::default(),
        engines: AtomicUsize::new(0),
        met: AtomicBool::new(false),
        runtime: runtime.handle().clone(),
        way_out,
        separate: program.is_some(),
    });
    let listener = listen(folder)?;
    let door = Arc::clone(&holder);
    thread::Builder::new().name("door".to_owned()).spawn(move || door.receive(&listener))?;
    holder.wait_for_end(&links);
    match outlet {
        Some(outlet) => outlet.stop(),
        None => drop(links.come_back_no_more(BACK, TABLE)),
    }
    let _ = unmount(folder.join(NAMESPACE), UnmountFlags::DETACH);
    drop(fs::remove_file(folder.join(NAMESPACE)));
    // Last: whoever finds no socket finds nothing else of us either.
    drop(fs::remove_file(folder.join(SOCKET)));
    runtime.shutdown_background();
    Ok(())
}

/// Enters the namespace, and has it connected with the outside.
fn move_in(folder: &Path, program: &Path) -> io::Result<Option<Outlet>> {
    // The outlet's thread stays outside; this one and all that it starts later are inside.
    let (ready, wait) = mpsc::channel::<()>();
    let (started, outlet) = mpsc::channel();
    let place = (folder.to_owned(), program.to_owned());
    thread::Builder::new().name("outside".to_owned()).spawn(move || {
        let (folder, program): (PathBuf, PathBuf) = place;
        if wait.recv().is_ok() {
            drop(started.send(Outlet::start(&folder, &program)));
        }
    })?;
    enter(folder)?;
    let _ = ready.send(());
    Ok(outlet.recv().map_err(|_| io::ErrorKind::BrokenPipe)?.ok())
}

/// Goes into the namespace that a holder before this one has left, or makes one.
fn enter(folder: &Path) -> io::Result<()> {
    let path = folder.join(NAMESPACE);
    if is_namespace(&path) {
        return Ok(move_into_link_name_space(
            std::os::fd::AsFd::as_fd(&File::open(&path)?),
            Some(LinkNameSpaceType::Network),
        )?);
    }
    dhow_sys::namespace::unshare(ThreadNameSpaceType::NETWORK)?;
    dhow_sys::loopback::up()?;
    come_back(&Links::open().map_err(io::Error::other)?)?;
    File::create(&path)?;
    Ok(mount_bind("/proc/thread-self/ns/net", &path)?)
}

fn come_back(links: &Links) -> io::Result<()> {
    links.come_back(false, BACK, TABLE).map_err(io::Error::other)?;
    // A host without IPv6 has none to come back.
    drop(links.come_back(true, BACK, TABLE));
    Ok(())
}

fn wait_for_way_out(links: &Links) -> bool {
    let begin = Instant::now();
    while begin.elapsed() < OUTLET {
        if links.named(LINK).is_ok() && links.routes().is_ok_and(|routes| !routes.is_empty()) {
            return true;
        }
        thread::sleep(BEAT);
    }
    false
}

fn listen(folder: &Path) -> io::Result<UnixListener> {
    drop(fs::remove_file(folder.join(SOCKET)));
    through_descriptor(folder, |path| UnixListener::bind(path))
}

impl Holder {
    fn receive(self: Arc<Self>, listener: &UnixListener) {
        for connection in listener.incoming().flatten() {
            self.engines.fetch_add(1, Ordering::SeqCst);
            self.met.store(true, Ordering::SeqCst);
            let holder = Arc::clone(&self);
            let serve = move || {
                // It ends when the engine does.
                drop(holder.serve(&connection));
                holder.engines.fetch_sub(1, Ordering::SeqCst);
            };
            if thread::Builder::new().name("engine".to_owned()).spawn(serve).is_err() {
                self.engines.fetch_sub(1, Ordering::SeqCst);
            }
        }
    }

    fn serve(&self, connection: &UnixStream) -> io::Result<()> {
        let mut buffer = [0; REQUEST];
        let (mut text, mut arrived, mut sockets) = (Vec::new(), Vec::new(), VecDeque::new());
        loop {
            let length = dhow_sys::fdpass::receive(connection, &mut buffer, &mut arrived)?;
            if length == 0 {
                return Ok(());
            }
            text.extend_from_slice(&buffer[..length]);
            sockets.extend(arrived.drain(..));
            let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
            let requests: Vec<u8> = text.drain(..whole).collect();
            let mut answers = String::new();
            for request in String::from_utf8_lossy(&requests).lines() {
                answers += &match self.answer(request, &mut sockets) {
                    Ok(text) => format!("ok {text}\n"),
                    Err(error) => format!("error {error}\n"),
                };
            }
            io::Write::write_all(&mut &*connection, answers.as_bytes())?;
        }
    }

    /// Descriptors have come in the order of the requests that need one.
    fn answer(&self, request: &str, sockets: &mut VecDeque<OwnedFd>) -> io::Result<String> {
        let invalid = || io::Error::from(io::ErrorKind::InvalidInput);
        let words: Vec<&str> = request.split(' ').collect();
        let port = |protocol: &str, host: &str| {
            let protocol: Protocol = protocol.parse().map_err(|_| invalid())?;
            Ok::<_, io::Error>((protocol, host.parse::<SocketAddr>().map_err(|_| invalid())?))
        };
        match words[..] {
            ["list"] => {
                let list: Vec<String> =
                    lock(&self.ports).keys().map(|(protocol, host)| format!("{protocol}/{host}")).collect();
                Ok(list.join(" "))
            }
            ["outlet"] => Ok(if self.way_out { "open" } else { "shut" }.to_owned()),
            [verb @ (OPEN | OPEN_AS_HOST | LEAD | LEAD_AS_HOST), protocol, host, target, ref from @ ..] => {
                let socket = if [OPEN, OPEN_AS_HOST].contains(&verb) { sockets.pop_front() } else { None };
                let address = target.parse().map_err(|_| invalid())?;
                let from = from.iter().flat_map(|list| list.split(','));
                let from = from.map(|text| text.parse().map_err(|_| invalid())).collect::<io::Result<_>>()?;
                let way = Way { address, in_clients_name: [OPEN, LEAD].contains(&verb) };
                self.open(port(protocol, host)?, Target { way, from }, socket)?;
                Ok(String::new())
            }
            ["close", protocol, host] => {
                let gone = lock(&self.ports).remove(&port(protocol, host)?);
                gone.into_iter().for_each(|relay| relay.stop(&self.runtime));
                Ok(String::new())
            }
            _ => Err(invalid()),
        }
    }

    fn open(&self, port: (Protocol, SocketAddr), target: Target, socket: Option<OwnedFd>) -> io::Result<()> {
        let mut ports = lock(&self.ports);
        match (ports.get(&port), socket) {
            (Some(relay), _) => relay.lead_to(target),
            (None, Some(socket)) => {
                let _entered = self.runtime.enter();
                ports.insert(port, Relay::start(port.0, socket, target)?);
            }
            (None, None) => return Err(io::ErrorKind::NotFound.into()),
        }
        Ok(())
    }

    /// Returns when there is neither an engine nor a container's link.
    fn wait_for_end(&self, links: &Links) {
        let begin = Instant::now();
        loop {
            thread::sleep(LOOK);
            let container = || links.all().is_ok_and(|all| all.iter().any(|link| link.name.starts_with("veth")));
            // On the host there are links of others. A port of a container that is gone waits for the next engine.
            let used = || if self.separate { container() } else { !lock(&self.ports).is_empty() };
            let young = begin.elapsed() < GRACE && !self.met.load(Ordering::SeqCst);
            if self.engines.load(Ordering::SeqCst) == 0 && !young && !used() {
                return;
            }
        }
    }
}
