//! `system dial-stdio`: the engine's connection on standard input and output, for whoever comes over ssh.

use std::io::{self, Read, Write};
use std::net::Shutdown;

use dhow_errdefs::ResultExt;
use tokio::sync::oneshot;

use crate::command::{Arguments, Command};
use crate::failure::Outcome;
use crate::session::Session;

pub(super) static DIAL_STDIO: Command = Command {
    names: &["system dial-stdio"],
    usage: "",
    summary: "Carry a connection to the engine over standard input and output",
    flags: &[],
    arguments: Arguments::None,
    interspersed: true,
    run: |session, _| Box::pin(run(session)),
};

/// Bytes moved at once.
const BLOCK: usize = 64 * 1024;

async fn run(session: &Session) -> Outcome {
    let client = session.client().await?;
    let mut from = client.dial().await?;
    let mut to = from.try_clone().context(|| "use the connection in both directions")?;
    std::thread::spawn(move || {
        drop(carry(&mut io::stdin().lock(), &mut to));
        // The engine may still have an answer.
        drop(to.shutdown(Shutdown::Write));
    });
    let (ended, end) = oneshot::channel();
    std::thread::spawn(move || drop(ended.send(carry(&mut from, &mut io::stdout().lock()))));
    match end.await {
        Ok(carried) => carried?,
        Err(_) => return Ok(1),
    }
    Ok(0)
}

/// Moves bytes as they come, each block flushed.
fn carry(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    let mut block = vec![0; BLOCK];
    loop {
        let length = match from.read(&mut block) {
            Ok(0) => return Ok(()),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        to.write_all(&block[..length])?;
        to.flush()?;
    }
}
