//! Archives on their way out, written by threads that may wait for a file server that is dead.

use std::io::{self, Write};
use std::thread;

use dhow_errdefs::{Error, Result, ResultExt};
use tokio::sync::oneshot;

use crate::watch::{Lent, Watch, given_up};

/// Where an archive goes while it is made. Writing waits while the reader is slow and fails when it has gone.
pub trait ArchiveSink: Write + Send {
    /// The archive is complete, or there will be no more of it.
    fn finish(self: Box<Self>, outcome: Result<()>);
}

/// A sink of work that may be given up. What fails before its beginning was announced is the call's answer; what fails after
/// that cuts the archive.
pub(crate) struct WatchedSink<T> {
    watch: Watch,
    lent: Lent<Announced<T>>,
}

struct Announced<T> {
    sink: Box<dyn ArchiveSink>,
    begun: Option<oneshot::Sender<Result<T>>>,
}

impl<T: Send + 'static> WatchedSink<T> {
    /// Also what the call answers.
    pub(crate) fn new(watch: &Watch, sink: Box<dyn ArchiveSink>) -> (Self, oneshot::Receiver<Result<T>>) {
        let (begun, answer) = oneshot::channel();
        let patience = watch.patience();
        let end = move |sink: Announced<T>| sink.finish(Err(given_up(patience)));
        let lent = Lent::to(watch, Announced { sink, begun: Some(begun) }, end);
        (Self { watch: watch.clone(), lent }, answer)
    }

    /// The call is answered, if it was not: the archive follows.
    ///
    /// # Errors
    /// `DeadlineExceeded` if it was given up.
    pub(crate) fn announce(&self, what: T) -> Result<()> {
        self.lent.with(|sink| drop(sink.begun.take().map(|begun| begun.send(Ok(what)))))
    }

    pub(crate) fn finish(self, outcome: Result<()>) {
        if let Some(sink) = self.lent.take() {
            sink.finish(outcome);
        }
    }

    fn with(&self, work: impl FnOnce(&mut dyn ArchiveSink) -> io::Result<usize>) -> io::Result<usize> {
        self.watch.go_on().map_err(io::Error::other)?;
        self.lent.with(|sink| self.watch.elsewhere(|| work(&mut *sink.sink))).map_err(io::Error::other)?
    }
}

impl<T> Announced<T> {
    fn finish(self, outcome: Result<()>) {
        match (self.begun, outcome) {
            (Some(begun), Err(error)) => drop(begun.send(Err(error))),
            (_, outcome) => self.sink.finish(outcome),
        }
    }
}

impl<T: Send + 'static> Write for WatchedSink<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.with(|sink| sink.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.with(|sink| sink.flush().map(|()| 0)).map(drop)
    }
}

/// Starts a thread of its own: one that visits another namespace must not do other work afterwards. The answer comes to
/// nothing when it ends.
pub(crate) fn start(watch: Watch, work: impl FnOnce(&Watch) + Send + 'static) -> Result<oneshot::Receiver<()>> {
    let (ended, end) = oneshot::channel();
    let work = move || {
        let _ended: oneshot::Sender<()> = ended;
        work(&watch);
    };
    thread::Builder::new().name("files".into()).spawn(work).map(|_| end).context(|| "start a thread")
}

/// Waits for the answer of work whose archive follows, and watches it until its end.
///
/// # Errors
/// What the work answers; an internal error when its thread died.
pub(crate) async fn answered<T>(
    watch: Watch,
    answer: oneshot::Receiver<Result<T>>,
    end: oneshot::Receiver<()>,
) -> Result<T> {
    tokio::spawn(async move { drop(crate::watch::watch_over(&watch, end).await) });
    answer.await.map_err(|_| Error::internal("a thread that writes an archive died"))?
}
