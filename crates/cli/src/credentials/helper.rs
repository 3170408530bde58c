//! Programs that keep secrets: `docker-credential-NAME get|store|erase`, by Docker's protocol: a JSON document or a name
//! on standard input, the answer on standard output, a failure told there too.

use std::fmt;
use std::io::{ErrorKind, Write};
use std::process::{Command, Stdio};

use dhow_errdefs::{Error, Result};
use serde::{Deserialize, Serialize};

use super::{Login, Secret, TOKEN, broken};

/// What helpers say when they have nothing; the only failure that is none.
const NOTHING: &str = "credentials not found in native keychain";

/// What they refuse to keep, in words that say it all.
const REFUSALS: [&str; 2] = ["no credentials server URL", "no credentials username"];

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
        let answer = match self.ask("get", server) {
            Err(refusal) if refusal.said == NOTHING => return Ok(None),
            answer => answer.map_err(|refusal| self.broken("get", &refusal))?,
        };
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
        let failed = |refusal: Refusal| {
            refusal.hint(Error::unavailable(format!(
                "Error saving credentials: error storing credentials - err: {refusal}"
            )))
        };
        self.ask("store", &text).map(drop).map_err(failed)
    }

    pub(super) fn erase(&self, server: &str) -> Result<()> {
        match self.ask("erase", server) {
            Err(refusal) if refusal.said != NOTHING => Err(self.broken("erase", &refusal)),
            _ => Ok(()),
        }
    }

    fn broken(&self, verb: &str, refusal: &Refusal) -> Error {
        refusal.hint(broken(&self.program, format_args!("{verb}: {refusal}")))
    }

    fn ask(&self, verb: &str, input: &str) -> std::result::Result<String, Refusal> {
        let silent = |why: String| Refusal { why, said: String::new(), missing: false };
        let spawned = Command::new(&self.program).arg(verb).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = spawned.map_err(|cause| match cause.kind() {
            ErrorKind::NotFound => Refusal {
                missing: true,
                ..silent(format!("exec: {:?}: executable file not found in $PATH", self.program))
            },
            _ => silent(cause.to_string()),
        })?;
        if let Some(mut stdin) = child.stdin.take() {
            // One that wants to read nothing may have ended; its exit code says more.
            drop(stdin.write_all(input.as_bytes()));
        }
        let output = child.wait_with_output().map_err(|cause| silent(cause.to_string()))?;
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        match (output.status.success(), output.status.code()) {
            (true, _) => Ok(said),
            _ if REFUSALS.contains(&said.as_str()) => Err(Refusal { why: said.clone(), said, missing: false }),
            (_, Some(code)) => Err(Refusal { why: format!("exit status {code}"), said, missing: false }),
            _ => Err(Refusal { why: output.status.to_string(), said, missing: false }),
        }
    }
}

/// How a helper did not do what it was asked for.
struct Refusal {
    why: String,
    said: String,
    missing: bool,
}

impl Refusal {
    fn hint(&self, error: Error) -> Error {
        match self.missing {
            true => error.with_hint("it is named in config.json; install it, or take its name out"),
            false => error,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, out: `{}`", self.why, self.said)
    }
}
