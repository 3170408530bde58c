//! The terminal this process runs in.

mod prompt;
mod raw;
mod signals;
mod size;

pub(crate) use prompt::ask;
pub(crate) use raw::Raw;
pub(crate) use signals::{Forward, asked_to_end, first_of, proxy};
pub(crate) use size::{follow_size, size};

use std::io::{IsTerminal, stdin};

use dhow_errdefs::{Error, Result};

/// Refuses a container with a terminal when our input, which is to drive it, is none.
pub(crate) fn check(stdin_wanted: bool, tty: bool) -> Result<()> {
    match stdin_wanted && tty && !stdin().is_terminal() {
        true => Err(Error::invalid("the input device is not a TTY")),
        false => Ok(()),
    }
}
