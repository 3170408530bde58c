//! `ps`.

use std::collections::BTreeMap;

use dhow_api::container::{Port, Summary};
use dhow_api::query::Filters;
use dhow_client::Listing;

use crate::command::{Arguments, Command};
use crate::failure::Outcome;
use crate::flags::{Flag, Parsed};
use crate::format::{Column, Format, Row, decimal_3, ellipsis, local, short_id, show, since_then};
use crate::output;
use crate::session::Session;

pub(super) static PS: Command = Command {
    names: &["container ls", "container list", "container ps", "ps"],
    usage: "[OPTIONS]",
    summary: "List containers",
    flags: &[&[
        Flag::bool("all", "Show stopped ones too").short(b'a'),
        FILTER,
        FORMAT,
        Flag::int("last", "Show the newest ones, so many, in any state").short(b'n').default("-1"),
        Flag::bool("latest", "Show the newest one, in any state").short(b'l'),
        Flag::bool("no-trunc", "Cut nothing off"),
        Flag::bool("quiet", "Only show IDs").short(b'q'),
        Flag::bool("size", "Show what they take on disk").short(b's'),
    ]],
    arguments: Arguments::None,
    interspersed: true,
    run: |session, flags| Box::pin(run(session, flags)),
};

/// `--filter`, which several commands have.
pub(super) const FILTER: Flag =
    Flag::list("filter", "Only what matches (name=value)").short(b'f').placeholder("filter").check(check_filter);

/// `--format`, which several commands have.
pub(super) const FORMAT: Flag = Flag::text(
    "format",
    "How to print:\n'table':            a table with heads (default)\n'table TEMPLATE':   a table whose columns a Go template gives\n'json':             JSON\n'TEMPLATE':         a Go template",
);

fn check_filter(text: &str) -> Result<(), String> {
    match text.is_empty() || text.contains('=') {
        true => Ok(()),
        false => Err("bad format of filter (expected name=value)".into()),
    }
}

/// What `--filter` asks for.
pub(super) fn filters(flags: &Parsed) -> Filters {
    let mut filters = Filters::new();
    for (key, value) in flags.list("filter").filter_map(|text| text.split_once('=')) {
        filters.entry(key.trim().to_lowercase()).or_default().push(value.trim().to_owned());
    }
    filters
}

const COLUMNS: [&str; 8] = ["ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names", "Size"];

async fn run(session: &Session, flags: &Parsed) -> Outcome {
    let (quiet, size) = (flags.on("quiet"), flags.on("size"));
    let asked = flags.some("format").or_else(|| session.config().ps_format()).unwrap_or("table");
    if quiet && flags.some("format").is_some() {
        output::note("WARNING: Ignoring custom format, because both --format and --quiet are set.");
    }
    let limit = match flags.number("last") {
        -1 if flags.on("latest") => 1,
        last => last,
    };
    let listing = Listing {
        all: flags.on("all"),
        limit,
        size: size || asked.contains(".Size") || asked == "{{json .}}",
        filters: filters(flags),
    };
    let client = session.client().await?;
    let containers = match quiet || asked == "table" {
        true => client.container_list_lean(&listing).await?,
        false => client.container_list(&listing).await?,
    };
    let full = flags.on("no-trunc");
    let rows: Vec<Container> = containers.into_iter().map(|summary| Container { summary, full }).collect();
    if quiet {
        let ids: String = rows.iter().map(|row| row.field("ID") + "\n").collect();
        output::text(&ids)?;
        return Ok(0);
    }
    let columns = if size { &COLUMNS[..] } else { &COLUMNS[..7] };
    output::text(&show(&rows, &Format::new(asked, columns))?)?;
    Ok(0)
}

/// A container in a list.
pub(super) struct Container {
    pub(super) summary: Summary,
    pub(super) full: bool,
}

