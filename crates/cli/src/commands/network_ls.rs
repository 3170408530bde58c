//! `network ls`.

use std::collections::BTreeMap;

use dhow_api::network::Network;

use super::ps::{FILTER, FORMAT, filters, pairs};
use super::volume_ls::natural;
use crate::command::{Arguments, Command};
use crate::failure::Outcome;
use crate::flags::{Flag, Parsed};
use crate::format::{Column, Format, Row, go_time, short_id, show, show_names};
use crate::output;
use crate::session::Session;

pub(super) static LS: Command = Command {
    names: &["network ls", "network list"],
    usage: "[OPTIONS]",
    summary: "List networks",
    flags: &[&[
        FILTER,
        FORMAT,
        Flag::bool("no-trunc", "Cut nothing off"),
        Flag::bool("quiet", "Only show IDs").short(b'q'),
    ]],
    arguments: Arguments::None,
    interspersed: true,
    run: |session, flags| Box::pin(run(session, flags)),
};

async fn run(session: &Session, flags: &Parsed) -> Outcome {
    let mut networks = session.client().await?.network_list(&filters(flags)).await?;
    networks.sort_by(|one, other| natural(&one.name, &other.name));
    let full = flags.on("no-trunc");
    let rows: Vec<Line> = networks.into_iter().map(|network| Line { network, full }).collect();
    if flags.on("quiet") {
        output::text(&show_names(&rows, flags.some("format"), "ID")?)?;
        return Ok(0);
    }
    let asked = flags.some("format").or_else(|| session.config().networks_format()).unwrap_or("table");
    output::text(&show(&rows, &Format::new(asked, &["ID", "Name", "Driver", "Scope"]))?)?;
    Ok(0)
}

/// A network in a list.
struct Line {
    network: Network,
    full: bool,
}

impl Row for Line {
    const KIND: &'static str = "*network.networkContext";
    const RAW: Option<&'static str> =
        Some("network_id: {{.ID}}\nname: {{.Name}}\ndriver: {{.Driver}}\nscope: {{.Scope}}\n");
    const COLUMNS: &'static [Column] = &[
        Column { name: "ID", header: "NETWORK ID" },
        Column { name: "Name", header: "NAME" },
        Column { name: "Driver", header: "DRIVER" },
        Column { name: "Scope", header: "SCOPE" },
        Column { name: "IPv4", header: "IPV4" },
        Column { name: "IPv6", header: "IPV6" },
        Column { name: "Internal", header: "INTERNAL" },
        Column { name: "Labels", header: "LABELS" },
        Column { name: "CreatedAt", header: "CREATED AT" },
    ];

    fn field(&self, name: &str) -> String {
        let network = &self.network;
        match name {
            "ID" if self.full => network.id.clone(),
            "ID" => short_id(&network.id).to_owned(),
            "Name" => network.name.clone(),
            "Driver" => network.driver.clone(),
            "Scope" => network.scope.clone(),
            "IPv4" => network.enable_ipv4.to_string(),
            "IPv6" => network.enable_ipv6.to_string(),
            "Internal" => network.internal.to_string(),
            "Labels" => pairs(&network.labels),
            _ => go_time(&network.created),
        }
    }

    fn labels(&self) -> Option<&BTreeMap<String, String>> {
        Some(&self.network.labels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_dockers_fields() {
        let labels = [("tier".to_owned(), "web".to_owned())].into();
        let network = Network { id: "0123456789abcdef".into(), name: "front".into(), labels, ..Network::default() };
        let row = [Line { network, full: false }];
        let shown = |format: &str| show(&row, &Format::new(format, &["ID", "Name", "Driver", "Scope"])).unwrap();
        assert!(shown("table").starts_with("NETWORK ID     NAME      DRIVER    SCOPE\n0123456789ab   front"));
        assert_eq!(shown("{{.ID}} {{.Label \"tier\"}} {{.Labels}} {{.IPv6}}"), "0123456789ab web tier=web false\n");
    }
}
