//! `context export`.

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;

use dhow_errdefs::{Error, ResultExt};

use super::context_create::of_name;
use crate::command::{Arguments, Command};
use crate::context::{Store, no_name, write};
use crate::failure::Outcome;
use crate::flags::Parsed;
use crate::output;
use crate::session::Session;

pub(super) static EXPORT: Command = Command {
    names: &["context export"],
    usage: "[OPTIONS] CONTEXT [FILE|-]",
    summary: "Write a context, its keys too, into a file or to standard output",
    flags: &[],
    arguments: Arguments::Between(1, 2),
    interspersed: true,
    run: |session, flags| Box::pin(async { run(session, flags) }),
};

fn run(session: &Session, flags: &Parsed) -> Outcome {
    let name = &flags.args[0];
    if name.is_empty() {
        return Err(no_name().into());
    }
    let store = Store::new(session.config().folder());
    let (meta, material) = of_name(session, &store, name)?;
    let usual = format!("{name}.dockercontext");
    match flags.args.get(1).map_or(usual.as_str(), String::as_str) {
        "-" if rustix::termios::isatty(rustix::stdio::stdout()) => {
            Err(Error::invalid("cowardly refusing to export to a terminal, specify a file path").into())
        }
        "-" => {
            write(&meta, &material, io::stdout().lock())?;
            Ok(0)
        }
        path => {
            // There are keys in it.
            let file = File::options().write(true).create_new(true).mode(0o600).open(path);
            write(&meta, &material, file.context(|| format!("open {path}"))?)?;
            output::note(&format!("Written file {path:?}"));
            Ok(0)
        }
    }
}
