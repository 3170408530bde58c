//! Streams of messages about something that takes a while: a line each, or in a terminal a line per thing that is
//! redrawn while it changes.

use std::fmt::Write as _;
use std::io::{IsTerminal, stdout};

use dhow_api::stream::{Message, Progress};
use dhow_client::Messages;
use dhow_errdefs::{Error, Result, ResultExt};

use crate::format::decimal;
use crate::output;

/// Where messages go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum To {
    /// Standard output; redrawn if it is a terminal.
    Stdout,
    /// Standard error, for commands whose output is something else.
    Stderr,
    /// Nowhere: only a failure is wanted.
    Nobody,
}

/// A bar has so many steps.
const STEPS: usize = 50;

/// Shows all messages; the first one that is a failure is the outcome.
pub(crate) async fn show(mut messages: Messages, to: To) -> Result<()> {
    let mut board = Board::new(to == To::Stdout && stdout().is_terminal());
    while let Some(message) = messages.next::<Message>().await? {
        if let Some(error) = failure(&message) {
            return Err(error);
        }
        let text = board.draw(&message);
        match to {
            To::Stdout => output::text(&text).context(|| "write to standard output")?,
            To::Nobody => {}
            To::Stderr if text.is_empty() => {}
            To::Stderr => output::note(text.trim_end_matches('\n')),
        }
    }
    Ok(())
}

/// The error that a message of a stream is, if it is one.
pub(crate) fn failure(message: &Message) -> Option<Error> {
    let Some(detail) = &message.error_detail else {
        return (!message.error.is_empty()).then(|| Error::internal(message.error.clone()));
    };
    let error = (!detail.message.is_empty()).then(|| Error::internal(detail.message.clone()));
    error.map(|error| if detail.hint.is_empty() { error } else { error.with_hint(detail.hint.clone()) })
}

/// The lines that may still change, lowest last.
struct Board {
    terminal: bool,
    lines: Vec<String>,
}

impl Board {
    fn new(terminal: bool) -> Self {
        Self { terminal, lines: Vec::new() }
    }

    /// What to write for a message.
    fn draw(&mut self, message: &Message) -> String {
        if !message.stream.is_empty() {
            return message.stream.clone();
        }
        let moves = message.progress_detail.as_ref().is_some_and(|detail| detail.total > 0 || detail.current > 0);
        if !self.terminal {
            return if moves || message.status.is_empty() { String::new() } else { line(message) + "\n" };
        }
        if message.id.is_empty() || message.progress_detail.is_none() {
            // What comes after it stands below it.
            self.lines.clear();
            return if message.status.is_empty() { String::new() } else { line(message) + "\n" };
        }
        self.redraw(message)
    }

    /// Goes up to the line of that thing, writes it anew and comes back (ECMA-48: CUU, EL, CUD).
    fn redraw(&mut self, message: &Message) -> String {
        let mut text = String::new();
        let known = self.lines.iter().position(|id| *id == message.id);
        if known.is_none() {
            self.lines.push(message.id.clone());
            text.push('\n');
        }
        let up = self.lines.len() - known.unwrap_or(self.lines.len() - 1);
        let bar = message.progress_detail.as_ref().map(bar).unwrap_or_default();
        let separator = if bar.is_empty() { "" } else { " " };
        write!(text, "\x1b[{up}A\x1b[2K\r{}{separator}{bar}\r\x1b[{up}B", line(message))
            .expect("a string takes everything");
        text
    }
}

fn line(message: &Message) -> String {
    if message.id.is_empty() { message.status.clone() } else { format!("{}: {}", message.id, message.status) }
}

/// `[==>   ]  1.2MB/3MB`.
fn bar(progress: &Progress) -> String {
    let (current, total) = (progress.current.max(0), progress.total.max(0));
    if total == 0 {
        return if current == 0 { String::new() } else { format!("{:>8}", decimal(current as f64)) };
    }
    let done = usize::try_from(current.min(total) * STEPS as i64 / total).unwrap_or(STEPS);
    let tip = if done < STEPS { ">" } else { "" };
    let width = STEPS - tip.len();
    format!("[{:<STEPS$}] {:>8}/{}", "=".repeat(done.min(width)) + tip, decimal(current as f64), decimal(total as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(id: &str, status: &str, progress: Option<(i64, i64)>) -> Message {
        let detail = progress.map(|(current, total)| Progress { current, total, ..Progress::default() });
        Message { id: id.into(), status: status.into(), progress_detail: detail, ..Message::default() }
    }

    #[test]
    fn without_a_terminal_only_what_stays_is_said() {
        let mut board = Board::new(false);
        assert_eq!(board.draw(&message("abc", "Pulling fs layer", Some((0, 0)))), "abc: Pulling fs layer\n");
        assert_eq!(board.draw(&message("abc", "Downloading", Some((1, 2)))), "");
        assert_eq!(board.draw(&message("", "Digest: x", None)), "Digest: x\n");
    }

    #[test]
    fn in_a_terminal_each_thing_has_a_line() {
        let mut board = Board::new(true);
        assert_eq!(board.draw(&message("latest", "Pulling from a", None)), "latest: Pulling from a\n");
        assert!(board.draw(&message("one", "Waiting", Some((0, 0)))).starts_with("\n\x1b[1A\x1b[2K\rone: Waiting"));
        assert!(board.draw(&message("two", "Waiting", Some((0, 0)))).starts_with("\n\x1b[1A"));
        assert!(
            board.draw(&message("one", "Downloading", Some((5, 10)))).starts_with("\x1b[2A\x1b[2K\rone: Downloading [")
        );
    }

    #[test]
    fn bars_grow() {
        let progress = |current, total| bar(&Progress { current, total, ..Progress::default() });
        assert_eq!(progress(0, 0), "");
        assert!(progress(500, 1000).starts_with(&format!("[{}>", "=".repeat(25))));
        assert!(progress(1000, 1000).starts_with(&format!("[{}]", "=".repeat(50))));
        assert!(progress(2000, 1000).ends_with("2kB/1kB"));
    }
}
