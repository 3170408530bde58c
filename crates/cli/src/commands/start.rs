//! `start`.

use std::sync::atomic::{AtomicBool, Ordering};

use dhow_client::{Attach, Client};
use dhow_errdefs::Error;

use super::interact::{Live, Since, Target, exit_code};
use crate::command::{Arguments, Command};
use crate::failure::{Failure, Outcome, with_hint};
use crate::flags::{Elsewhere, Flag, Parsed};
use crate::output;
use crate::session::Session;
use crate::streams::Plan;
use crate::terminal;

pub(super) static START: Command = Command {
    names: &["container start", "start"],
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    summary: "Start stopped containers",
    flags: &[&[
        Flag::bool("attach", "Attach to its output and pass signals on").short(b'a'),
        Flag::text("checkpoint", "Restore from this checkpoint").elsewhere(Elsewhere::Experimental),
        Flag::text("checkpoint-dir", "Folder of checkpoints").elsewhere(Elsewhere::Experimental),
        Flag::text("detach-keys", "Keys that detach from it"),
        Flag::bool("interactive", "Attach to its standard input").short(b'i'),
    ]],
    arguments: Arguments::AtLeast(1),
    interspersed: true,
    run: |session, flags| Box::pin(run(session, flags)),
};

async fn run(session: &Session, flags: &Parsed) -> Outcome {
    let client = session.client().await?;
    match (&flags.args[..], flags.on("attach") || flags.on("interactive")) {
        ([name], true) => attached(session, client, flags, name).await,
        (_, true) => Err(Error::invalid("you cannot start and attach multiple containers at once").into()),
        (names, false) => detached(client, names).await,
    }
}

async fn detached(client: &Client, names: &[String]) -> Outcome {
    let mut failed = Vec::new();
    for name in names {
        match client.container_start(name).await {
            Ok(()) => output::line(name)?,
            Err(error) => {
                output::note(&with_hint(&error));
                failed.push(name.as_str());
            }
        }
    }
    match failed.is_empty() {
        true => Ok(0),
        false => Err(Failure::text(format!("Error: failed to start containers: {}", failed.join(", ")))),
    }
}

async fn attached(session: &Session, client: &Client, flags: &Parsed, name: &str) -> Outcome {
    let container = client.container_inspect(name).await?;
    let (id, config) = (container.id.as_str(), &container.config);
    let stdin = flags.on("interactive") && config.open_stdin;
    let forward = (!config.tty).then(|| terminal::proxy(true));
    let detach_keys = session.detach_keys(flags);
    let attach = Attach { stdin, stdout: true, stderr: true, logs: false, detach_keys: detach_keys.clone() };
    let removed = container.host_config.auto_remove;
    let condition = if removed { "removed" } else { "next-exit" };
    let work = async {
        let (hijacked, waiting) =
            tokio::try_join!(client.container_attach(id, &attach), client.container_wait(id, condition))?;
        let plan = Plan { stdin, output: true, tty: config.tty, detach_keys };
        let live = Live::begin(hijacked, &plan)?;
        let printed = live.printed(&plan, Since::Start);
        client.container_start(id).await?;
        if live.until_end(client, Target::Container(id)).await? {
            return Ok(0);
        }
        exit_code(session, id, removed, waiting, printed).await
    };
    let asked = AtomicBool::new(false);
    let asked_to_end = async {
        match forward {
            Some(forward) => forward.until_asked_to_end(client, id, &asked).await,
            None => terminal::asked_to_end().await,
        }
    };
    // As Docker's client, which waits neither for the container's end nor for what it prints until then: a service
    // manager that stops us is to see no failure.
    tokio::select! {
        biased;
        () = asked_to_end => Ok(0),
        outcome = work => if asked.load(Ordering::Relaxed) { Ok(0) } else { outcome },
    }
}
