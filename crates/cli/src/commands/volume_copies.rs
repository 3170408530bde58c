//! `volume clone`, `volume snapshot`, `volume restore`, `volume rename`, `volume protect`: what Docker does not have.

use std::collections::BTreeMap;

use dhow_api::volume::Volume;

use crate::command::{Arguments, Command};
use crate::failure::Outcome;
use crate::flags::{Flag, Parsed};
use crate::output::{self, for_each};
use crate::session::Session;

pub(super) static CLONE: Command = Command {
    names: &["volume clone"],
    usage: "VOLUME NEW_NAME",
    summary: "Make a copy of a volume",
    flags: &[],
    arguments: Arguments::Exactly(2),
    interspersed: true,
    run: |session, flags| Box::pin(clone(session, flags, false)),
};

pub(super) static SNAPSHOT: Command = Command {
    names: &["volume snapshot"],
    usage: "VOLUME [NEW_NAME]",
    summary: "Make a protected copy of a volume to go back to",
    flags: &[],
    arguments: Arguments::Between(1, 2),
    interspersed: true,
    run: |session, flags| Box::pin(clone(session, flags, true)),
};

pub(super) static RESTORE: Command = Command {
    names: &["volume restore"],
    usage: "VOLUME SNAPSHOT",
    summary: "Replace the content of a volume by that of another one",
    flags: &[],
    arguments: Arguments::Exactly(2),
    interspersed: true,
    run: |session, flags| Box::pin(restore(session, flags)),
};

pub(super) static RENAME: Command = Command {
    names: &["volume rename"],
    usage: "VOLUME NEW_NAME",
    summary: "Give a volume another name",
    flags: &[],
    arguments: Arguments::Exactly(2),
    interspersed: true,
    run: |session, flags| Box::pin(rename(session, flags)),
};

pub(super) static PROTECT: Command = Command {
    names: &["volume protect"],
    usage: "[OPTIONS] VOLUME [VOLUME...]",
    summary: "Keep volumes from being removed",
    flags: &[&[Flag::bool("off", "Let them be removed again")]],
    arguments: Arguments::AtLeast(1),
    interspersed: true,
    run: |session, flags| Box::pin(protect(session, flags)),
};

async fn clone(session: &Session, flags: &Parsed, snapshot: bool) -> Outcome {
    let new = flags.args.get(1).map(String::as_str).unwrap_or_default();
    let (client, from) = (session.client().await?, flags.args[0].as_str());
    let volume = client.volume_clone(from, new, snapshot).await?;
    output::line(&volume.name)?;
    // The snapshot is there, whether this can be asked or not.
    if snapshot && client.volume_inspect(from).await.is_ok_and(|volume| !can_be_restored(&volume)) {
        output::note(&format!(
            "WARNING: {from} cannot be restored from it, because its content is not in the data root: `volume restore` takes the \
             snapshot only into a volume of the driver local without options"
        ));
    }
    Ok(0)
}

fn can_be_restored(volume: &Volume) -> bool {
    volume.driver == "local" && volume.options.as_ref().is_none_or(BTreeMap::is_empty)
}

async fn restore(session: &Session, flags: &Parsed) -> Outcome {
    session.client().await?.volume_restore(&flags.args[0], &flags.args[1]).await?;
    output::line(&flags.args[0])?;
    Ok(0)
}

async fn rename(session: &Session, flags: &Parsed) -> Outcome {
    session.client().await?.volume_rename(&flags.args[0], &flags.args[1]).await?;
    Ok(0)
}

async fn protect(session: &Session, flags: &Parsed) -> Outcome {
    let client = session.client().await?;
    for_each(&flags.args, async |name| {
        client.volume_protect(name, !flags.on("off")).await?;
        Ok(name.to_owned())
    })
    .await
}
