//! `manifest inspect`.

use dhow_errdefs::{Error, Result};
use serde_json::Value;

use super::list::{Entry, LIST_STEP, List, document};
use super::{INSECURE, fetch, named, remote};
use crate::command::{Arguments, Command};
use crate::failure::Outcome;
use crate::flags::{Flag, Parsed};
use crate::format::indent_by;
use crate::output;
use crate::session::Session;

pub(in crate::commands) static INSPECT: Command = Command {
    names: &["manifest inspect"],
    usage: "[OPTIONS] [MANIFEST_LIST] MANIFEST",
    summary: "Show a manifest, or a list of manifests",
    flags: &[&[INSECURE, Flag::bool("verbose", "Show layers and platform, too").short(b'v')]],
    arguments: Arguments::Between(1, 2),
    interspersed: true,
    run: |session, flags| Box::pin(run(session, flags)),
};

/// How Docker's client indents a manifest.
const TAB: &str = "\t";

async fn run(session: &Session, flags: &Parsed) -> Outcome {
    let verbose = flags.on("verbose");
    let name = named(&flags.args[0])?;
    let list = List::of(session.config(), &name);
    if let Some(member) = flags.args.get(1) {
        let member = named(member)?;
        let missing = || Error::not_found(format!("No such manifest: {}", member.familiar()));
        let entry = list.entry(&member)?.ok_or_else(missing)?;
        return show(&entry, verbose);
    }
    if list.exists() {
        let entries = list.entries()?;
        output::line(&if verbose { described(&entries)? } else { document(&entries)? })?;
        return Ok(0);
    }
    let remote = remote(session, &name, flags.on("insecure"));
    let entry = fetch(session.client().await?, &remote, &name).await?;
    show(&entry, verbose)
}

fn show(entry: &Entry, verbose: bool) -> Outcome {
    let text = match verbose {
        true => pretty(&description(entry)?),
        false if entry.is_list() => indent_by(&String::from_utf8_lossy(&entry.bytes()?), "", LIST_STEP),
        false => indent_by(&String::from_utf8_lossy(&entry.bytes()?), "", TAB),
    };
    output::line(text.trim_end())?;
    Ok(0)
}

fn described(entries: &[Entry]) -> Result<String> {
    Ok(pretty(&entries.iter().map(description).collect::<Result<Vec<_>>>()?.into()))
}

fn description(entry: &Entry) -> Result<Value> {
    serde_json::to_value(entry).map_err(|cause| Error::internal("show a manifest").with_cause(cause))
}

fn pretty(value: &Value) -> String {
    indent_by(&value.to_string(), "", TAB)
}
