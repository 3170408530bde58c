//! `volume ls`.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::ps::{FILTER, FORMAT, filters};
use crate::command::{Arguments, Command};
use crate::failure::Outcome;
use crate::flags::{Flag, Parsed};
use crate::format::{Column, Format, Row, decimal, show, show_names};
use crate::output;
use crate::session::Session;

pub(super) static LS: Command = Command {
    names: &["volume ls", "volume list"],
    usage: "[OPTIONS]",
    summary: "List volumes",
    flags: &[&[
        Flag::bool("cluster", "Only volumes of clusters").since(42),
        FILTER,
        FORMAT,
        Flag::bool("quiet", "Only show names").short(b'q'),
    ]],
    arguments: Arguments::None,
    interspersed: true,
    run: |session, flags| Box::pin(run(session, flags)),
};

async fn run(session: &Session, flags: &Parsed) -> Outcome {
    let answer = session.client().await?.volume_list(&filters(flags)).await?;
    let (mut volumes, cluster) = (answer.volumes, flags.on("cluster"));
    volumes.sort_by(|one, other| natural(&one.name, &other.name));
    // Those of clusters are told by a part of the answer that no volume here has.
    volumes.retain(|_| !cluster);
    let rows: Vec<Volume> = volumes.iter().map(Volume).collect();
    if flags.on("quiet") {
        output::text(&show_names(&rows, flags.some("format"), "Name")?)?;
        return Ok(0);
    }
    let columns: &[&str] = match cluster {
        true => &["Name", "Group", "Driver", "Availability", "Status"],
        false => &["Driver", "Name"],
    };
    let asked = flags.some("format").or_else(|| session.config().volumes_format()).unwrap_or("table");
    output::text(&show(&rows, &Format::new(asked, columns))?)?;
    for warning in answer.warnings.unwrap_or_default() {
        output::note(&format!("WARNING: {warning}"));
    }
    Ok(0)
}

/// A volume in a list.
pub(super) struct Volume<'a>(pub(super) &'a dhow_api::volume::Volume);

impl Row for Volume<'_> {
    const KIND: &'static str = "*formatter.volumeContext";
    const RAW: Option<&'static str> = Some("name: {{.Name}}\ndriver: {{.Driver}}\n");
    const COLUMNS: &'static [Column] = &[
        Column { name: "Name", header: "VOLUME NAME" },
        Column { name: "Driver", header: "DRIVER" },
        Column { name: "Scope", header: "SCOPE" },
        Column { name: "Mountpoint", header: "MOUNTPOINT" },
        Column { name: "Labels", header: "LABELS" },
        Column { name: "Links", header: "LINKS" },
        Column { name: "Size", header: "SIZE" },
        Column { name: "Group", header: "GROUP" },
        Column { name: "Availability", header: "AVAILABILITY" },
        Column { name: "Status", header: "STATUS" },
    ];
    const OWN: &'static [Column] = &[Column { name: "Protected", header: "PROTECTED" }];

    #[allow(clippy::cast_precision_loss, reason = "four digits are shown")]
    fn field(&self, name: &str) -> String {
        let volume = self.0;
        let data = volume.usage_data.as_ref();
        let unknown = || "N/A".to_owned();
        match name {
            "Name" => volume.name.clone(),
            "Driver" => volume.driver.clone(),
            "Scope" => volume.scope.clone(),
            "Protected" => volume.protected.to_string(),
            "Mountpoint" => volume.mountpoint.clone(),
            "Labels" => {
                let labels = volume.labels.iter().flatten().map(|(name, value)| format!("{name}={value}"));
                labels.collect::<Vec<_>>().join(",")
            }
            "Links" => data.map_or_else(unknown, |data| data.ref_count.to_string()),
            "Size" => data.filter(|data| data.size >= 0).map_or_else(unknown, |data| decimal(data.size as f64)),
            // Only volumes of clusters have them.
            _ => unknown(),
        }
    }

    fn json(&self, name: &str) -> Option<&'static str> {
        (name == "Protected").then_some(if self.0.protected { "true" } else { "false" })
    }

    fn labels(&self) -> Option<&BTreeMap<String, String>> {
        static NONE: BTreeMap<String, String> = BTreeMap::new();
        Some(self.0.labels.as_ref().unwrap_or(&NONE))
    }
}

/// `v2` before `v10`: numbers in names are compared as such.
pub(super) fn natural(one: &str, other: &str) -> Ordering {
    let (mut left, mut right) = (one, other);
    loop {
        let (Some(a), Some(b)) = (left.chars().next(), right.chars().next()) else {
            return left.len().cmp(&right.len()).then_with(|| one.cmp(other));
        };
        let (x, y) = (number(left), number(right));
        if x.is_empty() || y.is_empty() {
            if a != b {
                return a.cmp(&b);
            }
            (left, right) = (&left[a.len_utf8()..], &right[b.len_utf8()..]);
            continue;
        }
        let (short, long) = (x.trim_start_matches('0'), y.trim_start_matches('0'));
        let order = short.len().cmp(&long.len()).then_with(|| short.cmp(long));
        if order != Ordering::Equal {
            return order;
        }
        (left, right) = (&left[x.len()..], &right[y.len()..]);
    }
}

/// The digits that a text begins with.
fn number(text: &str) -> &str {
    &text[..text.bytes().take_while(u8::is_ascii_digit).count()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_are_numbers() {
        let mut names = ["v10", "v2", "v02", "a", "v2x", "v", "\u{fc}1"];
        names.sort_by(|one, other| natural(one, other));
        assert_eq!(names, ["a", "v", "v02", "v2", "v2x", "v10", "\u{fc}1"]);
    }
}