impl Row for Container {
    const KIND: &'static str = "*formatter.ContainerContext";
    const FAULTS: [&'static str; 2] = ["failed to parse template", "failed to execute template"];
    const RAW: Option<&'static str> = Some(
        "container_id: {{.ID}}\nimage: {{.Image}}\ncommand: {{.Command}}\ncreated_at: {{.CreatedAt}}\nstate: {{.State}}\n\
         status: {{.Status}}\nnames: {{.Names}}\nlabels:{{pad .Labels 1 0}}\nports:{{pad .Ports 1 0}}\n",
    );
    const COLUMNS: &'static [Column] = &[
        Column { name: "ID", header: "CONTAINER ID" },
        Column { name: "Names", header: "NAMES" },
        Column { name: "Image", header: "IMAGE" },
        Column { name: "Command", header: "COMMAND" },
        Column { name: "CreatedAt", header: "CREATED AT" },
        Column { name: "RunningFor", header: "CREATED" },
        Column { name: "Platform", header: "PLATFORM" },
        Column { name: "Ports", header: "PORTS" },
        Column { name: "State", header: "STATE" },
        Column { name: "Status", header: "STATUS" },
        Column { name: "Size", header: "SIZE" },
        Column { name: "Labels", header: "LABELS" },
        Column { name: "Mounts", header: "MOUNTS" },
        Column { name: "LocalVolumes", header: "LOCAL VOLUMES" },
        Column { name: "Networks", header: "NETWORKS" },
    ];

    fn field(&self, name: &str) -> String {
        let mut text = String::new();
        self.put(name, &mut text);
        text
    }

    fn put(&self, name: &str, text: &mut String) {
        let summary = &self.summary;
        match name {
            "ID" if self.full => text.push_str(&summary.id),
            "ID" => text.push_str(short_id(&summary.id)),
            "Names" => self.names(text),
            "Image" => text.push_str(self.image()),
            "Command" if self.full => go_quote(&summary.command, text),
            "Command" => go_quote(&ellipsis(&summary.command, 20), text),
            "CreatedAt" => text.push_str(&local(summary.created)),
            "RunningFor" => text.push_str(&since_then(summary.created)),
            "Ports" => text.push_str(&ports(&summary.ports)),
            "State" => text.push_str(&summary.state),
            "Status" => text.push_str(&summary.status),
            "Size" => text.push_str(&self.size()),
            "Labels" => text.push_str(&pairs(&summary.labels)),
            "Mounts" => text.push_str(&self.mounts()),
            "LocalVolumes" => text.push_str(&self.local_volumes().to_string()),
            "Networks" => {
                text.push_str(&summary.network_settings.networks.keys().cloned().collect::<Vec<_>>().join(","))
            }
            _ => {}
        }
    }

    fn json(&self, name: &str) -> Option<&'static str> {
        (name == "Platform").then_some("null")
    }

    fn labels(&self) -> Option<&BTreeMap<String, String>> {
        Some(&self.summary.labels)
    }
}

impl Container {
    /// Names without their slash; those of links only in full.
    fn names(&self, text: &mut String) {
        let names = self.summary.names.iter().map(|name| name.strip_prefix('/').unwrap_or(name));
        for (index, name) in names.filter(|name| self.full || !name.contains('/')).enumerate() {
            text.extend([if index > 0 { "," } else { "" }, name]);
        }
    }

    fn image(&self) -> &str {
        let image = self.summary.image.as_str();
        match image.split_once('@') {
            _ if image.is_empty() => "<no image>",
            _ if self.full => image,
            _ if short_id(image) == short_id(&self.summary.image_id) => short_id(image),
            Some((name, _)) if !name.is_empty() => name,
            _ => image,
        }
    }

    fn size(&self) -> String {
        #[allow(clippy::cast_precision_loss, reason = "three digits are shown")]
        let words = |bytes: i64| decimal_3(bytes as f64);
        match self.summary.size_root_fs {
            0 => words(self.summary.size_rw),
            all => format!("{} (virtual {})", words(self.summary.size_rw), words(all)),
        }
    }

    fn local_volumes(&self) -> usize {
        self.summary.mounts.iter().filter(|mount| mount.driver == "local").count()
    }

    fn mounts(&self) -> String {
        let names = self.summary.mounts.iter().map(|mount| {
            let name = if mount.name.is_empty() { &mount.source } else { &mount.name };
            if self.full { name.clone() } else { ellipsis(name, 15) }
        });
        names.collect::<Vec<_>>().join(",")
    }
}

