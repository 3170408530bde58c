//! `list`: all containers below the root.

use std::fs;

use clap::{Arg, ArgMatches, Command};
use dhow_errdefs::{Error, Result};

use super::record::Container;
use super::state::Document;
use super::{Globals, delete, flag, print};

pub(crate) fn command() -> Command {
    Command::new("list")
        .about("list containers")
        .arg(Arg::new("format").long("format").short('f').value_parser(["table", "json"]).default_value("table"))
        .arg(flag("quiet").short('q'))
}

pub(crate) fn run(globals: &Globals, matches: &ArgMatches) -> Result<u8> {
    let documents = documents(globals);
    if matches.get_flag("quiet") {
        documents.iter().for_each(|document| print(&format!("{}\n", document.state.id)));
    } else if matches.get_one::<String>("format").is_some_and(|format| format == "json") {
        let text = serde_json::to_string(&documents).map_err(|error| Error::internal("list").with_cause(error))?;
        print(&format!("{text}\n"));
    } else {
        print(&table(&documents));
    }
    Ok(0)
}

fn documents(globals: &Globals) -> Vec<Document> {
    let entries = fs::read_dir(&globals.root).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    // One that is being made or deleted at this moment is none.
    let loaded = names.filter_map(|name| Container::load(globals, &name).ok());
    let mut documents: Vec<Document> = loaded.filter_map(|container| Document::of(&container).ok()).collect();
    documents.sort_by(|a, b| a.state.id.cmp(&b.state.id));
    documents
}

fn table(documents: &[Document]) -> String {
    let mut rows = vec![["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"].map(str::to_owned)];
    for document in documents {
        let state = &document.state;
        rows.push([
            state.id.clone(),
            state.pid.unwrap_or(0).to_string(),
            delete::name(state.status).to_owned(),
            state.bundle.display().to_string(),
            document.created.clone(),
            document.owner.clone(),
        ]);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0).max(9) + 3;
    let widths: Vec<usize> = (0..5).map(width).collect();
    let line = |row: &[String; 6]| {
        let cells: String = row[..5].iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        format!("{cells}{}\n", row[5])
    };
    rows.iter().map(line).collect()
}
