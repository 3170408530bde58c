//! The engine's connection to the holder: for each line of text there one comes back, with descriptors along where they are
//! needed, in the same order. Many lines may be under way at once.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use dhow_errdefs::{Error, Result, ResultExt};
use rustix::fs::{CWD, Mode, OFlags};

use super::{HomeSettings, OUTLET_LOG, ROLE, broken, host_side};
use crate::firewall::Redirect;
use crate::model::Protocol;

/// The holder's socket in its folder.
pub(super) const SOCKET: &str = "holder.sock";

/// To pass on a port whose socket comes along, so that the container sees the client's address, or the host's.
pub(super) const OPEN: &str = "open";
pub(super) const OPEN_AS_HOST: &str = "open-as-host";

/// The same for a port that the holder has: it goes somewhere else from now on.
pub(super) const LEAD: &str = "lead";
pub(super) const LEAD_AS_HOST: &str = "lead-as-host";

/// How many requests are under way at once: their answers fit into the socket's buffer.
const WINDOW: usize = 64;

/// How long a holder that was started may take.
const PATIENCE: Duration = Duration::from_secs(10);
const BEAT: Duration = Duration::from_millis(1);

/// What is read at once of answers.
const ANSWER: usize = 4096;

/// The connection. While it is open, the holder stays.
#[derive(Debug)]
pub(super) struct Gate {
    connection: UnixStream,
    /// The holder, if this engine has started it.
    holder: Option<Child>,
    in_clients_name: bool,
}

impl Gate {
    /// Finds the holder, or starts one.
    pub(super) fn open(settings: &HomeSettings) -> Result<Self> {
        if let Ok(connection) = connect(&settings.folder) {
            let mut gate = Self { connection, holder: None, in_clients_name: settings.in_clients_name };
            // One that is just about to end does not answer.
            if gate.list().is_ok() {
                return Ok(gate);
            }
        }
        Self::start(settings)
    }

    fn start(settings: &HomeSettings) -> Result<Self> {
        let HomeSettings { folder, program, outlet, in_clients_name } = settings;
        std::fs::create_dir_all(folder).context(|| format!("create {}", folder.display()))?;
        let mut command = Command::new(program);
        command.arg0("dhow").arg(ROLE).arg(folder).args(outlet);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut holder = command.spawn().context(|| "start the holder of the networks")?;
        let begun = connect_patiently(folder, &mut holder).and_then(|connection| {
            let mut gate = Self { connection, holder: None, in_clients_name: *in_clients_name };
            gate.list().map(|_| gate)
        });
        let mut gate = begun.inspect_err(|_| {
            // Nobody would ever ask it.
            drop(holder.kill());
            drop(holder.wait());
        })?;
        gate.holder = Some(holder);
        let shut = gate.ask("outlet")? != "open";
        if let Some(outlet) = outlet.as_ref().filter(|_| shut) {
            let log = folder.join(OUTLET_LOG);
            tracing::warn!("containers have no way out: {} failed; see {}", outlet.display(), log.display());
        }
        Ok(gate)
    }

    /// The ports that are passed on.
    pub(super) fn list(&mut self) -> Result<Vec<(Protocol, SocketAddr)>> {
        let answer = self.ask("list")?;
        let port = |word: &str| {
            let (protocol, address) = word.split_once('/')?;
            Some((protocol.parse().ok()?, address.parse().ok()?))
        };
        Ok(answer.split(' ').filter_map(port).collect())
    }

