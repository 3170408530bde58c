//! `attach`.

use dhow_api::container::State;
use dhow_client::Attach;
use dhow_errdefs::{Error, Result};

use super::interact::{Live, Target, detached, exit_code, with_signals};
use crate::command::{Arguments, Command};
use crate::failure::Outcome;
use crate::flags::{Flag, Parsed};
use crate::session::Session;
use crate::streams::Plan;
use crate::terminal;

pub(super) static ATTACH: Command = Command {
    names: &["container attach", "attach"],
    usage: "[OPTIONS] CONTAINER",
    summary: "Connect this terminal to a running container",
    flags: &[&[
        Flag::text("detach-keys", "Keys that detach from it"),
        Flag::bool("no-stdin", "Leave standard input alone"),
        Flag::bool("sig-proxy", "Pass signals on to it").default("true"),
    ]],
    arguments: Arguments::Exactly(1),
    interspersed: true,
    run: |session, flags| Box::pin(run(session, flags)),
};

fn check(state: &State) -> Result<()> {
    let text = match state {
        State { running: false, .. } => "You cannot attach to a stopped container, start it first",
        State { paused: true, .. } => "You cannot attach to a paused container, unpause it first",
        State { restarting: true, .. } => "You cannot attach to a restarting container, wait until it is running",
        _ => return Ok(()),
    };
    Err(Error::conflict(text))
}

async fn run(session: &Session, flags: &Parsed) -> Outcome {
    let client = session.client().await?;
    let container = client.container_inspect(&flags.args[0]).await?;
    check(&container.state)?;
    let (id, config) = (container.id.as_str(), &container.config);
    let stdin = !flags.on("no-stdin") && config.open_stdin;
    terminal::check(!flags.on("no-stdin"), config.tty)?;
    let forward = (!config.tty).then(|| terminal::proxy(flags.on("sig-proxy")));
    let detach_keys = session.detach_keys(flags);
    let attach = Attach { stdin, stdout: true, stderr: true, logs: false, detach_keys: detach_keys.clone() };
    let work = async {
        let (hijacked, waiting) =
            tokio::try_join!(client.container_attach(id, &attach), client.container_wait(id, "not-running"))?;
        if config.tty {
            redraw(client, id).await;
        }
        let live = Live::begin(hijacked, &Plan { stdin, output: true, tty: config.tty, detach_keys })?;
        if live.until_end(client, Target::Container(id)).await? {
            return Err(detached());
        }
        // What was printed before is not known here.
        exit_code(session, id, false, waiting, None).await
    };
    with_signals(forward, client, id, work).await
}

/// Another size for a moment makes programs draw their screen again; the right size follows.
async fn redraw(client: &dhow_client::Client, id: &str) {
    let (rows, columns) = terminal::size();
    if (rows, columns) != (0, 0) {
        // The next resize, or nothing, happens anyway.
        let _ = client.container_resize(id, rows.saturating_add(1), columns.saturating_add(1)).await;
    }
}
