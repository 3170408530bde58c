//! `dhow daemon`: settings, then roots, then the engine, then the doors; and the way back.

mod file;
mod flags;
mod listen;
mod pidfile;
mod settings;
mod user_namespace;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use dhow_engine::Engine;
use dhow_errdefs::{Error, Result, ResultExt};
use tokio::signal::unix::{SignalKind, signal};

use crate::paths::Paths;
use flags::Flags;
use pidfile::Pidfile;
use settings::Settings;

/// Heaps of the engine's threads: enough that two rarely wait for each other, few enough that an idle engine is small.
const ARENAS: u16 = 2;

/// How the line begins that says why the engine could not go on.
pub(crate) const FAILED: &str = "dhow daemon: ";

/// Runs the engine until SIGTERM or SIGINT. Containers go on when it ends.
pub(crate) fn main(args: &[OsString]) -> ExitCode {
    let flags = match Flags::parse(args) {
        Ok(flags) => flags,
        Err(error) => error.exit(),
    };
    match run(flags) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Not `eprintln!`, which panics when the log is on a full disk.
            let hint = error.hint().map(|hint| format!("hint: {hint}\n")).unwrap_or_default();
            drop(write!(std::io::stderr(), "{FAILED}{error}\n{hint}"));
            ExitCode::FAILURE
        }
    }
}

fn run(flags: Flags) -> Result<()> {
    let announce = flags.announce;
    // Files that containers read (`/etc/hosts`, volumes) get the modes we say, whatever the person's own umask is.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let settings = Settings::gather(flags, &Paths::of_this_user())?;
    start_log(&settings);
    settings.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    dhow_sys::heap::limit_arenas(ARENAS);
    // Before any thread: a user namespace can be entered only by a process with one thread (unshare(2)).
    let rootless = user_namespace::enter_unless_root(settings.exec_root())?;
    let pidfile = Pidfile::write(&settings.pidfile)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.context(|| "start the engine's threads")?;
    let served = runtime.block_on(serve(settings, rootless, announce));
    // Blocking work of abandoned requests must not keep the process.
    runtime.shutdown_background();
    drop(pidfile);
    served
}

async fn serve(settings: Settings, rootless: bool, announce: bool) -> Result<()> {
    let hosts = settings.hosts.clone();
    let group = settings.group.clone();
    let engine = Engine::open(settings.engine_config(rootless)?).await?;
    let listeners = listen::all(&hosts, group.as_deref())?;
    hosts.iter().for_each(|host| tracing::info!("listening on {host}"));
    if announce {
        say_ready();
    }
    let served = dhow_server::serve(engine.clone(), listeners, ended()?).await;
    tracing::info!("ending; containers go on");
    engine.close().await;
    listen::remove(&hosts);
    served
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
fn say_ready() {
    let mut out = std::io::stdout();
    drop(out.write_all(b"ready\n").and_then(|()| out.flush()));
    let null = std::fs::File::options().write(true).open("/dev/null");
    drop(null.map(|null| rustix::stdio::dup2_stdout(&null)));
}

fn start_log(settings: &Settings) {
    let filter = tracing_subscriber::EnvFilter::new(&settings.log_level);
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    // A line that cannot be written is lost. Otherwise the subscriber complains with `eprintln!`, which panics for the
    // same reason, and with it whoever had something to say: every task of the engine, once the disk is full.
    let log = log.log_internal_errors(false);
    log.with_ansi(rustix::termios::isatty(std::io::stderr())).init();
}

/// An error about a flag or key, in dockerd's manner.
fn invalid(what: impl Into<String>) -> Error {
    Error::invalid(what)
}
