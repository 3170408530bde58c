//! `context show`.

use crate::command::{Arguments, Command};
use crate::output;

pub(super) static SHOW: Command = Command {
    names: &["context show"],
    usage: "",
    summary: "Print the name of the context in force",
    flags: &[],
    arguments: Arguments::None,
    interspersed: true,
    run: |session, _| {
        Box::pin(async {
            output::line(session.context())?;
            Ok(0)
        })
    },
};
