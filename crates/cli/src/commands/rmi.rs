//! `rmi`.

use dhow_errdefs::{Class, Error};

use crate::command::{Arguments, Command};
use crate::failure::{Outcome, with_hint};
use crate::flags::{Flag, Parsed};
use crate::output;
use crate::platform;
use crate::session::Session;

pub(super) static RMI: Command = Command {
    names: &["image rm", "image remove", "rmi"],
    usage: "[OPTIONS] IMAGE [IMAGE...]",
    summary: "Remove images",
    flags: &[&[
        Flag::bool("force", "Remove it even if it has several names or is in use by stopped containers").short(b'f'),
        Flag::bool("no-prune", "Leave the images it was made from"),
        Flag::list("platform", "Remove it only if it is for this platform").since(50).placeholder("strings"),
    ]],
    arguments: Arguments::AtLeast(1),
    interspersed: true,
    run: |session, flags| Box::pin(run(session, flags)),
};

async fn run(session: &Session, flags: &Parsed) -> Outcome {
    let platforms: Result<Vec<String>, String> =
        flags.list("platform").flat_map(|text| text.split(',')).map(platform::written).collect();
    let platforms = platforms.map_err(Error::invalid)?;
    let client = session.client().await?;
    let (force, mut code) = (flags.on("force"), 0);
    for name in &flags.args {
        match client.image_remove(name, force, flags.on("no-prune"), &platforms).await {
            Ok(steps) => {
                for step in steps {
                    match step.deleted.is_empty() {
                        true => output::line(&format!("Untagged: {}", step.untagged))?,
                        false => output::line(&format!("Deleted: {}", step.deleted))?,
                    }
                }
            }
            Err(error) => {
                output::note(&with_hint(&error));
                // What is not there is what was wanted.
                if !(force && error.class() == Class::NotFound) {
                    code = 1;
                }
            }
        }
    }
    Ok(code)
}
