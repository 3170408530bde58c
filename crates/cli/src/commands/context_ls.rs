//! `context ls`.

use super::ps::FORMAT;
use crate::command::{Arguments, Command};
use crate::context::{DEFAULT, DEFAULT_DESCRIPTION, Store};
use crate::failure::Outcome;
use crate::flags::{Flag, Parsed};
use crate::format::{Column, Format, Row, ellipsis, show};
use crate::output;
use crate::session::Session;

pub(super) static LS: Command = Command {
    names: &["context ls", "context list"],
    usage: "[OPTIONS]",
    summary: "List contexts",
    flags: &[&[FORMAT, Flag::bool("quiet", "Only show names").short(b'q')]],
    arguments: Arguments::None,
    interspersed: true,
    run: |session, flags| Box::pin(async { run(session, flags) }),
};

/// Characters of an error that a table shows.
const ERROR_WIDTH: usize = 45;

/// A context in the list.
struct Listed {
    name: String,
    description: String,
    host: String,
    error: String,
    current: bool,
    /// The name is marked in the usual table only.
    marked: bool,
}

impl Row for Listed {
    const KIND: &'static str = "*formatter.clientContextContext";
    const COLUMNS: &'static [Column] = &[
        Column { name: "Current", header: "CURRENT" },
        Column { name: "Description", header: "DESCRIPTION" },
        Column { name: "DockerEndpoint", header: "DOCKER ENDPOINT" },
        Column { name: "Error", header: "ERROR" },
        Column { name: "Name", header: "NAME" },
    ];

    fn field(&self, name: &str) -> String {
        match name {
            "Name" if self.marked && self.current => format!("{} *", self.name),
            "Name" => self.name.clone(),
            "Description" => self.description.clone(),
            "DockerEndpoint" => self.host.clone(),
            "Error" => ellipsis(&self.error, ERROR_WIDTH),
            _ => self.current.to_string(),
        }
    }

    fn json(&self, name: &str) -> Option<&'static str> {
        (name == "Current").then_some(if self.current { "true" } else { "false" })
    }
}

fn run(session: &Session, flags: &Parsed) -> Outcome {
    let asked = flags.some("format").unwrap_or("table");
    let rows = rows(session, asked == "table")?;
    if flags.on("quiet") {
        output::text(&rows.iter().map(|row| row.name.clone() + "\n").collect::<String>())?;
    } else {
        output::text(&show(&rows, &Format::new(asked, &["Name", "Description", "DockerEndpoint", "Error"]))?)?;
    }
    if session.host_variable() {
        output::note(
            "Warning: DOCKER_HOST environment variable overrides the active context. To use a context, either set the \
             global --context flag, or unset DOCKER_HOST environment variable.",
        );
    }
    Ok(0)
}

fn rows(session: &Session, marked: bool) -> Result<Vec<Listed>, dhow_errdefs::Error> {
    let store = Store::new(session.config().folder());
    let row = |name: &str, description: &str, host: &str| Listed {
        name: name.to_owned(),
        description: description.to_owned(),
        host: host.to_owned(),
        error: String::new(),
        current: session.context() == name,
        marked,
    };
    let mut rows: Vec<Listed> =
        store.list()?.iter().map(|meta| row(&meta.name, &meta.metadata.description, meta.host())).collect();
    rows.push(row(DEFAULT, DEFAULT_DESCRIPTION, session.default_host()));
    if !rows.iter().any(|row| row.current) {
        let missing = store.read(session.context()).err().map(|error| error.to_string()).unwrap_or_default();
        rows.push(Listed { error: missing, ..row(session.context(), "", "") });
    }
    rows.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(rows)
}
