//! `network exposure`.

use dhow_api::network::Exposure;

use super::ps::FORMAT;
use crate::command::{Arguments, Command};
use crate::failure::Outcome;
use crate::flags::{Flag, Parsed};
use crate::format::{Column, Format, Row, short_id, show};
use crate::output;
use crate::session::Session;

pub(super) static EXPOSURE: Command = Command {
    names: &["network exposure"],
    usage: "[OPTIONS]",
    summary: "Show what is reachable from where, and why",
    flags: &[&[FORMAT, Flag::bool("no-trunc", "Cut nothing off")]],
    arguments: Arguments::None,
    interspersed: true,
    run: |session, flags| Box::pin(run(session, flags)),
};

async fn run(session: &Session, flags: &Parsed) -> Outcome {
    let ways = session.client().await?.network_exposure().await?;
    let full = flags.on("no-trunc");
    let rows: Vec<Line> = ways.into_iter().map(|way| Line { way, full }).collect();
    let asked = flags.some("format").unwrap_or("table");
    output::text(&show(&rows, &Format::new(asked, &["Name", "Way", "At", "To", "From", "Why"]))?)?;
    Ok(0)
}

/// A way to a container.
struct Line {
    way: Exposure,
    full: bool,
}

impl Row for Line {
    const KIND: &'static str = "*network.exposureContext";
    const COLUMNS: &'static [Column] = &[
        Column { name: "Container", header: "CONTAINER ID" },
        Column { name: "Name", header: "CONTAINER" },
        Column { name: "Way", header: "WAY" },
        Column { name: "At", header: "AT" },
        Column { name: "To", header: "TO" },
        Column { name: "Network", header: "NETWORK" },
        Column { name: "From", header: "REACHABLE FROM" },
        Column { name: "Why", header: "WHY" },
    ];

    fn field(&self, name: &str) -> String {
        let way = &self.way;
        match name {
            "Container" if self.full => way.container.clone(),
            "Container" => short_id(&way.container).to_owned(),
            "Name" => way.name.clone(),
            "Way" => way.way.clone(),
            "At" => way.at.clone(),
            "To" => way.to.clone(),
            "Network" => way.network.clone(),
            "From" if way.from.is_empty() => "nowhere".to_owned(),
            "From" => way.from.join(", "),
            _ => way.why.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_is_a_row() {
        let open = Exposure {
            name: "web".into(),
            way: "published".into(),
            at: "0.0.0.0:80/tcp".into(),
            from: vec!["this host".into(), "10.0.0.0/8".into()],
            ..Exposure::default()
        };
        let rows = [Line { way: open, full: false }, Line { way: Exposure::default(), full: false }];
        let text = show(&rows, &Format::new("{{.Name}} {{.At}} {{.From}}", &["Name"])).unwrap();
        assert_eq!(text, "web 0.0.0.0:80/tcp this host, 10.0.0.0/8\n  nowhere\n");
    }
}
