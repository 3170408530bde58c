//! `version`.

use std::env::consts::{ARCH, OS};
use std::fmt::Write;

use dhow_api::system;
use dhow_api::version::Version as ApiVersion;
use dhow_errdefs::{Error, Result};
use serde::Serialize;

use super::BUILD;
use crate::command::{Arguments, Command};
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Parsed};
use crate::format::{Document, spelled};
use crate::output;
use crate::session::Session;

pub(super) static VERSION: Command = Command {
    names: &["version"],
    usage: "[OPTIONS]",
    summary: "Show the versions of client and engine",
    flags: &[&[
        Flag::text("format", "How to print:\n'json':             JSON\n'TEMPLATE':         a Go template").short(b'f')
    ]],
    arguments: Arguments::None,
    interspersed: true,
    run: |session, flags| Box::pin(run(session, flags)),
};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Both {
    client: Client,
    server: Option<system::Version>,
}

/// The client's half.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Client {
    version: String,
    /// The version that was agreed on, where somebody has asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    api_version: Option<String>,
    #[serde(rename = "DefaultAPIVersion")]
    default_api_version: String,
    git_commit: String,
    go_version: String,
    os: String,
    arch: String,
    build_time: String,
    context: String,
}

impl Client {
    pub(super) fn new(session: &Session, api: Option<ApiVersion>) -> Self {
        Self {
            version: session.program_version().to_owned(),
            api_version: api.map(|version| version.to_string()),
            default_api_version: ApiVersion::MAX.to_string(),
            git_commit: BUILD.to_owned(),
            go_version: String::new(),
            os: OS.to_owned(),
            arch: go_arch(ARCH).to_owned(),
            build_time: String::new(),
            context: session.context().to_owned(),
        }
    }

    fn text(&self) -> String {
        let api = match self.api_version.as_deref().unwrap_or_default() {
            usual if usual == self.default_api_version => usual.to_owned(),
            agreed => format!("{agreed} (downgraded from {})", self.default_api_version),
        };
        let mut text = String::from("Client:\n");
        let lines = [
            ("Version:", self.version.as_str()),
            ("API version:", &api),
            ("Git commit:", &self.git_commit),
            ("OS/Arch:", &format!("{}/{}", self.os, self.arch)),
            ("Context:", &self.context),
        ];
        for (name, value) in lines {
            writeln!(text, " {name:18} {value}").expect("writing to a String cannot fail");
        }
        text
    }
}

/// A machine's name as Go spells it.
fn go_arch(arch: &str) -> &str {
    match arch {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        other => other,
    }
}

fn server_text(version: &system::Version) -> String {
    let mut text = match version.platform.name.is_empty() {
        true => String::from("Server:\n"),
        false => format!("Server: {}\n", version.platform.name),
    };
    for component in &version.components {
        writeln!(text, " {}:\n  Version:          {}", component.name, component.version)
            .expect("writing to a String cannot fail");
        for (name, value) in known_details(component) {
            writeln!(text, "  {name:17} {value}").expect("writing to a String cannot fail");
        }
    }
    text
}

/// The details of a component in Docker's order and words; others by their names.
fn known_details(component: &system::Component) -> Vec<(String, String)> {
    let detail = |name: &str| component.details.get(name).cloned();
    let mut lines = Vec::new();
    if let Some(api) = detail("ApiVersion") {
        let least = detail("MinAPIVersion").map(|least| format!(" (minimum version {least})")).unwrap_or_default();
        lines.push(("API version:".to_owned(), format!("{api}{least}")));
    }
    let named =
        [("GoVersion", "Go version:"), ("GitCommit", if lines.is_empty() { "GitCommit:" } else { "Git commit:" })];
    lines.extend(named.iter().filter_map(|(key, label)| Some(((*label).to_owned(), detail(key)?))));
    lines.extend(detail("BuildTime").map(|built| ("Built:".to_owned(), spelled(&built))));
    if let (Some(os), Some(arch)) = (detail("Os"), detail("Arch")) {
        lines.push(("OS/Arch:".into(), format!("{os}/{arch}")));
    }
    lines.extend(detail("Experimental").map(|flag| ("Experimental:".to_owned(), flag)));
    let known = [
        "ApiVersion",
        "MinAPIVersion",
        "GoVersion",
        "GitCommit",
        "BuildTime",
        "Os",
        "Arch",
        "Experimental",
        "KernelVersion",
    ];
    let others = component.details.iter().filter(|(name, _)| !known.contains(&name.as_str()));
    lines.extend(others.map(|(name, value)| (format!("{name}:"), value.clone())));
    lines
}

