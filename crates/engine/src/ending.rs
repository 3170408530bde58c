//! Making containers end: `stop` and `kill`.

use std::sync::Arc;
use std::time::Duration;

use dhow_errdefs::{Class, Error, Result};
use dhow_shim::protocol::{Answer, Kill, Op};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::container::{Command, Container, Stopping, Target, Then};
use crate::core::Core;
use crate::link::{Link, PATIENCE, SHORT_PATIENCE};
use crate::signal;

/// How long `stop` waits where nobody says.
const STOP_TIMEOUT: i64 = 10;

impl Core {
    /// A signal, time to think, then SIGKILL, then force.
    pub(crate) async fn stop(
        self: Arc<Self>,
        container: Arc<Container>,
        given: Option<String>,
        timeout: Option<i64>,
        then: Then,
    ) -> Result<()> {
        let spec = Arc::clone(&container.view().spec);
        let text = given.or_else(|| spec.stop_signal.clone()).filter(|text| !text.is_empty());
        let number = text.as_deref().map_or(Ok(signal::TERM), signal::parse)?;
        let stopping = container.ask(|reply| Command::BeginStop(then, reply)).await?;
        self.end(&container, stopping, number, timeout.or(spec.stop_timeout)).await?;
        // Who starts it again waits for that anyway.
        if then == Then::Nothing && self.volumes.mounted_among(&container.view().body.mounts).next().is_some() {
            container.until_left().await;
        }
        self.container_event(&container, "stop", &[]);
        Ok(())
    }

    /// Ends a container because it is unhealthy; it is started again by its policy.
    pub(crate) async fn end_unhealthy(self: Arc<Self>, container: Arc<Container>, stopping: Stopping) {
        let spec = Arc::clone(&container.view().spec);
        let number = spec.stop_signal.as_deref().and_then(|text| signal::parse(text).ok()).unwrap_or(signal::TERM);
        if let Err(error) = self.end(&container, stopping, number, spec.stop_timeout).await {
            tracing::error!(id = %container.id, %error, "an unhealthy container could not be ended");
        }
    }

    /// A signal; after so many seconds SIGKILL; then force. Nothing, where nothing runs.
    async fn end(&self, container: &Container, stopping: Stopping, number: i32, seconds: Option<i64>) -> Result<()> {
        let Stopping { target, paused, mut ended } = stopping;
        let link = match target {
            Target::Shim(link) => link,
            Target::OutOfReach => return by_force(container, ended).await,
            Target::Nothing => return Ok(()),
        };
        self.signalled(container, number);
        let begun = Instant::now();
        let stuck = match deliver(container, &link, number, paused, &mut ended).await {
            Err(error) if error.class() == Class::DeadlineExceeded => true,
            Err(error) => return Err(error),
            Ok(Delivery::Ended) => return Ok(()),
            Ok(delivery) => delivery == Delivery::Lost,
        };
        // A shim that is busy passes the signal on when it comes to it, and the container has what is left of its time.
        let spent = if stuck { begun.elapsed() } else { Duration::ZERO };
        let end = match u64::try_from(seconds.unwrap_or(STOP_TIMEOUT)).map(Duration::from_secs) {
            Ok(time) => tokio::time::timeout(time.saturating_sub(spent), &mut ended).await.ok(),
            // Negative: for ever, but not for a shim that may never come to it.
            Err(_) if stuck => None,
            Err(_) => Some((&mut ended).await),
        };
        match end {
            Some(Ok(_)) => return Ok(()),
            Some(Err(_)) => return Err(engine_ends(container)),
            None => {}
        }
        self.signalled(container, signal::KILL);
        finish(container, &link, false, ended).await
    }

    /// Stops it if it runs, and starts it.
    pub(crate) async fn restart(
        self: Arc<Self>,
        container: Arc<Container>,
        signal: Option<String>,
        timeout: Option<i64>,
    ) -> Result<()> {
        match Arc::clone(&self).stop(Arc::clone(&container), signal, timeout, Then::Start).await {
            Err(error) if error.class() != Class::NotModified => {
                container.tell(Command::StayEnded)?;
                return Err(error);
            }
            _ => {}
        }
        container.ask(Command::Start).await?;
        self.container_event(&container, "restart", &[]);
        Ok(())
    }

