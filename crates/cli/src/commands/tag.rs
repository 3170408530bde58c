//! `tag`.

use dhow_errdefs::{Error, Result};
use dhow_oci::Reference;

use super::new::is_id;
use crate::command::{Arguments, Command};
use crate::failure::Outcome;
use crate::flags::Parsed;
use crate::session::Session;

pub(super) static TAG: Command = Command {
    names: &["image tag", "tag"],
    usage: "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
    summary: "Give an image another name",
    flags: &[],
    arguments: Arguments::Exactly(2),
    interspersed: true,
    run: |session, flags| Box::pin(run(session, flags)),
};

async fn run(session: &Session, flags: &Parsed) -> Outcome {
    let (source, target) = (&flags.args[0], &flags.args[1]);
    if !is_id(source) {
        parse(source)?;
    }
    let named = parse(target)?;
    if named.digest().is_some() {
        return Err(Error::invalid("refusing to create a tag with a digest reference").into());
    }
    let named = named.with_default_tag();
    let client = session.client().await?;
    client.image_tag(source, &named.familiar_name(), named.tag().unwrap_or_default()).await?;
    Ok(0)
}

fn parse(name: &str) -> Result<Reference> {
    Reference::parse(name).map_err(|why| {
        Error::invalid(format!("Error parsing reference: {name:?} is not a valid repository/tag: {why}"))
    })
}
