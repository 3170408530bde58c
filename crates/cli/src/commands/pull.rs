//! `pull`.

use dhow_client::{Client, ImagePull};
use dhow_errdefs::{Error, Result};
use dhow_oci::{DEFAULT_TAG, Reference};

use crate::command::{Arguments, Command};
use crate::failure::Outcome;
use crate::flags::{Flag, Parsed};
use crate::output;
use crate::progress::{self, To};
use crate::session::Session;

pub(super) static PULL: Command = Command {
    names: &["image pull", "pull"],
    usage: "[OPTIONS] NAME[:TAG|@DIGEST]",
    summary: "Download an image from a registry",
    flags: &[&[
        Flag::bool("all-tags", "Download every tag of the repository").short(b'a'),
        Flag::bool("disable-content-trust", "Skip image verification").default("true").hidden(),
        Flag::text("platform", "Take the image for this platform").since(32),
        Flag::bool("quiet", "Print only the image's full name").short(b'q'),
    ]],
    arguments: Arguments::Exactly(1),
    interspersed: true,
    run: |session, flags| Box::pin(run(session, flags)),
};

async fn run(session: &Session, flags: &Parsed) -> Outcome {
    let typed = Reference::parse(&flags.args[0])?;
    let (all, quiet) = (flags.on("all-tags"), flags.on("quiet"));
    let named = typed.tag().is_some() || typed.digest().is_some();
    if all && named {
        return Err(Error::invalid("tag can't be used with --all-tags/-a").into());
    }
    let name = if all { typed } else { typed.with_default_tag() };
    if !all && !named && !quiet {
        output::line(&format!("Using default tag: {DEFAULT_TAG}"))?;
    }
    let pull = request(session, &name, flags.text("platform"));
    let messages = session.client().await?.image_pull(&pull).await?;
    progress::show(messages, if quiet { To::Nobody } else { To::Stdout }).await?;
    output::line(&name.canonical())?;
    Ok(0)
}

/// What to ask the engine for.
fn request(session: &Session, name: &Reference, platform: &str) -> ImagePull {
    let tag = match (name.digest(), name.tag()) {
        (Some(digest), _) => digest.to_string(),
        (None, tag) => tag.unwrap_or_default().to_owned(),
    };
    let auth = session.registry_auth(name.registry());
    ImagePull { name: name.familiar_name(), tag, platform: platform.to_owned(), auth }
}

/// Has the engine pull an image that a command needs; what it says goes to standard error.
pub(super) async fn pull_first(
    session: &Session,
    client: &Client,
    image: &str,
    platform: &str,
    quiet: bool,
) -> Result<()> {
    let name = Reference::parse(image)?.with_default_tag();
    let messages = client.image_pull(&request(session, &name, platform)).await?;
    progress::show(messages, if quiet { To::Nobody } else { To::Stderr }).await
}
