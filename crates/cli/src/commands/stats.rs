//! `stats`.

mod board;
mod row;

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use dhow_api::event::Event;
use dhow_api::query::Filters;
use dhow_client::{Client, Listing, Messages};
use dhow_errdefs::Result;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::ps::FORMAT;
use crate::command::{Arguments, Command};
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Parsed};
use crate::format::{Format, show};
use crate::output;
use crate::session::Session;
use board::Board;

pub(super) static STATS: Command = Command {
    names: &["container stats", "stats"],
    usage: "[OPTIONS] [CONTAINER...]",
    summary: "Show what containers use, as it changes",
    flags: &[&[
        Flag::bool("all", "Show stopped ones too").short(b'a'),
        FORMAT,
        Flag::bool("no-stream", "Show it once and leave"),
        Flag::bool("no-trunc", "Cut nothing off"),
    ]],
    arguments: Arguments::AtLeast(0),
    interspersed: true,
    run: |session, flags| Box::pin(run(session, flags)),
};

const COLUMNS: [&str; 8] = ["ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs"];
/// How often the screen is written anew.
const REFRESH: Duration = Duration::from_millis(500);
/// An engine that says nothing for so long has nothing to say: what it said before is no longer true.
const STALE: Duration = Duration::from_secs(2);
/// The same where only one answer is wanted, which is made of two readings.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is shown and how.
struct View<'a> {
    client: &'a Client,
    board: &'a Board<'a>,
    format: Format<'a>,
    /// Go on until somebody ends us.
    stream: bool,
    /// Stopped containers too.
    all: bool,
}

async fn run(session: &Session, flags: &Parsed) -> Outcome {
    let board = RefCell::default();
    let asked = flags.some("format").or_else(|| session.config().stats_format()).unwrap_or("table");
    let view = View {
        client: session.client().await?,
        board: &Board::new(&board, flags.on("no-trunc")),
        format: Format::new(asked, &COLUMNS),
        stream: !flags.on("no-stream"),
        all: flags.on("all"),
    };
    match &flags.args[..] {
        [] => view.everything().await,
        names => view.these(names).await,
    }
}

impl<'a> View<'a> {
    /// All containers there are, and those that come.
    async fn everything(&self) -> Outcome {
        let events = match self.stream {
            true => Some(self.client.events("", "", &container_events()).await?),
            false => None,
        };
        let listing = Listing { all: self.all, ..Listing::default() };
        let mut collectors = Collectors::default();
        for container in self.client.container_list_lean(&listing).await? {
            collectors.add(self.collect(container.id));
        }
        let failures = poll_fn(|context| self.first(&mut collectors, context)).await;
        tolerate(&failures);
        self.show_all(collectors, events).await
    }

    /// Containers by name. One that is not there is an error.
    async fn these(&self, names: &[String]) -> Outcome {
        let mut collectors = Collectors::default();
        names.iter().for_each(|name| collectors.add(self.collect(name.clone())));
        let failures = poll_fn(|context| self.first(&mut collectors, context)).await;
        if !failures.is_empty() {
            return Err(Failure::text(failures.join("\n")));
        }
        self.show_all(collectors, None).await
    }

    /// Ready when every container has told something (without a stream: everything). The answer is what failed.
    fn first(&self, collectors: &mut Collectors<'a>, context: &mut Context<'_>) -> Poll<Vec<String>> {
        collectors.poll(context);
        let ready = if self.stream { self.board.all_told() } else { collectors.is_empty() };
        if ready { Poll::Ready(self.board.failures()) } else { Poll::Pending }
    }

    async fn show_all(&self, mut collectors: Collectors<'a>, mut events: Option<Messages>) -> Outcome {
        if !self.stream {
            output::text(&self.table()?)?;
            return Ok(0);
        }
        let mut ticks = interval(REFRESH);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                biased;
                _ = ticks.tick() => {
                    screen(&self.table()?)?;
                    if self.board.is_empty() && events.is_none() {
                        return Ok(0);
                    }
                }
                event = next(&mut events) => match event {
                    Some(event) => self.changed(&event, &mut collectors),
                    // The engine ends, and we with it.
                    None => return Ok(0),
                },
                () = poll_fn(|context| { collectors.poll(context); Poll::Pending }) => {}
            }
        }
    }

    /// A container came or went.
    fn changed(&self, event: &Event, collectors: &mut Collectors<'a>) {
        let id = &event.actor.id;
        match event.action.as_str() {
            "create" if self.all => self.add(id, collectors),
            "start" => self.add(id, collectors),
            "die" if !self.all => self.board.remove(id),
            "destroy" => self.board.remove(id),
            _ => {}
        }
    }

    fn add(&self, id: &str, collectors: &mut Collectors<'a>) {
        if !self.board.has(id) {
            collectors.add(self.collect(id.to_owned()));
        }
    }

    fn table(&self) -> Result<String> {
        show(&self.board.rows(), &self.format)
    }

    /// Reads what the engine tells of one container, until it ends or is taken off the board.
    fn collect(&self, name: String) -> impl Future<Output = ()> + use<'a> {
        let (client, board, stream) = (self.client, self.board, self.stream);
        let patience = if stream { STALE } else { PATIENCE };
        board.add(&name);
        async move {
            let mut answers = match client.container_stats(&name, stream).await {
                Ok(answers) => answers,
                Err(error) => return board.failed(&name, &error),
            };
            while board.has(&name) {
                match timeout(patience, answers.next()).await {
                    Ok(Ok(Some(stats))) => board.tell(&name, &stats),
                    Ok(Ok(None)) => return board.ended(&name),
                    Ok(Err(error)) => return board.failed(&name, &error),
                    Err(_) => board.ended(&name),
                }
                if !stream {
                    return;
                }
            }
        }
    }
}

fn container_events() -> Filters {
    let actions = ["create", "start", "die", "destroy"].map(str::to_owned).to_vec();
    Filters::from([("type".to_owned(), vec!["container".to_owned()]), ("event".to_owned(), actions)])
}

/// A container that went before it could be asked is no failure where nobody named it.
fn tolerate(failures: &[String]) {
    for failure in failures.iter().filter(|failure| !failure.contains("No such container")) {
        output::note(failure);
    }
}

async fn next(events: &mut Option<Messages>) -> Option<Event> {
    match events {
        Some(events) => events.next().await.ok().flatten(),
        None => std::future::pending().await,
    }
}

/// Writes over what is on the screen: from the top left, each line to its end, and nothing below. In one piece, so that
/// it does not flicker.
fn screen(table: &str) -> io::Result<()> {
    let mut text = "\x1b[H".to_owned();
    for line in table.split('\n') {
        text.push_str(line);
        text.push_str(" \x1b[K\n");
    }
    text.push_str("\x1b[J");
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Those who read, all at the same time.
#[derive(Default)]
struct Collectors<'a>(Vec<Pin<Box<dyn Future<Output = ()> + 'a>>>);

impl<'a> Collectors<'a> {
    fn add(&mut self, work: impl Future<Output = ()> + 'a) {
        self.0.push(Box::pin(work));
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn poll(&mut self, context: &mut Context<'_>) {
        self.0.retain_mut(|work| work.as_mut().poll(context).is_pending());
    }
}
