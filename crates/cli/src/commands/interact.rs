//! Being connected to a container's streams: the part that `run`, `start`, `attach` and `exec` share.

use std::future::pending;
use std::io;
use std::sync::Arc;

use dhow_api::container::WaitResponse;
use dhow_api::event::Event;
use dhow_client::{Client, Hijacked, Logs, Waiting};
use dhow_errdefs::{Class, Error, Result, ResultExt};
use tokio::signal::unix::SignalKind;

use super::logs::print;
use crate::failure::{Failure, Outcome};
use crate::format::timestamp;
use crate::output::note;
use crate::session::Session;
use crate::streams::{End, Plan, Pump, Seen};
use crate::terminal::{Forward, Raw, first_of, follow_size};

/// Whose terminal it is.
#[derive(Clone, Copy)]
pub(super) enum Target<'a> {
    Container(&'a str),
    Exec(&'a str),
}

impl Target<'_> {
    async fn resize(self, client: &Client, rows: u16, columns: u16) -> Result<()> {
        match self {
            Self::Container(id) => client.container_resize(id, rows, columns).await,
            Self::Exec(id) => client.exec_resize(id, rows, columns).await,
        }
    }
}

/// Streams in motion, our terminal in raw mode if the container has one.
pub(super) struct Live {
    pump: Pump,
    raw: Option<Raw>,
    tty: bool,
}

impl Live {
    pub(super) fn begin(hijacked: Hijacked, plan: &Plan) -> Result<Self> {
        let raw = if plan.tty && plan.stdin { Raw::enter() } else { None };
        let pump = Pump::start(hijacked, plan).context(|| "move the container's streams")?;
        Ok(Self { pump, raw, tty: plan.tty })
    }

    /// What it prints, for going on with that in its log: of a container that nobody talks to, as nobody would be listened
    /// to there.
    pub(super) fn printed(&self, plan: &Plan, since: Since) -> Option<Printed> {
        let printed = Printed { seen: Arc::clone(&self.pump.seen), tty: plan.tty, since };
        (plan.output && !plan.stdin).then_some(printed)
    }

    /// Until the container closes its streams or the person detaches (`true`). The terminal is as before afterwards.
    pub(super) async fn until_end(mut self, client: &Client, target: Target<'_>) -> Result<bool, Failure> {
        let (tty, raw) = (self.tty, self.raw.is_some());
        let sizes = async {
            if tty {
                follow_size(|rows, columns| target.resize(client, rows, columns)).await;
            }
            pending::<()>().await;
        };
        let killed = async { if raw { killed().await } else { pending().await } };
        let end = tokio::select! {
            end = self.pump.end() => end,
            () = sizes => End::Done,
            signal = killed => {
                drop(self.raw.take());
                return Err(Failure::Text(String::new(), 128 + signal));
            }
        };
        drop(self.raw.take());
        self.pump.stop();
        match end {
            End::Done => Ok(false),
            End::Detached => Ok(true),
            End::Failed(error) => Err(error.into()),
        }
    }
}

/// Where in a container's log its output begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Since {
    /// It is a new one.
    Creation,
    /// It was started by us.
    Start,
}

/// What was printed of a container's output: both streams, from that moment on.
pub(super) struct Printed {
    seen: Arc<Seen>,
    tty: bool,
    since: Since,
}

impl Printed {
    /// Through the network streams end with their engine; what came since is in the container's log.
    async fn go_on(&self, session: &Session, id: &str) -> Result<(), Failure> {
        // That there is no next engine is told by whoever asks it for the exit code.
        while let Ok(client) = session.client_again().await {
            match self.print_rest(client, id).await {
                Err(Failure::Error(error)) if error.class() == Class::Unavailable => {}
                Err(Failure::Error(error)) => {
                    note(&format!("WARNING: what it printed while its engine was away is not shown: {error}"));
                    break;
                }
                other => return other,
            }
        }
        Ok(())
    }

