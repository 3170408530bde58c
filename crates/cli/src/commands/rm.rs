//! `rm`.

use dhow_client::Removal;
use dhow_errdefs::{Class, Error};

use crate::command::{Arguments, Command};
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Parsed};
use crate::output::for_each;
use crate::session::Session;

pub(super) static RM: Command = Command {
    names: &["container rm", "container remove", "rm"],
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    summary: "Remove containers",
    flags: &[&[
        Flag::bool("force", "Kill it first if it runs").short(b'f'),
        Flag::bool("link", "Remove only this link").short(b'l'),
        Flag::bool("volumes", "Remove its anonymous volumes too").short(b'v'),
    ]],
    arguments: Arguments::AtLeast(1),
    interspersed: true,
    run: |session, flags| Box::pin(run(session, flags)),
};

async fn run(session: &Session, flags: &Parsed) -> Outcome {
    let client = session.client().await?;
    let how = Removal { force: flags.on("force"), volumes: flags.on("volumes"), link: flags.on("link") };
    for_each(&flags.args, async |name| {
        let name = name.trim_matches('/');
        if name.is_empty() {
            return Err(Error::invalid("container name cannot be empty").into());
        }
        match client.container_remove(name, how).await {
            Ok(()) => Ok(name.to_owned()),
            // What is not there is what was wanted.
            Err(error) if how.force && error.class() == Class::NotFound => Err(Failure::Text(error.to_string(), 0)),
            Err(error) => Err(error.into()),
        }
    })
    .await
}
