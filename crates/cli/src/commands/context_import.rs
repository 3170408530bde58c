//! `context import`.

use std::fs::File;
use std::io::{self, BufReader};

use dhow_errdefs::{Error, ResultExt};

use crate::command::{Arguments, Command};
use crate::context::{self, Store, read};
use crate::failure::Outcome;
use crate::flags::Parsed;
use crate::output;
use crate::session::Session;

pub(super) static IMPORT: Command = Command {
    names: &["context import"],
    usage: "CONTEXT FILE|-",
    summary: "Read a context from a file or from standard input",
    flags: &[],
    arguments: Arguments::Exactly(2),
    interspersed: true,
    run: |session, flags| Box::pin(async { run(session, flags) }),
};

fn run(session: &Session, flags: &Parsed) -> Outcome {
    let (name, path) = (&flags.args[0], flags.args[1].as_str());
    let store = Store::new(session.config().folder());
    context::check_name(name)?;
    if store.exists(name) {
        return Err(Error::already_exists(format!("context {name:?} already exists")).into());
    }
    let (mut meta, material) = match path {
        "-" => read(io::stdin().lock())?,
        path => read(BufReader::new(File::open(path).context(|| format!("open {path}"))?))?,
    };
    meta.name = name.clone();
    store.add(&meta, &material)?;
    output::line(name)?;
    output::note(&format!("Successfully imported context {name:?}"));
    Ok(0)
}
