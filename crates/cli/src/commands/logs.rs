//! `logs`.

mod follow;

use std::io::{Write, stderr, stdout};

use dhow_api::stream::{MULTIPLEXED, RAW};
use dhow_client::{Bytestream, Logs};
use dhow_errdefs::{Error, Result};

use crate::command::{Arguments, Command};
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Parsed};
use crate::format::timestamp;
use crate::session::Session;
use crate::streams::Demux;

pub(super) static LOGS: Command = Command {
    names: &["container logs", "logs"],
    usage: "[OPTIONS] CONTAINER",
    summary: "Show what a container has printed",
    flags: &[&[
        Flag::bool("details", "Show what the log driver adds to each line"),
        Flag::bool("follow", "Go on as it prints").short(b'f'),
        Flag::text("since", "Only what came after this time (2013-01-02T13:23:37Z) or in this last while (42m)"),
        Flag::text("tail", "Only so many last lines").short(b'n').default("all"),
        Flag::bool("timestamps", "Show the time of each line").short(b't'),
        Flag::text("until", "Only what came before this time (2013-01-02T13:23:37Z) or this while ago (42m)").since(35),
    ]],
    arguments: Arguments::Exactly(1),
    interspersed: true,
    run: |session, flags| Box::pin(run(session, flags)),
};

fn moment(flags: &Parsed, name: &str) -> Result<String> {
    timestamp(flags.text(name)).map_err(|why| Error::invalid(format!("invalid value for {name:?}: {why}")))
}

async fn run(session: &Session, flags: &Parsed) -> Outcome {
    let logs = Logs {
        follow: flags.on("follow"),
        timestamps: flags.on("timestamps"),
        details: flags.on("details"),
        tail: flags.text("tail").to_owned(),
        since: moment(flags, "since")?,
        until: moment(flags, "until")?,
    };
    let (client, name) = (session.client().await?, &flags.args[0]);
    if logs.follow {
        return follow::follow(session, name, logs).await;
    }
    let mut stream = client.container_logs(name, &logs).await?;
    let tty = match stream.content_type() {
        RAW => true,
        MULTIPLEXED => false,
        // Before 1.42 the answer does not say how it is written.
        _ => client.container_inspect(name).await?.config.tty,
    };
    print(&mut stream, tty, &mut stdout().lock(), &mut stderr().lock()).await?;
    Ok(0)
}

/// Prints a log to its end, as it comes. That of a terminal is not in frames.
pub(super) async fn print(
    stream: &mut Bytestream,
    tty: bool,
    out: &mut impl Write,
    err: &mut impl Write,
) -> Result<(), Failure> {
    let mut demux = Demux::default();
    while let Some(piece) = stream.next().await? {
        match tty {
            true => out.write_all(&piece)?,
            false => demux.feed(&piece, out, err)?,
        }
        out.flush()?;
    }
    Ok(())
}
