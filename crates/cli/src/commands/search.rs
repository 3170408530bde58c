//! `search`.

use dhow_api::distribution::SearchItem;
use dhow_oci::DEFAULT_REGISTRY;

use super::ps::{FILTER, FORMAT, filters};
use crate::command::{Arguments, Command};
use crate::failure::Outcome;
use crate::flags::{Flag, Parsed};
use crate::format::{Column, Format, Row, ellipsis, show};
use crate::output;
use crate::session::Session;

pub(super) static SEARCH: Command = Command {
    names: &["search"],
    usage: "[OPTIONS] TERM",
    summary: "Search a registry for images",
    flags: &[&[FILTER, FORMAT, Flag::int("limit", "Show at most so many"), Flag::bool("no-trunc", "Cut nothing off")]],
    arguments: Arguments::Exactly(1),
    interspersed: true,
    run: |session, flags| Box::pin(run(session, flags)),
};

/// How much of a description is shown.
const WIDTH: usize = 45;

async fn run(session: &Session, flags: &Parsed) -> Outcome {
    let term = &flags.args[0];
    let auth = session.registry_auth(registry(term));
    let limit = flags.number("limit");
    let items = session.client().await?.image_search(term, limit, &filters(flags), auth).await?;
    let full = flags.on("no-trunc");
    let rows: Vec<Found> = items.into_iter().map(|item| Found { item, full }).collect();
    let columns = ["Name", "Description", "StarCount", "IsOfficial"];
    let asked = flags.some("format").unwrap_or("table");
    output::text(&show(&rows, &Format::new(asked, &columns))?)?;
    Ok(0)
}

/// The registry that a term begins with.
fn registry(term: &str) -> &str {
    match term.split_once('/') {
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => first,
        _ => DEFAULT_REGISTRY,
    }
}

struct Found {
    item: SearchItem,
    full: bool,
}

impl Row for Found {
    const KIND: &'static str = "*formatter.searchContext";
    const COLUMNS: &'static [Column] = &[
        Column { name: "Name", header: "NAME" },
        Column { name: "Description", header: "DESCRIPTION" },
        Column { name: "StarCount", header: "STARS" },
        Column { name: "IsOfficial", header: "OFFICIAL" },
        Column { name: "IsAutomated", header: "AUTOMATED" },
    ];

    fn field(&self, name: &str) -> String {
        let item = &self.item;
        let mark = |on: bool| if on { "[OK]".to_owned() } else { String::new() };
        match name {
            "Name" => item.name.clone(),
            "Description" => {
                let line = item.description.replace(['\n', '\r'], " ");
                if self.full { line } else { ellipsis(&line, WIDTH) }
            }
            "StarCount" => item.star_count.to_string(),
            "IsOfficial" => mark(item.is_official),
            "IsAutomated" => mark(item.is_automated),
            _ => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_term_may_begin_with_a_registry() {
        assert_eq!(registry("alpine"), DEFAULT_REGISTRY);
        assert_eq!(registry("me/app"), DEFAULT_REGISTRY);
        assert_eq!(registry("localhost:5000/app"), "localhost:5000");
    }
}
