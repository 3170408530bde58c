//! `rm`.

use dhow_client::Removal;
use dhow_errdefs::{Class, Error};

use crate::command::{Arguments, Command};
use crate::failure::Outcome;
use crate::flags::{Flag, Parsed};
use crate::output;
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
    let mut code = 0;
    for name in &flags.args {
        let name = name.trim_matches('/');
        let removed = match name.is_empty() {
            true => Err(Error::invalid("container name cannot be empty")),
            false => client.container_remove(name, how).await,
        };
        match removed {
            Ok(()) => output::line(name)?,
            Err(error) => {
                output::note(&error.to_string());
                // What is not there is what was wanted.
                if !(how.force && error.class() == Class::NotFound) {
                    code = 1;
                }
            }
        }
    }
    Ok(code)
}
