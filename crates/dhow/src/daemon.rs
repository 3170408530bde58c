//! `dhow daemon`: settings, then roots, then the engine, then the doors; and the way back.

mod activation;
mod address;
mod file;
mod firewall;
mod flags;
pub(crate) mod journal;
mod listen;
mod notify;
mod outlet;
mod pidfile;
mod registries;
mod registry_file;
mod reload;
mod settings;
mod user_namespace;
mod usual;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use dhow_engine::Engine;
use dhow_errdefs::{Error, Result, ResultExt};
use dhow_runtime::cli::dialect;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::reload::Layer as Reloading;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::paths::{self, Paths};
use flags::Flags;
use journal::Journal;
use listen::Doors;
use notify::Notifier;
use pidfile::Pidfile;
use reload::{Reload, SetLevel};
use settings::Settings;
use user_namespace::Entered;

/// Heaps of the engine's threads: enough that two rarely wait for each other, few enough that an idle engine is small.
const ARENAS: u16 = 2;

/// How the line begins that says why the engine could not go on.
pub(crate) const FAILED: &str = "dhow daemon: ";

/// How a line begins that the client is to show to the person for whom it starts an engine.
pub(crate) const NOTE: &str = "note: ";

/// Runs the engine until SIGTERM or SIGINT. Containers go on when it ends.
pub(crate) fn main(args: &[OsString]) -> ExitCode {
    let flags = match Flags::parse(args) {
        Ok(flags) => flags,
        Err(error) => return dialect::answer("dhow daemon", &error),
    };
    if flags.version {
        return said(&format!("dhow version {}, build {}", crate::VERSION, dhow_cli::BUILD));
    }
    if flags.validate {
        return match validate(flags) {
            Ok(()) => said("configuration OK"),
            Err(error) => failed(&error),
        };
    }
    match run(flags) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

/// Looks at everything that can be looked at before an engine is started, and says what is left out.
fn validate(flags: Flags) -> Result<()> {
    let mut settings = Settings::gather(flags, &Paths::of_this_user())?;
    settings.warnings.iter().for_each(|warning| drop(writeln!(std::io::stderr(), "warning: {warning}")));
    settings.check()?;
    Doors::of(&mut settings, Vec::new()).map(drop)
}

fn said(line: &str) -> ExitCode {
    // That nobody reads it is no failure.
    drop(writeln!(std::io::stdout(), "{line}"));
    ExitCode::SUCCESS
}

fn failed(error: &Error) -> ExitCode {
    // Not `eprintln!`, which panics when the log is on a full disk.
    let hint = error.hint().map(|hint| format!("hint: {hint}\n")).unwrap_or_default();
    drop(write!(std::io::stderr(), "{FAILED}{error}\n{hint}"));
    ExitCode::FAILURE
}

fn run(flags: Flags) -> Result<()> {
    let announce = flags.announce;
    if announce {
        leave_the_terminal()?;
    }
    let notifier = Notifier::of(variable("NOTIFY_SOCKET").as_deref());
    let inherited = activation::take(&left_for_us(), std::process::id())?;
    // Files that containers read (`/etc/hosts`, volumes) get the modes we say, whatever the person's own umask is.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    // Each container takes some descriptors; containers themselves get the limit that was set for us.
    dhow_sys::descriptors::raise_limit().context(|| "raise the limit of open files")?;
    let mut settings = Settings::gather(flags.clone(), &Paths::of_this_user())?;
    let set_level = start_log(&settings);
    settings.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    dhow_sys::heap::limit_arenas(ARENAS);
    let doors = Doors::of(&mut settings, inherited)?;
    let tls = doors.tls.clone();
    // Before any thread: a user namespace can be entered only by a process with one thread (unshare(2)).
    let entered = user_namespace::enter_unless_root(settings.exec_root())?;
    let pidfile = Pidfile::write(&settings.pidfile)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.context(|| "start the engine's threads")?;
    let (written, registries) = (settings.written.clone(), settings.registries.clone());
    let reload = Reload { flags, written, set_level, tls, registries };
    let house = House { settings, entered, doors, reload, notifier, announce };
    let served = runtime.block_on(house.serve());
    // Blocking work of abandoned requests must not keep the process.
    runtime.shutdown_background();
    drop(pidfile);
    served
}

/// An engine that was started on demand outlives the shell of whoever needed it: in a session of its own there is no
/// terminal whose keys or whose end could reach it.
fn leave_the_terminal() -> Result<()> {
    match rustix::process::setsid() {
        // Started by hand with our flag, it leads a process group.
        Ok(_) | Err(rustix::io::Errno::PERM) => Ok(()),
        Err(errno) => Err(std::io::Error::from(errno)).context(|| "begin a session"),
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn left_for_us() -> activation::Surroundings {
    activation::Surroundings {
        pid: variable("LISTEN_PID"),
        count: variable("LISTEN_FDS"),
        names: variable("LISTEN_FDNAMES"),
    }
}

/// Everything an engine needs to open.
struct House {
    settings: Settings,
    entered: Entered,
    doors: Doors,
    reload: Reload,
    notifier: Notifier,
    announce: bool,
}

impl House {
    async fn serve(self) -> Result<()> {
        let Self { settings, entered, doors, reload, notifier, announce } = self;
        let hangup = signal(SignalKind::hangup()).context(|| "listen to SIGHUP")?;
        let engine = Engine::open(settings.engine_config(entered.rootless)?).await?;
        let addresses = doors.addresses.clone();
        let (listeners, files) = doors.open()?;
        addresses.iter().for_each(|address| tracing::info!("listening on {address}"));
        if let Some(address) = addresses.first() {
            engine.say_where(&address.to_string());
        }
        if announce {
            say_ready(entered.note);
        }
        notifier.ready();
        // Half of what the start has read it alone has needed.
        dhow_sys::program::release_text();
        tokio::spawn(give_memory_back());
        let ended = ended()?;
        let until_end = async {
            tokio::select! {
                () = ended => {}
                () = reload_at_each(hangup, &reload, &engine, &notifier) => {}
            }
            tracing::info!("ending; containers go on");
            notifier.stopping();
        };
        let served = dhow_server::serve(engine.clone(), listeners, until_end).await;
        engine.close().await;
        drop(files);
        served
    }
}

/// How often is looked whether there is memory to be given back, and how much it has to be.
const LOOK: Duration = Duration::from_secs(10);
const WORTH_IT: u64 = 8 << 20;

/// After a burst the allocator keeps what it has got; an engine at rest gives it back.
async fn give_memory_back() {
    let mut kept = dhow_sys::heap::resident();
    loop {
        tokio::time::sleep(LOOK).await;
        let resident = dhow_sys::heap::resident();
        if resident > kept + WORTH_IT {
            // It can only fail with the runtime.
            drop(tokio::task::spawn_blocking(dhow_sys::heap::give_back).await);
            kept = dhow_sys::heap::resident();
        }
        kept = kept.min(resident);
    }
}

/// Reads the configuration again at each SIGHUP, without an end.
async fn reload_at_each(mut hangup: Signal, reload: &Reload, engine: &Engine, notifier: &Notifier) {
    while hangup.recv().await.is_some() {
        notifier.reloading();
        match reload.run(engine) {
            Ok(()) => {
                tracing::info!("the configuration was read again");
                engine.tell_reloaded();
            }
            Err(error) => tracing::error!("the configuration stays as it was: {error}"),
        }
        notifier.ready();
    }
    std::future::pending().await
}

/// Resolves at the first signal that asks the engine to end.
fn ended() -> Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context(|| "listen to SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context(|| "listen to SIGINT")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Tells the client that started us; it may have gone away meanwhile, which is no fault.
fn say_ready(note: Option<&str>) {
    let mut out = std::io::stdout();
    let note = note.map(|note| format!("{NOTE}{note}\n")).unwrap_or_default();
    drop(writeln!(out, "{note}ready").and_then(|()| out.flush()));
    let null = std::fs::File::options().write(true).open("/dev/null");
    drop(null.map(|null| rustix::stdio::dup2_stdout(&null)));
}

fn start_log(settings: &Settings) -> SetLevel {
    let (filter, handle) = Reloading::new(settings.log_level);
    let journal = Journal::at(paths::engine_log(settings.data_root()));
    let writer = journal.map_or_else(|| BoxMakeWriter::new(std::io::stderr), BoxMakeWriter::new);
    let log = tracing_subscriber::fmt::layer().with_writer(writer).with_target(false);
    // A line that cannot be written is lost. Otherwise the subscriber complains with `eprintln!`, which panics for the
    // same reason, and with it whoever had something to say: every task of the engine, once the disk is full.
    let log = log.log_internal_errors(false).with_ansi(rustix::termios::isatty(std::io::stderr()));
    tracing_subscriber::registry().with(filter).with(log).init();
    // It fails only when the log is gone, and with it whoever could be told.
    Box::new(move |level| drop(handle.reload(level)))
}

/// An error about a flag or key, in dockerd's manner.
fn invalid(what: impl Into<String>) -> Error {
    Error::invalid(what)
}
