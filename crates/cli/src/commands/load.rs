//! `load`.

use std::io::{IsTerminal, stdin};

use dhow_client::Upload;
use dhow_errdefs::Error;

use super::import::print;
use crate::command::{Arguments, Command};
use crate::failure::Outcome;
use crate::flags::{Flag, Parsed};
use crate::options::open_file;
use crate::platform;
use crate::session::Session;

pub(super) static LOAD: Command = Command {
    names: &["image load", "load"],
    usage: "[OPTIONS]",
    summary: "Load images from an archive",
    flags: &[&[
        Flag::text("input", "Read from this file").short(b'i'),
        Flag::text("platform", "Load only this platform").since(48),
        Flag::bool("quiet", "Say less").short(b'q'),
    ]],
    arguments: Arguments::None,
    interspersed: true,
    run: |session, flags| Box::pin(run(session, flags)),
};

async fn run(session: &Session, flags: &Parsed) -> Outcome {
    let upload = match flags.some("input") {
        Some(path) => Upload::from_reader(open_file(path)?),
        None if stdin().is_terminal() => {
            return Err(Error::invalid("requested load from stdin, but stdin is empty").into());
        }
        None => Upload::from_reader(stdin()),
    };
    // No bars are drawn, so there is no use in being told of progress.
    print(session.client().await?.image_load(true, &platform::json(flags.text("platform"))?, upload).await?).await
}
