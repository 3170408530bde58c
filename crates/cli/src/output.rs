//! Standard output and standard error.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::failure::{Failure, Outcome};

/// Writes a text.
pub(crate) fn text(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Writes a line.
pub(crate) fn line(line: &str) -> io::Result<()> {
    text(&format!("{line}\n"))
}

/// The outcome of a template, which Docker's client ends with a line also where it failed on its way.
pub(crate) fn ended<T>(outcome: Result<T, Failure>) -> Result<T, Failure> {
    if !matches!(outcome, Ok(_) | Err(Failure::Text(_, 64))) {
        line("")?;
    }
    outcome
}

/// Writes a line to standard error; that nobody reads it is no failure.
pub(crate) fn note(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// How many things are done at the same time.
const AT_ONCE: usize = 50;

/// Something being done, or its outcome until it is its turn to be told.
struct Slot<'a> {
    work: Pin<Box<dyn Future<Output = Result<String, Failure>> + 'a>>,
    outcome: Option<Result<String, Failure>>,
}

/// Does something to each of several things as Docker does: at the same time, told in the order they were named, with
/// names on standard output and failures on standard error. The exit code is the worst one.
pub(crate) async fn for_each<'a>(
    names: &'a [String],
    act: impl AsyncFn(&'a str) -> Result<String, Failure>,
) -> Outcome {
    let (mut names, mut slots, mut code) = (names.iter(), VecDeque::new(), 0);
    loop {
        let free = AT_ONCE - slots.len();
        slots.extend(names.by_ref().take(free).map(|name| Slot { work: Box::pin(act(name)), outcome: None }));
        if slots.is_empty() {
            return Ok(code);
        }
        match poll_fn(|context| poll_first(&mut slots, context)).await {
            Ok(said) => line(&said)?,
            Err(failure) => code = code.max(failure.report()),
        }
    }
}

/// Goes on with everything; ready when the first one is done.
fn poll_first(slots: &mut VecDeque<Slot<'_>>, context: &mut Context<'_>) -> Poll<Result<String, Failure>> {
    for slot in slots.iter_mut().filter(|slot| slot.outcome.is_none()) {
        if let Poll::Ready(outcome) = slot.work.as_mut().poll(context) {
            slot.outcome = Some(outcome);
        }
    }
    match slots.front_mut().and_then(|slot| slot.outcome.take()) {
        Some(outcome) => {
            slots.pop_front();
            Poll::Ready(outcome)
        }
        None => Poll::Pending,
    }
}
