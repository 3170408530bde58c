//! `run`.

use dhow_client::{Attach, Client};
use dhow_errdefs::{Error, Result};

use super::interact::{Live, Since, Target, exit_code, with_signals};
use super::new::{choose_image, create, prepare};
use crate::command::{Arguments, Command};
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Parsed};
use crate::options::{CONTAINER, Wanted};
use crate::output;
use crate::session::Session;
use crate::streams::Plan;
use crate::terminal;

pub(super) static RUN: Command = Command {
    names: &["container run", "run"],
    usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    summary: "Run a command in a new container",
    flags: &[CONTAINER, FLAGS],
    arguments: Arguments::AtLeast(1),
    interspersed: false,
    run: |session, flags| Box::pin(run(session, flags)),
};

const FLAGS: &[Flag] = &[
    Flag::bool("detach", "Leave it in the background and print its ID").short(b'd'),
    Flag::text("detach-keys", "Keys that detach from it"),
    Flag::bool("sig-proxy", "Pass signals on to it").default("true"),
];

async fn run(session: &Session, flags: &Parsed) -> Outcome {
    let failed = |error: Error| Failure::of_run(session.program, session.name, &error);
    let mut wanted = prepare(session, flags).map_err(failed)?;
    choose_image(flags, &mut wanted).map_err(failed)?;
    let detach = flags.on("detach");
    if detach && flags.has("attach") {
        return Err(Error::invalid("conflicting options: cannot specify both --attach and --detach").into());
    }
    let config = &mut wanted.request.config;
    if detach {
        (config.attach_stdin, config.attach_stdout, config.attach_stderr) = (false, false, false);
        config.stdin_once = false;
    } else {
        terminal::check(config.attach_stdin, config.tty)?;
    }
    let catch_signals = !detach;
    let client = session.client().await.map_err(failed)?;
    let (created, forward) = tokio::join!(create(session, client, flags, &wanted), async {
        // The request goes out first, when its connection has said that it takes one: what follows is done while the engine
        // creates the container.
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        let forward = catch_signals.then(|| terminal::proxy(flags.on("sig-proxy")));
        // Attaching, waiting and starting overlap. A failure comes back when the connection is needed.
        let _ = client.connect(if detach { 0 } else { 2 }).await;
        forward
    });
    let id = created.map_err(failed)?;
    let work = async {
        match attached(&wanted) {
            true => in_front(session, client, flags, &wanted, &id).await,
            false => in_background(session, client, flags, &wanted, &id).await,
        }
    };
    with_signals(forward, client, &id, work).await
}

fn attached(wanted: &Wanted) -> bool {
    let config = &wanted.request.config;
    config.attach_stdin || config.attach_stdout || config.attach_stderr
}

/// Prints the ID and starts; the container is on its own then.
async fn in_background(session: &Session, client: &Client, flags: &Parsed, wanted: &Wanted, id: &str) -> Outcome {
    output::line(id)?;
    if !flags.on("detach") {
        let waiting = client.container_wait(id, condition(wanted)).await?;
        start(session, client, id).await?;
        return exit_code(session, id, wanted.request.host_config.auto_remove, waiting, None).await;
    }
    start(session, client, id).await?;
    Ok(0)
}

async fn in_front(session: &Session, client: &Client, flags: &Parsed, wanted: &Wanted, id: &str) -> Outcome {
    let config = &wanted.request.config;
    if !config.attach_stdout && !config.attach_stderr {
        output::line(id)?;
    }
    let keys = session.detach_keys(flags);
    let attach = Attach {
        stdin: config.attach_stdin,
        stdout: config.attach_stdout,
        stderr: config.attach_stderr,
        logs: false,
        detach_keys: keys.clone(),
    };
    // Both have to be in place before the start, or the first output, or the exit, could be missed.
    let (hijacked, waiting) =
        tokio::try_join!(client.container_attach(id, &attach), client.container_wait(id, condition(wanted)))?;
    let plan = Plan {
        stdin: config.attach_stdin,
        output: config.attach_stdout || config.attach_stderr,
        tty: config.tty,
        detach_keys: keys,
    };
    let (started, live) = tokio::join!(start(session, client, id), async {
        // The request goes out first: threads are made while the engine starts the container.
        tokio::task::yield_now().await;
        Live::begin(hijacked, &plan)
    });
    let live = live?;
    let both = config.attach_stdout && config.attach_stderr;
    let printed = live.printed(&plan, Since::Creation).filter(|_| both);
    if let Err(failure) = started {
        drop(live);
        if wanted.request.host_config.auto_remove {
            // The engine is about to remove it; the name is to be free when we are back at the prompt.
            let _ = waiting.exit().await;
        }
        return Err(failure);
    }
    if live.until_end(client, Target::Container(id)).await? {
        return Ok(0);
    }
    exit_code(session, id, wanted.request.host_config.auto_remove, waiting, printed).await
}

fn condition(wanted: &Wanted) -> &'static str {
    if wanted.request.host_config.auto_remove { "removed" } else { "next-exit" }
}

async fn start(session: &Session, client: &Client, id: &str) -> Result<(), Failure> {
    client.container_start(id).await.map_err(|error| Failure::of_run(session.program, session.name, &error))
}
