//! `manifest push`.

use dhow_errdefs::Error;
use dhow_oci::Reference;
use serde_json::value::RawValue;

use super::list::{List, document};
use super::{INSECURE, named, remote};
use crate::command::{Arguments, Command};
use crate::failure::Outcome;
use crate::flags::{Flag, Parsed};
use crate::output;
use crate::session::Session;

pub(in crate::commands) static PUSH: Command = Command {
    names: &["manifest push"],
    usage: "[OPTIONS] MANIFEST_LIST",
    summary: "Push a list of manifests",
    flags: &[&[INSECURE, Flag::bool("purge", "Forget the list here when it is pushed").short(b'p')]],
    arguments: Arguments::Exactly(1),
    interspersed: true,
    run: |session, flags| Box::pin(run(session, flags)),
};

async fn run(session: &Session, flags: &Parsed) -> Outcome {
    let name = named(&flags.args[0])?;
    let list = List::of(session.config(), &name);
    if !list.exists() {
        return Err(Error::not_found(format!("No such manifest: {}", name.canonical())).into());
    }
    let entries = list.entries()?;
    let mut sources = Vec::new();
    for entry in &entries {
        let platform = entry.descriptor.platform.as_ref();
        if platform.is_none_or(|platform| platform.os.is_empty() || platform.architecture.is_empty()) {
            let text = format!("manifest {} must have an OS and Architecture to be pushed to a registry", entry.name);
            return Err(Error::invalid(text).with_hint("say them with `manifest annotate`").into());
        }
        sources.push(Reference::parse(&entry.name)?.with_digest(entry.descriptor.digest).canonical());
    }
    let text = document(&entries)?.trim_end().to_owned();
    let index =
        RawValue::from_string(text).map_err(|cause| Error::internal("write a list of manifests").with_cause(cause))?;
    let remote = remote(session, &name, flags.on("insecure"));
    let digest = session.client().await?.distribution_put(&remote, index, &sources).await?;
    output::line(&digest)?;
    if flags.on("purge") {
        list.remove()?;
    }
    Ok(0)
}