/// `a=1,b=2`.
pub(super) fn pairs(labels: &BTreeMap<String, String>) -> String {
    labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

/// Go's `strconv.Quote`.
fn go_quote(word: &str, text: &mut String) {
    text.push('"');
    for c in word.chars() {
        match c {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\t' => text.push_str("\\t"),
            '\r' => text.push_str("\\r"),
            '\x07' => text.push_str("\\a"),
            '\x08' => text.push_str("\\b"),
            '\x0b' => text.push_str("\\v"),
            '\x0c' => text.push_str("\\f"),
            c if u32::from(c) < 0x20 || c == '\x7f' => text.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => text.push(c),
        }
    }
    text.push('"');
}

/// `90-92/tcp, 0.0.0.0:8080->80/tcp`, in Docker's order: ports in a row that have the same number outside, or none, are put
/// together; those that have another number come last.
fn ports(ports: &[Port]) -> String {
    let mut sorted: Vec<&Port> = ports.iter().collect();
    sorted.sort_by_key(|port| (port.private_port, port.ip.clone(), port.public_port, port.kind.clone()));
    let (mut shown, mut rows, mut moved): (Vec<String>, Vec<(&Port, u16)>, Vec<String>) = Default::default();
    for port in sorted {
        if !port.ip.is_empty() && port.public_port != port.private_port {
            moved.push(row(port, port.private_port));
            continue;
        }
        match rows.iter_mut().find(|(first, _)| (&first.ip, &first.kind) == (&port.ip, &port.kind)) {
            Some((_, last)) if last.checked_add(1) == Some(port.private_port) => *last += 1,
            Some(ended) => {
                shown.push(row(ended.0, ended.1));
                *ended = (port, port.private_port);
            }
            None => rows.push((port, port.private_port)),
        }
    }
    shown.extend(rows.iter().map(|(first, last)| row(first, *last)));
    shown.extend(moved);
    shown.join(", ")
}

/// Ports in a row, from the first one to the one with that number in the container.
fn row(first: &Port, last: u16) -> String {
    let more = last - first.private_port;
    let span = |start: u16| if more == 0 { start.to_string() } else { format!("{start}-{}", start + more) };
    let private = format!("{}/{}", span(first.private_port), first.kind);
    match (first.ip.as_str(), first.ip.contains(':')) {
        ("", _) => private,
        (ip, true) => format!("[{ip}]:{}->{private}", span(first.public_port)),
        (ip, false) => format!("{ip}:{}->{private}", span(first.public_port)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container() -> Container {
        let text =
            br#"{"Id":"ecacf71d81752a1623ad7125fd4d082941b6ad430a19e826cbb5a6852ef93a2a","Names":["/c1","/other/link"],
            "Image":"busybox","Command":"sh -c 'echo \"a\"' and more","State":"running","Status":"Up 3 seconds",
            "SizeRw":0,"SizeRootFs":1982389,"Labels":{"b":"2","a":"1"},
            "Mounts":[{"Type":"volume","Name":"0123456789abcdef","Driver":"local"}]}"#;
        Container { summary: dhow_api::json::from_slice(text).unwrap(), full: false }
    }

    fn port(ip: &str, private: u16, public: u16) -> Port {
        Port { ip: ip.into(), private_port: private, public_port: public, kind: "tcp".into() }
    }

    #[test]
    fn fields_are_dockers() {
        let container = container();
        for (name, text) in [
            ("ID", "ecacf71d8175"),
            ("Names", "c1"),
            ("Command", "\"sh -c 'echo \\\"a\\\"' an…\""),
            ("Size", "0B (virtual 1.98MB)"),
            ("Labels", "a=1,b=2"),
            ("Mounts", "0123456789abcd…"),
            ("LocalVolumes", "1"),
        ] {
            assert_eq!(container.field(name), text, "{name}");
        }
        let full = Container { full: true, ..container };
        assert_eq!(full.field("Names"), "c1,other/link");
    }

    #[test]
    fn ports_in_a_row_are_one() {
        let list = [port("0.0.0.0", 80, 8080), port("", 92, 0), port("", 90, 0), port("", 91, 0), port("::", 443, 443)];
        assert_eq!(ports(&list), "90-92/tcp, [::]:443->443/tcp, 0.0.0.0:8080->80/tcp");
        assert_eq!(ports(&[port("0.0.0.0", 1, 1), port("0.0.0.0", 2, 2)]), "0.0.0.0:1-2->1-2/tcp");
    }
}
