//! `manifest create`.

use dhow_errdefs::Error;

use super::list::List;
use super::{INSECURE, fetch, named, named_as, remote};
use crate::command::{Arguments, Command};
use crate::failure::Outcome;
use crate::flags::{Flag, Parsed};
use crate::output;
use crate::session::Session;

pub(in crate::commands) static CREATE: Command = Command {
    names: &["manifest create"],
    usage: "MANIFEST_LIST MANIFEST [MANIFEST...]",
    summary: "Begin a list of manifests, to be pushed as one image for several platforms",
    flags: &[&[Flag::bool("amend", "Add to a list that is there").short(b'a'), INSECURE]],
    arguments: Arguments::AtLeast(2),
    interspersed: true,
    run: |session, flags| Box::pin(run(session, flags)),
};

async fn run(session: &Session, flags: &Parsed) -> Outcome {
    let name = named_as("manifest list", &flags.args[0])?;
    let list = List::of(session.config(), &name);
    if list.exists() && !flags.on("amend") {
        return Err(Error::conflict("refusing to amend an existing manifest list with no --amend flag").into());
    }
    let client = session.client().await?;
    let mut entries = Vec::new();
    for typed in &flags.args[1..] {
        let member = named(typed)?;
        let entry = fetch(client, &remote(session, &member, flags.on("insecure")), &member).await?;
        if entry.is_list() {
            return Err(Error::invalid(format!("{} is a manifest list", member.familiar())).into());
        }
        entries.push(entry);
    }
    // Nothing is written before everything is there.
    entries.iter().try_for_each(|entry| list.put(entry))?;
    output::line(&format!("Created manifest list {}", name.canonical()))?;
    Ok(0)
}
