//! `manifest`: what a registry has under a name, and lists of manifests that are made here and pushed.
//!
//! Lists that are being made lie where Docker keeps them, in its format: `manifests/LIST/MANIFEST` beside `config.json`.

mod annotate;
mod create;
mod inspect;
mod list;
mod push;
mod remove;

use dhow_client::{Client, Remote};
use dhow_errdefs::Result;
use dhow_oci::Reference;

use crate::flags::Flag;
use crate::session::Session;

pub(super) use annotate::ANNOTATE;
pub(super) use create::CREATE;
pub(super) use inspect::INSPECT;
pub(super) use push::PUSH;
pub(super) use remove::RM;

const INSECURE: Flag = Flag::bool("insecure", "Reach the registry without security, too");

/// A typed name, in full.
fn named(typed: &str) -> Result<Reference> {
    Ok(Reference::parse(typed)?.with_default_tag())
}

/// The same with the words about what it is the name of.
fn named_as(what: &str, typed: &str) -> Result<Reference> {
    named(typed).map_err(|error| error.context(format!("error parsing name for {what} {typed}")))
}

fn remote(session: &Session, name: &Reference, insecure: bool) -> Remote {
    Remote { name: name.familiar(), insecure, auth: session.registry_auth(name.registry()) }
}

/// A manifest in its registry, and what the registry says about it.
async fn fetch(client: &Client, remote: &Remote, name: &Reference) -> Result<list::Entry> {
    let about = client.distribution_inspect(remote).await?;
    let bytes = client.distribution_manifest(remote).await?;
    list::Entry::new(name, &about, bytes)
}
