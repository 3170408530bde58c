//! `volume backup` and `volume import`: what Docker does not have.

use std::io::{IsTerminal, stdin, stdout};
use std::path::Path;

use dhow_client::{Upload, VolumeImport};
use dhow_errdefs::{Error, Result};

use super::save::{Partial, copy};
use crate::command::{Arguments, Command};
use crate::failure::Outcome;
use crate::flags::{Flag, Parsed};
use crate::options::open_file;
use crate::output;
use crate::session::Session;

pub(super) static BACKUP: Command = Command {
    names: &["volume backup"],
    usage: "[OPTIONS] VOLUME",
    summary: "Write what is in a volume into an archive or an image",
    flags: &[&[
        Flag::text("as", "Form of the archive: \"tar\" or \"oci\"").default("tar"),
        Flag::text("image", "Make an image with this name instead of an archive"),
        Flag::bool("live", "Freeze no container and make no copy first"),
        Flag::text("output", "Write to this file; \"-\" is the standard output").short(b'o'),
    ]],
    arguments: Arguments::Exactly(1),
    interspersed: true,
    run: |session, flags| Box::pin(backup(session, flags)),
};

pub(super) static IMPORT: Command = Command {
    names: &["volume import"],
    usage: "[OPTIONS] VOLUME [FILE|-]",
    summary: "Make a volume of a backup",
    flags: &[&[
        Flag::text("as", "Form of the archive: \"tar\" or \"oci\""),
        Flag::text("image", "Take an image that is a backup instead of an archive"),
        Flag::list("label", "Set a label of a volume that is made"),
        Flag::bool("replace", "Replace what is in the volume"),
    ]],
    arguments: Arguments::Between(1, 2),
    interspersed: true,
    run: |session, flags| Box::pin(import(session, flags)),
};

/// What messages call a backup.
const STEP: &str = "failed to back up volume";

async fn backup(session: &Session, flags: &Parsed) -> Outcome {
    let (volume, form, live) = (&flags.args[0], form(flags)?, flags.on("live"));
    let (path, image) = (flags.some("output").filter(|path| *path != "-"), flags.some("image"));
    match (image, path) {
        (Some(_), _) if flags.some("output").is_some() => {
            Err(Error::invalid("conflicting options: --image makes no archive for --output").into())
        }
        (Some(_), _) if flags.has("as") => {
            Err(Error::invalid("conflicting options: --image makes no archive that --as could be about").into())
        }
        (Some(image), _) => {
            output::line(&session.client().await?.volume_backup_image(volume, image, live).await?)?;
            Ok(0)
        }
        (None, None) if stdout().is_terminal() => {
            Err(Error::invalid("cowardly refusing to save to a terminal. Use the -o flag or redirect").into())
        }
        (None, None) => {
            copy(session.client().await?.volume_backup(volume, form, live).await?, stdout().lock()).await?;
            Ok(0)
        }
        (None, Some(path)) => {
            let client = session.client().await?;
            let file = Partial::create(Path::new(path), STEP)?;
            copy(client.volume_backup(volume, form, live).await?, &file.file).await?;
            file.finish()?;
            Ok(0)
        }
    }
}

async fn import(session: &Session, flags: &Parsed) -> Outcome {
    let import = VolumeImport {
        name: flags.args[0].clone(),
        format: form(flags)?.to_owned(),
        labels: flags.strings("label"),
        replace: flags.on("replace"),
    };
    let (image, file) = (flags.some("image"), flags.args.get(1));
    let volume = match (image, file) {
        (Some(_), Some(_)) => {
            return Err(Error::invalid("conflicting options: with --image there is no file to read").into());
        }
        (Some(_), None) if flags.has("as") => {
            return Err(Error::invalid(
                "conflicting options: with --image there is no archive that --as could be about",
            )
            .into());
        }
        (Some(image), None) => session.client().await?.volume_import_image(&import, image).await?,
        (None, file) => {
            let archive = archive(file.map_or("-", String::as_str))?;
            session.client().await?.volume_import(&import, archive).await?
        }
    };
    output::line(&volume.name)?;
    Ok(0)
}

/// `tar`, `oci`, or nothing.
fn form(flags: &Parsed) -> Result<&str> {
    match flags.text("as") {
        form @ ("" | "tar" | "oci") => Ok(form),
        other => Err(Error::invalid(format!("invalid value for --as: {other:?} is neither tar nor oci"))),
    }
}

fn archive(path: &str) -> Result<Upload> {
    match path {
        "-" if stdin().is_terminal() => Err(Error::invalid("requested import from stdin, but stdin is empty")),
        "-" => Ok(Upload::from_reader(stdin())),
        path => Ok(Upload::from_reader(open_file(path)?)),
    }
}
