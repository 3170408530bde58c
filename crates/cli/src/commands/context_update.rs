//! `context update`.

use dhow_errdefs::ResultExt;

use super::context_create::{Described, FLAGS, described};
use crate::command::{Arguments, Command};
use crate::context::{self, DOCKER, Store};
use crate::failure::Outcome;
use crate::flags::Parsed;
use crate::output;
use crate::session::Session;

pub(super) static UPDATE: Command = Command {
    names: &["context update"],
    usage: "[OPTIONS] CONTEXT",
    summary: "Change a context",
    flags: &[FLAGS],
    arguments: Arguments::Exactly(1),
    interspersed: true,
    run: |session, flags| Box::pin(async { run(session, flags) }),
};

fn run(session: &Session, flags: &Parsed) -> Outcome {
    let name = &flags.args[0];
    let store = Store::new(session.config().folder());
    context::check_name(name)?;
    let mut meta = store.read(name)?;
    if let Some(description) = flags.some("description") {
        meta.metadata.description = description.to_owned();
    }
    let words: Vec<&str> = flags.list("docker").collect();
    if !words.is_empty() {
        let Described { endpoint, material } =
            described(session, &store, &words).context(|| "unable to create docker endpoint config")?;
        meta.endpoints.insert(DOCKER.to_owned(), endpoint);
        store.write_material(name, &material)?;
    }
    store.write(&meta)?;
    output::line(name)?;
    output::note(&format!("Successfully updated context {name:?}"));
    Ok(0)
}