    async fn print_rest(&self, client: &Client, id: &str) -> Result<(), Failure> {
        let since = match self.since {
            Since::Creation => String::new(),
            Since::Start => {
                let started = client.container_inspect(id).await?.state.started_at;
                timestamp(&started).map_err(Error::invalid)?
            }
        };
        let logs = Logs { follow: true, tail: "all".to_owned(), since, ..Logs::default() };
        let mut stream = client.container_logs(id, &logs).await?;
        let (mut out, mut err) = self.seen.fresh(io::stdout(), io::stderr());
        print(&mut stream, self.tty, &mut out, &mut err).await
    }
}

/// Waits for a signal that ends us: with a raw terminal, it is not to be left behind like that.
async fn killed() -> u8 {
    code(first_of([SignalKind::hangup(), SignalKind::terminate()]).await.as_raw_value().into())
}

/// Does something while signals are passed on to the container.
pub(super) async fn with_signals(
    forward: Option<Forward>,
    client: &Client,
    container: &str,
    work: impl Future<Output = Outcome>,
) -> Outcome {
    let Some(forward) = forward else { return work.await };
    tokio::select! {
        outcome = work => outcome,
        () = forward.to(client, container) => Err(Failure::text("")),
    }
}

/// The exit code of a container that is waited for: with `removed`, until it is gone, too. What it prints is shown to its
/// end, as far as it is known what was.
pub(super) async fn exit_code(
    session: &Session,
    id: &str,
    removed: bool,
    waiting: Waiting,
    printed: Option<Printed>,
) -> Outcome {
    let lost = |why: String| Failure::Text(format!("error waiting for container: {why}"), 125);
    let ended = match waiting.exit().await {
        Err(error) if error.class() == Class::Unavailable && (session.is_local() || printed.is_some()) => {
            if let Some(printed) = printed.filter(|_| !session.is_local()) {
                printed.go_on(session, id).await?;
            }
            let condition = if removed { "removed" } else { "not-running" };
            of_the_next_engine(session, id, condition, error).await
        }
        ended => ended,
    };
    let WaitResponse { error, status_code } = ended.map_err(|error| lost(error.to_string()))?;
    match error.filter(|error| !error.message.is_empty()) {
        Some(error) => Err(lost(error.message)),
        None => Ok(code(status_code)),
    }
}

/// How a container ends whose engine went away with an error: the next one is asked.
pub(super) async fn of_the_next_engine(
    session: &Session,
    container: &str,
    condition: &str,
    mut gone: Error,
) -> Result<WaitResponse> {
    loop {
        let Ok(client) = session.client_again().await else { return Err(gone) };
        let ended = match client.container_wait(container, condition).await {
            Ok(waiting) => waiting.exit().await,
            Err(error) => Err(error),
        };
        match ended {
            Err(error) if error.class() == Class::Unavailable => gone = error,
            // It ended, and was removed, before anybody could ask.
            Err(error) if error.class() == Class::NotFound => return remembered(client, container).await.ok_or(error),
            ended => return ended,
        }
    }
}

/// The end of a container that is no more, from what the engine remembers of the past.
async fn remembered(client: &Client, container: &str) -> Option<WaitResponse> {
    let only = |key: &str, value: &str| (key.to_owned(), vec![value.to_owned()]);
    let filters = [only("type", "container"), only("event", "die"), only("container", container)].into();
    let mut events = client.events("1", &timestamp("0s").ok()?, &filters).await.ok()?;
    let mut last = None;
    while let Ok(Some(event)) = events.next::<Event>().await {
        last = event.actor.attributes.get("exitCode").and_then(|code| code.parse().ok());
    }
    last.map(|status_code| WaitResponse { status_code, error: None })
}

/// An exit status as our own: only its lowest byte leaves a process.
pub(super) fn code(status: i64) -> u8 {
    status.to_le_bytes()[0]
}

/// Docker's answer to detaching where the command was about the streams and nothing else.
pub(super) fn detached() -> Failure {
    Error::cancelled("read escape sequence").into()
}
