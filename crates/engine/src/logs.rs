//! What a container wrote, for `docker logs`.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use dhow_errdefs::{Error, Result};
use dhow_logs::{Entry, Query, Reader, Step, Stream};
use jiff::Timestamp;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use crate::container::{Command, Container, State, View};
use crate::core::Core;
use crate::engine::blocking;
use crate::{ExitStatus, LogEntry, LogOptions, WaitCondition};

/// Entries that may wait for a slow client; then the reading waits.
const AHEAD: usize = 256;

/// Opens a container's log; `None` where there is nothing to read yet and nothing to follow.
pub(crate) fn open(core: &Core, container: &Container, options: &LogOptions) -> Result<Option<Reader>> {
    if !options.stdout && !options.stderr {
        return Err(Error::invalid("Bad parameters: you must choose at least one stream"));
    }
    let config = crate::start::log_config(&container.view().spec)?;
    let Some(path) = config.path(&core.store.snapshots().dir(&container.id), &container.id) else {
        return Err(Error::not_implemented("configured logging driver does not support reading"));
    };
    let time = |time: Timestamp| i64::try_from(time.as_nanosecond()).ok().map(dhow_logs::Timestamp);
    let query = Query {
        tail: options.tail,
        since: options.since.and_then(time),
        until: options.until.and_then(time),
        follow: options.follow,
        stdout: options.stdout,
        stderr: options.stderr,
    };
    Reader::open(&path, &config, query).map(Some)
}

impl Core {
    /// The entries, from a task of their own.
    pub(crate) async fn logs(
        self: &Arc<Self>,
        container: &Arc<Container>,
        options: &LogOptions,
    ) -> Result<mpsc::Receiver<Result<LogEntry>>> {
        let (sender, receiver) = mpsc::channel(AHEAD);
        let view = container.view();
        let state = view.condition.state;
        // The log of a container that has ended is complete; one that never ran may still be waited for.
        let follows = options.follow && (state.is_alive() || matches!(state, State::Created | State::Restarting));
        let follow = LogOptions { follow: follows, ..options.clone() };
        let reader = {
            // Where it begins may have to be searched for in compressed files.
            let (core, container, follow) = (Arc::clone(self), Arc::clone(container), follow.clone());
            blocking(move || open(&core, &container, &follow)).await?
        };
        let Some(reader) = reader else { return Ok(receiver) };
        let details = options.details.then(|| details(container, &view)).transpose()?;
        let feed = Feed { sender, details };
        let (waiter, ended) = oneshot::channel();
        if follow.follow {
            // It may have ended since we looked: then the answer comes at once.
            let end = if state == State::Created { WaitCondition::NextExit } else { WaitCondition::NotRunning };
            container.tell(Command::Wait(end, waiter))?;
        }
        tokio::spawn(feed.run(reader, ended));
        Ok(receiver)
    }
}

/// What `--details` shows of a container: what the options of its log driver pick, escaped as in a query.
fn details(container: &Container, view: &View) -> Result<Arc<str>> {
    let picked =
        crate::start::with_subject(container, view, |subject| subject.attributes(&view.spec.host.log.options))?;
    Ok(print(&picked).into())
}

fn print(attributes: &BTreeMap<String, String>) -> String {
    let pairs: Vec<String> =
        attributes.iter().map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect();
    pairs.join(",")
}

/// Go's `url.QueryEscape`.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// Why the reading of a log paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pause {
    /// There is no more yet.
    Drained,
    /// The client is slow.
    Full,
    /// There is no more at all, or nobody wants it.
    Over,
}

/// The way from a log to a client.
struct Feed {
    sender: mpsc::Sender<Result<LogEntry>>,
    details: Option<Arc<str>>,
}

impl Feed {
    /// Reads on a thread that may wait for the disk; waits for more, and for the client, without one. (A thread for each
    /// client that does not read would leave none for the rest of the engine.)
    async fn run(self, mut reader: Reader, mut ended: oneshot::Receiver<ExitStatus>) {
        let feed = Arc::new(self);
        let mut complete = false;
        loop {
            let (reading, sending) = (reader, Arc::clone(&feed));
            let Ok((back, pause)) = tokio::task::spawn_blocking(move || sending.drain(reading)).await else { return };
            reader = back;
            match pause {
                Pause::Full if feed.sender.reserve_many(AHEAD / 2).await.is_ok() => continue,
                Pause::Drained if !complete => {}
                Pause::Full | Pause::Drained | Pause::Over => return,
            }
            let Ok(watch) = watch(&reader) else { return };
            tokio::select! {
                ready = watch.readable() => if ready.is_err() { return },
                _ = &mut ended => {
                    // What was written until the end is read once more.
                    complete = true;
                    reader.finish();
                }
                () = feed.sender.closed() => return,
            }
        }
    }

    /// Sends what there is now, as far as there is room.
    fn drain(&self, mut reader: Reader) -> (Reader, Pause) {
        loop {
            let room = match self.sender.try_reserve() {
                Ok(room) => room,
                Err(TrySendError::Full(())) => return (reader, Pause::Full),
                Err(TrySendError::Closed(())) => return (reader, Pause::Over),
            };
            match reader.read() {
                Ok(Step::Entry(entry)) => room.send(Ok(self.entry(entry))),
                Ok(Step::Wait) => return (reader, Pause::Drained),
                Ok(Step::End) => return (reader, Pause::Over),
                Err(error) => {
                    // It is the last thing the client hears, if it listens.
                    room.send(Err(error));
                    return (reader, Pause::Over);
                }
            }
        }
    }

    fn entry(&self, entry: Entry) -> LogEntry {
        LogEntry {
            stderr: entry.stream == Stream::Stderr,
            time: Timestamp::from_nanosecond(i128::from(entry.time.0)).unwrap_or_default(),
            line: entry.line,
            details: self.details.clone(),
        }
    }
}

/// Tells when there may be more.
fn watch(reader: &Reader) -> Result<AsyncFd<OwnedFd>> {
    let fd = reader.poll_fd().ok_or_else(|| Error::internal("the log is not followed"))?;
    let fd = fd.as_fd().try_clone_to_owned().map_err(|error| Error::internal("watch a log").with_cause(error))?;
    crate::readiness::watch(fd).map_err(|error| Error::internal("watch a log").with_cause(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_are_escaped_as_docker_does() {
        let attributes = [("a b".into(), "1=2,3".into()), ("tag".into(), "x/y~ü".into())].into();
        assert_eq!(print(&attributes), "a+b=1%3D2%2C3,tag=x%2Fy~%C3%BC");
    }
}