/// Engines before 18.09 name no components: the engine itself is the only one then.
fn with_components(mut version: system::Version) -> system::Version {
    if version.components.is_empty() {
        let details = [
            ("ApiVersion", &version.api_version),
            ("MinAPIVersion", &version.min_api_version),
            ("GitCommit", &version.git_commit),
            ("GoVersion", &version.go_version),
            ("Os", &version.os),
            ("Arch", &version.arch),
            ("BuildTime", &version.build_time),
        ];
        let details = details.into_iter().filter(|(_, value)| !value.is_empty());
        version.components.push(system::Component {
            name: "Engine".into(),
            version: version.version.clone(),
            details: details.map(|(name, value)| (name.to_owned(), value.clone())).collect(),
        });
    }
    version
}

async fn run(session: &Session, flags: &Parsed) -> Outcome {
    let (server, failed) = match ask(session).await {
        Ok(server) => (Some(with_components(server)), None),
        Err(error) => (None, Some(error)),
    };
    let format = flags.text("format");
    // A template would only complain of the server that is not there.
    if let Some(error) = failed.as_ref().filter(|_| !matches!(format, "" | "json") && format.contains(".Server")) {
        return output::ended(Err(Failure::text(error.to_string())));
    }
    let both = Both { client: Client::new(session, Some(session.api_version())), server };
    output::text(&text(&both, format)?)?;
    match failed {
        None => Ok(0),
        Some(error) => Err(error.into()),
    }
}

async fn ask(session: &Session) -> Result<system::Version> {
    // Nobody who asks for versions wants an engine for that.
    session.client_if_there().await?.version().await
}

fn text(both: &Both, format: &str) -> Result<String, Failure> {
    if format.is_empty() {
        let server = both.server.as_ref().map(|server| format!("\n{}", server_text(server)));
        return Ok(both.client.text() + &server.unwrap_or_default());
    }
    let json = serde_json::to_string(both).map_err(|cause| Error::internal("encode versions").with_cause(cause))?;
    match format {
        "json" => Ok(json + "\n"),
        template => {
            let text = Document::new(json, "system.versionInfo").execute(template);
            Ok(output::ended(text.map_err(|error| Failure::of_template(&error, "version")))? + "\n")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_is_described_in_dockers_lines() {
        let text = br#"{"Platform":{"Name":""},"Components":[{"Name":"Engine","Version":"20.10","Details":{"ApiVersion":"1.41",
            "Arch":"amd64","BuildTime":"now","Experimental":"false","GitCommit":"abc","GoVersion":"go1","KernelVersion":"6",
            "MinAPIVersion":"1.12","Os":"linux"}},{"Name":"runc","Version":"1.1","Details":{"GitCommit":"x"}}]}"#;
        let version: system::Version = dhow_api::json::from_slice(text).unwrap();
        let expected = "Server:
 Engine:
  Version:          20.10
  API version:      1.41 (minimum version 1.12)
  Go version:       go1
  Git commit:       abc
  Built:            now
  OS/Arch:          linux/amd64
  Experimental:     false
 runc:
  Version:          1.1
  GitCommit:        x
";
        assert_eq!(server_text(&version), expected);
    }
}
