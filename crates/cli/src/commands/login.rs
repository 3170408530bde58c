//! `login`.

use std::io::Read;

use dhow_errdefs::{Error, Result, ResultExt};

use crate::command::{Arguments, Command};
use crate::credentials::{self, Kept, Login, Secret};
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Parsed};
use crate::output;
use crate::session::Session;
use crate::terminal::ask;

pub(super) static LOGIN: Command = Command {
    names: &["login"],
    usage: "[OPTIONS] [SERVER]",
    summary: "Check name and password with a registry, and keep them",
    flags: &[&[
        Flag::text("password", "Password or token; others can see it while the command runs").short(b'p'),
        Flag::bool("password-stdin", "Read the password or token from standard input"),
        Flag::text("username", "Name").short(b'u'),
    ]],
    arguments: Arguments::AtMost(1),
    interspersed: true,
    run: |session, flags| Box::pin(run(session, flags)),
};

async fn run(session: &Session, flags: &Parsed) -> Outcome {
    let typed = typed(flags)?;
    let server = server(session, flags).await?;
    let nothing_typed = typed.username.is_none() && typed.password.is_none();
    // A helper that fails costs no more than that somebody has to type.
    let kept = || credentials::get(session.config(), &server).ok().flatten().filter(is_enough);
    if nothing_typed && let Some(kept) = kept() {
        output::note(&format!(
            "Authenticating with existing credentials... [Username: {}]\n\n Info -> To login with a different account, run \
             '{program} logout' followed by '{program} login'\n\n",
            kept.username,
            program = session.program
        ));
        match check(session, &server, &kept).await {
            Ok(()) => return Ok(0),
            Err(error) => output::note(&format!("Login did not succeed, error: {error}")),
        }
    }
    let login = asked(typed)?;
    check(session, &server, &login).await?;
    Ok(0)
}

/// Whether there is something to try: a token, or a name and a password.
fn is_enough(kept: &Login) -> bool {
    match &kept.secret {
        Secret::Password(password) => !kept.username.is_empty() && !password.is_empty(),
        Secret::IdentityToken(_) => true,
    }
}

/// What stands on the command line.
struct Typed {
    username: Option<String>,
    password: Option<String>,
}

fn typed(flags: &Parsed) -> Result<Typed, Failure> {
    if flags.has("username") && flags.text("username").is_empty() {
        return Err(Failure::text("username is empty"));
    }
    let username = flags.some("username").map(str::to_owned);
    let mut password = flags.some("password").map(str::to_owned);
    if password.is_some() {
        if flags.on("password-stdin") {
            let conflict = "conflicting options: cannot specify both --password and --password-stdin";
            return Err(Error::invalid(conflict).into());
        }
        output::note("WARNING! Using --password via the CLI is insecure. Use --password-stdin.");
    }
    if flags.on("password-stdin") {
        if username.is_none() {
            return Err(Error::invalid("the --password-stdin option requires --username to be set").into());
        }
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context(|| "read the password")?;
        let line = text.strip_suffix('\n').unwrap_or(&text);
        password = Some(line.strip_suffix('\r').unwrap_or(line).to_owned()).filter(|password| !password.is_empty());
    }
    Ok(Typed { username, password })
}

/// The registry's key; without one, the engine's default.
pub(super) async fn server(session: &Session, flags: &Parsed) -> Result<String> {
    match flags.args.first() {
        Some(server) if !server.is_empty() => Ok(credentials::key(server).to_owned()),
        _ => match session.client().await?.info().await?.index_server_address {
            none if none.is_empty() => {
                Err(Error::invalid("the engine has no default registry").with_hint("name a registry"))
            }
            default => Ok(default),
        },
    }
}

/// Asks the person for what is missing.
fn asked(typed: Typed) -> Result<Login> {
    let terminal = rustix::termios::isatty(rustix::stdio::stdin());
    if !terminal && (typed.username.is_none() || typed.password.is_none()) {
        return Err(Error::invalid("Error: Cannot perform an interactive login from a non TTY device"));
    }
    let username = typed.username.map_or_else(|| ask("Username: ", true), Ok)?;
    let password = typed.password.map_or_else(|| ask("Password: ", false), Ok)?;
    match (username.is_empty(), password.is_empty()) {
        (true, _) => Err(Error::invalid("Error: username is required")),
        (_, true) => Err(Error::invalid("Error: password is required")),
        _ => Ok(Login { username, secret: Secret::Password(password) }),
    }
}

/// Lets the engine ask the registry, and keeps what was good.
async fn check(session: &Session, server: &str, login: &Login) -> Result<()> {
    let answer = session.client().await?.login(&login.shown(server)).await?;
    let kept = match answer.identity_token.is_empty() {
        true => login.clone(),
        false => Login { secret: Secret::IdentityToken(answer.identity_token), ..login.clone() },
    };
    if credentials::store(session.config(), server, &kept)? == Kept::InFile(true) {
        output::note(&format!(
            "\nWARNING! Your credentials are stored unencrypted in '{}'.\nConfigure a credential helper to remove this \
             warning. See\nhttps://docs.docker.com/go/credential-store/\n",
            session.config().folder().join("config.json").display()
        ));
    }
    output::line(&answer.status).context(|| "write the output")
}
