//! `exec`.

use dhow_api::exec::{CreateRequest, StartRequest};
use dhow_client::Client;
use dhow_errdefs::Class;

use super::interact::{Live, Target, code, detached};
use crate::command::{Arguments, Command};
use crate::failure::Outcome;
use crate::flags::{Flag, Parsed};
use crate::options::{check_variable, variables};
use crate::session::Session;
use crate::streams::Plan;
use crate::terminal;

pub(super) static EXEC: Command = Command {
    names: &["container exec", "exec"],
    usage: "[OPTIONS] CONTAINER COMMAND [ARG...]",
    summary: "Run a command inside a running container",
    flags: &[&[
        Flag::bool("detach", "Leave it in the background").short(b'd'),
        Flag::text("detach-keys", "Keys that detach from it"),
        Flag::list("env", "Set an environment variable").since(25).short(b'e').check(check_variable),
        Flag::list("env-file", "Set the environment variables of a file").since(25),
        Flag::bool("interactive", "Keep standard input open even if nobody is attached").short(b'i'),
        Flag::bool("privileged", "Give it every right"),
        Flag::bool("tty", "Give it a terminal").short(b't'),
        Flag::text("user", "User name or ID (<name|uid>[:<group|gid>])").short(b'u'),
        Flag::text("workdir", "Working directory inside the container").since(35).short(b'w'),
    ]],
    arguments: Arguments::AtLeast(2),
    interspersed: false,
    run: |session, flags| Box::pin(run(session, flags)),
};

async fn run(session: &Session, flags: &Parsed) -> Outcome {
    let (detach, tty) = (flags.on("detach"), flags.on("tty"));
    let interactive = flags.on("interactive") && !detach;
    if !detach {
        terminal::check(interactive, tty)?;
    }
    let console_size = console_size(tty);
    let request = CreateRequest {
        user: flags.text("user").to_owned(),
        privileged: flags.on("privileged"),
        tty,
        console_size,
        attach_stdin: interactive,
        attach_stdout: !detach,
        attach_stderr: !detach,
        detach_keys: session.detach_keys(flags).unwrap_or_default(),
        env: Some(variables(flags)?),
        working_dir: flags.text("workdir").to_owned(),
        cmd: Some(flags.args[1..].to_vec()),
    };
    let client = session.client().await?;
    let id = client.exec_create(&flags.args[0], &request).await?;
    let start = StartRequest { detach, tty, console_size };
    if detach {
        client.exec_start_detached(&id, &start).await?;
        return Ok(0);
    }
    // Docker's client leaves the program behind then, and says nothing; our terminal is put right before it does more.
    tokio::select! {
        biased;
        () = terminal::asked_to_end() => Ok(0),
        outcome = attached(session, client, flags, &id, &start) => outcome,
    }
}

fn console_size(tty: bool) -> Option<[u32; 2]> {
    let (rows, columns) = terminal::size();
    (tty && (rows, columns) != (0, 0)).then_some([rows.into(), columns.into()])
}

async fn attached(session: &Session, client: &Client, flags: &Parsed, id: &str, start: &StartRequest) -> Outcome {
    let hijacked = client.exec_start(id, start).await?;
    let plan =
        Plan { stdin: flags.on("interactive"), output: true, tty: start.tty, detach_keys: session.detach_keys(flags) };
    let live = Live::begin(hijacked, &plan)?;
    if live.until_end(client, Target::Exec(id)).await? {
        return Err(detached());
    }
    let exec = match client.exec_inspect(id).await {
        Err(gone) if gone.class() == Class::Unavailable && session.is_local() => {
            session.client_again().await.map_err(|_| gone)?.exec_inspect(id).await?
        }
        exec => exec?,
    };
    Ok(code(exec.exit_code.unwrap_or(0)))
}
