//! `manifest rm`.

use super::list::List;
use super::named;
use crate::command::{Arguments, Command};
use crate::failure::{Failure, Outcome};
use crate::flags::Parsed;
use crate::session::Session;

pub(in crate::commands) static RM: Command = Command {
    names: &["manifest rm"],
    usage: "MANIFEST_LIST [MANIFEST_LIST...]",
    summary: "Forget lists of manifests that were made here",
    flags: &[],
    arguments: Arguments::AtLeast(1),
    interspersed: true,
    run: |session, flags| Box::pin(std::future::ready(run(session, flags))),
};

fn run(session: &Session, flags: &Parsed) -> Outcome {
    let mut failures = Vec::new();
    for typed in &flags.args {
        let list = List::of(session.config(), &named(typed)?);
        match list.exists() {
            true => list.remove()?,
            false => failures.push(format!("No such manifest: {typed}")),
        }
    }
    if failures.is_empty() { Ok(0) } else { Err(Failure::text(failures.join("\n"))) }
}
