//! Programs that keep secrets: `docker-credential-NAME get|store|erase`, by Docker's protocol: a JSON document or a name
//! on standard input, the answer on standard output, a failure told there too.

use std::io::Write;
use std::process::{Command, Stdio};

use dhow_errdefs::{Error, Result};
use serde::{Deserialize, Serialize};

use super::{Login, Secret, TOKEN, broken};

/// What helpers say when they have nothing; the only failure that is none.
const NOTHING: &str = "credentials not found in native keychain";

/// One helper.
pub(super) struct Helper {
    program: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    #[serde(rename = "ServerURL", default)]
    server_url: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    secret: String,
}

impl Helper {
    pub(super) fn new(name: &str) -> Self {
        Self { program: format!("docker-credential-{name}") }
    }

    pub(super) fn get(&self, server: &str) -> Result<Option<Login>> {
        let Some(answer) = self.ask("get", server)? else { return Ok(None) };
        let document: Document = serde_json::from_str(&answer).map_err(|cause| broken(&self.program, cause))?;
        let secret = match document.username.as_str() {
            TOKEN => Secret::IdentityToken(document.secret),
            _ => Secret::Password(document.secret),
        };
        Ok(Some(Login { username: document.username, secret }))
    }

    pub(super) fn store(&self, server: &str, login: &Login) -> Result<()> {
        let (username, secret) = match &login.secret {
            Secret::Password(password) => (login.username.as_str(), password),
            Secret::IdentityToken(token) => (TOKEN, token),
        };
        let document =
            Document { server_url: server.to_owned(), username: username.to_owned(), secret: secret.clone() };
        let text = serde_json::to_string(&document);
        let text = text.map_err(|cause| Error::internal("encode credentials").with_cause(cause))?;
        self.ask("store", &text).map(drop)
    }

    pub(super) fn erase(&self, server: &str) -> Result<()> {
        self.ask("erase", server).map(drop)
    }

    fn ask(&self, verb: &str, input: &str) -> Result<Option<String>> {
        let mut child =
            Command::new(&self.program).arg(verb).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(
                |cause| {
                    broken(&self.program, cause)
                        .with_hint("it is named in config.json; install it, or take its name out")
                },
            )?;
        if let Some(mut stdin) = child.stdin.take() {
            // One that wants to read nothing may have ended; its exit code says more.
            drop(stdin.write_all(input.as_bytes()));
        }
        let output = child.wait_with_output().map_err(|cause| broken(&self.program, cause))?;
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        match output.status.success() {
            true => Ok(Some(said)),
            false if said == NOTHING => Ok(None),
            false => Err(broken(&self.program, format_args!("{verb}: {}, out: `{said}`", output.status))),
        }
    }
}
