//! `save`.

use std::fs::File;
use std::io::{self, IsTerminal, Write, stdout};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use dhow_client::Bytestream;
use dhow_errdefs::{Error, Result, ResultExt};

use crate::command::{Arguments, Command};
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Parsed};
use crate::platform;
use crate::session::Session;

pub(super) static SAVE: Command = Command {
    names: &["image save", "save"],
    usage: "[OPTIONS] IMAGE [IMAGE...]",
    summary: "Write images into an archive",
    flags: &[&[
        Flag::text("output", "Write to this file").short(b'o'),
        Flag::text("platform", "Save only this platform").since(48),
    ]],
    arguments: Arguments::AtLeast(1),
    interspersed: true,
    run: |session, flags| Box::pin(run(session, flags)),
};

async fn run(session: &Session, flags: &Parsed) -> Outcome {
    let path = flags.some("output");
    if path.is_none() && stdout().is_terminal() {
        return Err(Error::invalid("cowardly refusing to save to a terminal. Use the -o flag or redirect").into());
    }
    let platform = platform::json(flags.text("platform"))?;
    let client = session.client().await?;
    let Some(path) = path else {
        copy(client.image_save(&flags.args, &platform).await?, stdout().lock()).await?;
        return Ok(0);
    };
    let file = Partial::create(Path::new(path), "failed to save image")?;
    copy(client.image_save(&flags.args, &platform).await?, &file.file).await?;
    file.finish()?;
    Ok(0)
}

pub(super) async fn copy(mut from: Bytestream, mut to: impl Write) -> Result<(), Failure> {
    while let Some(piece) = from.next().await? {
        to.write_all(&piece)?;
    }
    to.flush()?;
    Ok(())
}

/// A file that takes its name when it is complete, and leaves nothing behind when it never is.
pub(super) struct Partial {
    pub(super) file: File,
    /// What messages call the whole.
    step: &'static str,
    temporary: PathBuf,
    path: PathBuf,
}

impl Partial {
    pub(super) fn create(path: &Path, step: &'static str) -> Result<Self> {
        if path.is_dir() {
            return Err(Error::invalid(format!("{step}: cannot write to a directory")));
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if !folder.exists() {
            let folder = folder.display();
            let text = format!("{step}: invalid output path: stat {folder}: no such file or directory");
            return Err(Error::not_found(text));
        }
        if let Some(kind) = no_plain_file(path) {
            return Err(Error::invalid(format!("{step}: cannot write to {kind}")));
        }
        let name = path.file_name().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput)).context(|| step)?;
        let temporary = path.with_file_name(format!(".{}.{}", name.to_string_lossy(), std::process::id()));
        // As Docker's: there may be secrets in an image, and more of them in a container.
        let file = File::options().write(true).create_new(true).mode(0o600).open(&temporary).context(|| step)?;
        Ok(Self { file, step, temporary, path: path.to_owned() })
    }

    pub(super) fn finish(&self) -> Result<()> {
        std::fs::rename(&self.temporary, &self.path).context(|| self.step)
    }
}

/// What is at the path and must not be replaced by a file, as `/dev/null` and `/dev/stdout`; in Docker's words.
fn no_plain_file(path: &Path) -> Option<&'static str> {
    let kind = std::fs::symlink_metadata(path).ok()?.file_type();
    match () {
        () if kind.is_symlink() => Some("a symbolic link directly"),
        () if kind.is_char_device() => Some("a character device file"),
        () if kind.is_block_device() => Some("a block device file"),
        () if kind.is_fifo() => Some("a named pipe (FIFO)"),
        () if kind.is_socket() => Some("a socket"),
        () => None,
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // Gone already if it took its name.
        let _ = std::fs::remove_file(&self.temporary);
    }
}
