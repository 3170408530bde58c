//! Raw mode.

use std::io::{IsTerminal, stdin};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

/// The terminal in raw mode; as it was again when this is dropped.
pub(crate) struct Raw(Termios);

impl Raw {
    /// Raw mode for standard input, if that is a terminal.
    pub(crate) fn enter() -> Option<Self> {
        let input = stdin();
        if !input.is_terminal() {
            return None;
        }
        let before = tcgetattr(&input).ok()?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(&input, OptionalActions::Now, &raw).ok()?;
        Some(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // The terminal may be gone; then nothing is left to restore.
        let _ = tcsetattr(stdin(), OptionalActions::Now, &self.0);
    }
}