    /// One signal; with SIGKILL the end is waited for.
    pub(crate) async fn kill(self: Arc<Self>, container: Arc<Container>, number: i32) -> Result<()> {
        let Stopping { target, paused, mut ended } = container.ask(|reply| Command::BeginKill(number, reply)).await?;
        let link = match target {
            Target::Shim(link) => link,
            Target::OutOfReach if number == signal::KILL => return by_force(&container, ended).await,
            Target::OutOfReach => return Err(crate::link::out_of_reach()),
            Target::Nothing => return Ok(()),
        };
        self.signalled(&container, number);
        if number == signal::KILL {
            return finish(&container, &link, paused, ended).await;
        }
        match deliver(&container, &link, number, false, &mut ended).await? {
            Delivery::Lost => Err(crate::link::out_of_reach()),
            Delivery::Done | Delivery::Ended => Ok(()),
        }
    }

    fn signalled(&self, container: &Container, number: i32) {
        self.container_event(container, "kill", &[("signal", number.to_string())]);
    }
}

/// What became of a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Delivery {
    Done,
    /// There was nobody any more.
    Ended,
    /// Nobody could be reached.
    Lost,
}

/// Signals the first process, over the next connection where one is lost.
async fn deliver(
    container: &Container,
    link: &Link,
    signal: i32,
    paused: bool,
    ended: &mut oneshot::Receiver<crate::ExitStatus>,
) -> Result<Delivery> {
    if send(container, link, signal, paused).await? {
        return Ok(Delivery::Done);
    }
    match tokio::time::timeout(SHORT_PATIENCE, ended).await {
        Ok(end) => end.map(|_| Delivery::Ended).map_err(|_| engine_ends(container)),
        // It has not ended, the connection alone has.
        Err(_) if send(container, link, signal, paused).await? => Ok(Delivery::Done),
        Err(_) => Ok(Delivery::Lost),
    }
}

/// Signals the first process; a paused container is thawed, so that it can take notice. Over the connection that there is now,
/// if the one of before has been replaced. Says whether there was somebody to be signalled.
async fn send(container: &Container, link: &Link, signal: i32, paused: bool) -> Result<bool> {
    let link = container.view().link.clone().unwrap_or_else(|| link.clone());
    if !reached(link.ask(Op::Kill(Kill { signal, all: false })).await)? {
        return Ok(false);
    }
    if paused && reached(link.ask(Op::Resume).await)? {
        container.tell(Command::Thawed)?;
    }
    Ok(true)
}

/// Whether there was somebody to be asked: it may just have ended by itself, and perhaps its shim has, too.
fn reached(answer: Result<Answer>) -> Result<bool> {
    match answer {
        Err(error) if matches!(error.class(), Class::Conflict | Class::Unavailable) => Ok(false),
        result => result.map(|_| true),
    }
}

/// The engine ends before the container: what was asked of the one goes on without the other.
fn engine_ends(container: &Container) -> Error {
    Error::unavailable(format!(
        "the engine is shutting down; container {} has its signal and may still run",
        container.id
    ))
}

/// SIGKILL; a container whose end does not come is ended with its shim.
async fn finish(
    container: &Container,
    link: &Link,
    paused: bool,
    mut ended: oneshot::Receiver<crate::ExitStatus>,
) -> Result<()> {
    // A shim that does not answer is dealt with below.
    let _ = send(container, link, signal::KILL, paused).await;
    if tokio::time::timeout(PATIENCE, &mut ended).await.is_ok() {
        return Ok(());
    }
    by_force(container, ended).await
}

/// Ends a container with its shim.
async fn by_force(container: &Container, ended: oneshot::Receiver<crate::ExitStatus>) -> Result<()> {
    container.tell(Command::ForceEnd)?;
    match tokio::time::timeout(PATIENCE, ended).await {
        Ok(_) => Ok(()),
        Err(_) => Err(Error::deadline(format!("container {} does not end, not even by force", container.id))),
    }
}
