//! `export`.

use std::io::{IsTerminal, stdout};
use std::path::Path;

use dhow_errdefs::{Error, Result};

use super::save::{Partial, copy};
use crate::command::{Arguments, Command};
use crate::failure::Outcome;
use crate::flags::{Flag, Parsed};
use crate::session::Session;

/// The step that messages name.
const STEP: &str = "failed to export container";

pub(super) static EXPORT: Command = Command {
    names: &["container export", "export"],
    usage: "[OPTIONS] CONTAINER",
    summary: "Write a container's file system into a tar archive",
    flags: &[&[Flag::text("output", "Write to this file").short(b'o')]],
    arguments: Arguments::Exactly(1),
    interspersed: true,
    run: |session, flags| Box::pin(run(session, flags)),
};

async fn run(session: &Session, flags: &Parsed) -> Outcome {
    let path = flags.some("output");
    if path.is_none() && stdout().is_terminal() {
        return Err(Error::invalid("cowardly refusing to save to a terminal. Use the -o flag or redirect").into());
    }
    let client = session.client().await?;
    let Some(path) = path else {
        copy(client.container_export(&flags.args[0]).await?, stdout().lock()).await?;
        return Ok(0);
    };
    check(path)?;
    let archive = client.container_export(&flags.args[0]).await?;
    let file = Partial::create(Path::new(path), STEP)?;
    copy(archive, &file.file).await?;
    file.finish()?;
    Ok(0)
}

/// What can be refused before anything is read.
fn check(path: &str) -> Result<()> {
    let whole = Path::new(path);
    if whole.is_dir() {
        return Err(Error::invalid(format!("{STEP}: cannot write to a directory")));
    }
    let folder = whole.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder
        && !folder.exists()
    {
        let text = format!("{STEP}: invalid output path: stat {}: no such file or directory", folder.display());
        return Err(Error::invalid(text));
    }
    Ok(())
}
