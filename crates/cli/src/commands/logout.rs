//! `logout`.

use super::login::server;
use crate::command::{Arguments, Command};
use crate::credentials;
use crate::failure::Outcome;
use crate::flags::Parsed;
use crate::output;
use crate::session::Session;

pub(super) static LOGOUT: Command = Command {
    names: &["logout"],
    usage: "[SERVER]",
    summary: "Forget name and password of a registry",
    flags: &[],
    arguments: Arguments::AtMost(1),
    interspersed: true,
    run: |session, flags| Box::pin(run(session, flags)),
};

async fn run(session: &Session, flags: &Parsed) -> Outcome {
    let server = server(session, flags).await?;
    output::line(&format!("Removing login credentials for {server}"))?;
    credentials::erase(session.config(), &server)?;
    Ok(0)
}
