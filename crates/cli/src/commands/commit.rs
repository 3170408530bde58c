//! `commit`.

use dhow_client::{Commit, no_name};
use dhow_errdefs::{Error, Result};
use dhow_oci::Reference;

use crate::command::{Arguments, Command};
use crate::failure::Outcome;
use crate::flags::{Flag, Parsed};
use crate::output;
use crate::session::Session;

pub(super) static COMMIT: Command = Command {
    names: &["container commit", "commit"],
    usage: "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]",
    summary: "Make an image of a container",
    flags: &[&[
        Flag::text("author", "Who made it, as \"Ann Example <ann@example.com>\"").short(b'a'),
        Flag::list("change", "Apply a Dockerfile instruction to the image").short(b'c'),
        Flag::text("message", "Comment on the image").short(b'm'),
        Flag::bool("pause", "Freeze the container meanwhile").short(b'p').default("true"),
    ]],
    arguments: Arguments::Between(1, 2),
    interspersed: true,
    run: |session, flags| Box::pin(run(session, flags)),
};

async fn run(session: &Session, flags: &Parsed) -> Outcome {
    if flags.args[0].trim().is_empty() {
        return Err(no_name("container").into());
    }
    let name = flags.args.get(1).map(String::as_str).filter(|name| !name.is_empty());
    let (repository, tag) = name.map(parts).transpose()?.unwrap_or_default();
    let commit = Commit {
        container: flags.args[0].clone(),
        repository,
        tag,
        comment: flags.text("message").to_owned(),
        author: flags.text("author").to_owned(),
        changes: flags.strings("change"),
        running: !flags.on("pause"),
    };
    output::line(&session.client().await?.commit(&commit).await?)?;
    Ok(0)
}

/// Repository and tag of a name.
fn parts(name: &str) -> Result<(String, String)> {
    let reference = Reference::parse(name)?;
    if reference.digest().is_some() {
        return Err(Error::invalid("refusing to create a tag with a digest reference"));
    }
    let reference = reference.with_default_tag();
    Ok((reference.familiar_name(), reference.tag().unwrap_or_default().to_owned()))
}
