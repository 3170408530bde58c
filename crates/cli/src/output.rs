//! Standard output and standard error.

use std::io::{self, Write};

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

/// Writes a line to standard error; that nobody reads it is no failure.
pub(crate) fn note(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Does something to each of several things as Docker does: names on standard output, failures on standard error as they
/// happen, and 1 at the end if there was any.
pub(crate) async fn for_each<'a>(
    names: &'a [String],
    mut act: impl AsyncFnMut(&'a str) -> Result<String, Failure>,
) -> Outcome {
    let mut code = 0;
    for name in names {
        match act(name).await {
            Ok(said) => line(&said)?,
            Err(failure) => code = failure.report().max(1),
        }
    }
    Ok(code)
}