    pub(super) fn open_ports<'a>(
        &mut self,
        ports: impl Iterator<Item = (&'a Redirect, Option<BorrowedFd<'a>>)>,
    ) -> Result<()> {
        let in_clients_name = self.in_clients_name;
        let request = |(redirect, socket): (&Redirect, Option<BorrowedFd<'a>>)| {
            let verb = match (socket.is_some(), in_clients_name) {
                (true, true) => OPEN,
                (true, false) => OPEN_AS_HOST,
                (false, true) => LEAD,
                (false, false) => LEAD_AS_HOST,
            };
            (request_to(verb, redirect), socket)
        };
        self.ask_all(&ports.map(request).collect::<Vec<_>>())
    }

    pub(super) fn close_ports(&mut self, ports: impl Iterator<Item = (Protocol, SocketAddr)>) -> Result<()> {
        let request = |(protocol, host)| (format!("close {protocol} {host}"), None);
        self.ask_all(&ports.map(request).collect::<Vec<_>>())
    }

    /// Asks for all; the first refusal is told.
    fn ask_all(&mut self, requests: &[Request<'_>]) -> Result<()> {
        requests.chunks(WINDOW).try_for_each(|window| self.exchange(window).map(drop))
    }

    fn ask(&mut self, request: &str) -> Result<String> {
        Ok(self.exchange(&[(request.to_owned(), None)])?.pop().unwrap_or_default())
    }

    /// Sends requests, and waits for the answers to all of them.
    fn exchange(&mut self, requests: &[Request<'_>]) -> Result<Vec<String>> {
        for (request, socket) in requests {
            let line = format!("{request}\n");
            let sent = dhow_sys::fdpass::send(&self.connection, line.as_bytes(), socket.as_slice()).map_err(broken)?;
            debug_assert_eq!(sent, line.len(), "a line is shorter than a socket's buffer");
        }
        let answers = read_lines(&self.connection, requests.len()).map_err(broken)?;
        let understood =
            |(answer, (request, _)): (String, &Request<'_>)| match answer.split_once(' ').unwrap_or((&answer, "")) {
                ("ok", rest) => Ok(rest.to_owned()),
                (_, reason) => Err(Error::internal(format!("{request}: {reason}"))),
            };
        answers.into_iter().zip(requests).map(understood).collect()
    }
}

/// A line, and a descriptor that goes along.
type Request<'a> = (String, Option<BorrowedFd<'a>>);

fn request_to(verb: &str, redirect: &Redirect) -> String {
    let Redirect { published, target, from } = redirect;
    let (protocol, host) = (published.port.protocol, host_side(published));
    let target = SocketAddr::new(*target, published.port.number);
    let from: Vec<String> = from.iter().map(ToString::to_string).collect();
    format!("{verb} {protocol} {host} {target} {}", from.join(",")).trim_end().to_owned()
}

impl Drop for Gate {
    fn drop(&mut self) {
        if let Some(holder) = &mut self.holder {
            // If it has ended it is reaped; if not, it belongs to process 1 when we have ended.
            drop(holder.try_wait());
        }
    }
}

/// As soon as it lets anybody in.
fn connect_patiently(folder: &Path, holder: &mut Child) -> Result<UnixStream> {
    let begin = Instant::now();
    loop {
        if let Ok(connection) = connect(folder) {
            return Ok(connection);
        }
        let ended = holder.try_wait().map_err(broken)?;
        if ended.is_some() || begin.elapsed() > PATIENCE {
            return Err(Error::unavailable("the holder of the networks has not started")
                .with_hint("the kernel must let this user make network namespaces (user.max_net_namespaces)"));
        }
        thread::sleep(BEAT);
    }
}

fn read_lines(connection: &UnixStream, count: usize) -> io::Result<Vec<String>> {
    let (mut text, mut ends) = (Vec::new(), 0);
    let mut buffer = [0; ANSWER];
    while ends < count {
        let length = io::Read::read(&mut &*connection, &mut buffer)?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        ends += buffer[..length].iter().filter(|byte| **byte == b'\n').count();
        text.extend_from_slice(&buffer[..length]);
    }
    let text = String::from_utf8(text).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
    Ok(text.lines().map(str::to_owned).collect())
}

/// Connects to the holder that lives in a folder. The kernel knows who that is (unix(7), `SO_PEERCRED`).
///
/// # Errors
/// When there is none.
pub fn connect(folder: &Path) -> io::Result<UnixStream> {
    through_descriptor(folder, |path| UnixStream::connect(path))
}

/// Calls with a path to the socket that is short enough for an address (unix(7)): through the folder's descriptor.
pub(super) fn through_descriptor<T>(folder: &Path, call: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = rustix::fs::openat(CWD, folder, flags, Mode::empty())?;
    call(&PathBuf::from(format!("/proc/self/fd/{}/{SOCKET}", folder.as_raw_fd())))
}
