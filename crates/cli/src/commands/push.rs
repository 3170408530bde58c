//! `push`.

use dhow_client::ImagePush;
use dhow_errdefs::Error;
use dhow_oci::{DEFAULT_TAG, Reference};

use crate::command::{Arguments, Command};
use crate::failure::Outcome;
use crate::flags::{Flag, Parsed};
use crate::output;
use crate::platform;
use crate::progress::{self, To};
use crate::session::Session;

pub(super) static PUSH: Command = Command {
    names: &["image push", "push"],
    usage: "[OPTIONS] NAME[:TAG]",
    summary: "Upload an image to a registry",
    flags: &[&[
        Flag::bool("all-tags", "Upload every tag of the repository").short(b'a'),
        Flag::text("compression", "Compress layers that are not, as gzip (default) or zstd"),
        Flag::bool("disable-content-trust", "Skip image signing").default("true").hidden(),
        Flag::text("platform", "Upload only if the image is for this platform").since(46),
        Flag::bool("quiet", "Print only the image's full name").short(b'q'),
    ]],
    arguments: Arguments::Exactly(1),
    interspersed: true,
    run: |session, flags| Box::pin(run(session, flags)),
};

async fn run(session: &Session, flags: &Parsed) -> Outcome {
    let typed = Reference::parse(&flags.args[0])?;
    let (all, quiet) = (flags.on("all-tags"), flags.on("quiet"));
    if typed.digest().is_some() {
        return Err(Error::invalid("cannot push a digest reference").into());
    }
    if all && typed.tag().is_some() {
        return Err(Error::invalid("tag can't be used with --all-tags/-a").into());
    }
    let named = typed.tag().is_some();
    let name = if all { typed } else { typed.with_default_tag() };
    if !all && !named && !quiet {
        output::line(&format!("Using default tag: {DEFAULT_TAG}"))?;
    }
    let push = ImagePush {
        name: name.familiar_name(),
        tag: name.tag().unwrap_or_default().to_owned(),
        platform: platform::json(flags.text("platform"))?,
        compression: flags.text("compression").to_owned(),
        auth: session.registry_auth(name.registry()),
    };
    let messages = session.client().await?.image_push(&push).await?;
    progress::show(messages, if quiet { To::Nobody } else { To::Stdout }).await?;
    if quiet {
        output::line(&name.canonical())?;
    }
    Ok(0)
}
