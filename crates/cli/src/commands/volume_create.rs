//! `volume create`.

use std::collections::BTreeMap;

use dhow_api::volume::CreateRequest;
use dhow_errdefs::Error;
use serde_json::{Value, json};

use crate::command::{Arguments, Command};
use crate::failure::Outcome;
use crate::flags::{Flag, Parsed};
use crate::format::parse_bytes;
use crate::options::{check_label, pair};
use crate::output;
use crate::session::Session;

pub(super) static CREATE: Command = Command {
    names: &["volume create"],
    usage: "[OPTIONS] [VOLUME]",
    summary: "Make a volume",
    flags: &[
        &[
            Flag::text("driver", "Who keeps its content").short(b'd').default("local"),
            Flag::list("label", "Add a label to it").check(check_label),
            Flag::text("name", "Its name").hidden(),
            Flag::list("opt", "Options of its driver (name=value)").short(b'o').placeholder("map"),
        ],
        OF_CLUSTERS,
    ],
    arguments: Arguments::AtMost(1),
    interspersed: true,
    run: |session, flags| Box::pin(run(session, flags)),
};

/// Flags that make a volume of a cluster.
const OF_CLUSTERS: &[Flag] = &[
    super::volume_update::AVAILABILITY,
    Flag::text("group", "Group of the volume (clusters)").since(42),
    Flag::checked("limit-bytes", "bytes", check_bytes, "Most bytes it may have (clusters)").since(42),
    Flag::checked("required-bytes", "bytes", check_bytes, "Fewest bytes it must have (clusters)").since(42),
    Flag::text("scope", "Who may use it at a time, \"single\" or \"multi\" (clusters)").since(42).default("single"),
    Flag::list("secret", "Secrets of the volume (clusters)").since(42).placeholder("map"),
    Flag::text("sharing", "How it is shared: \"none\", \"readonly\", \"onewriter\" or \"all\" (clusters)")
        .since(42)
        .default("none"),
    Flag::list("topology-preferred", "Where it had better be (clusters)").since(42),
    Flag::list("topology-required", "Where it has to be (clusters)").since(42),
    Flag::text("type", "How it is used, \"mount\" or \"block\" (clusters)").since(42).default("block"),
];

fn check_bytes(text: &str) -> Result<(), String> {
    parse_bytes(text).map(drop)
}

async fn run(session: &Session, flags: &Parsed) -> Outcome {
    let request = request(flags)?;
    output::line(&session.client().await?.volume_create(&request).await?.name)?;
    Ok(0)
}

fn request(flags: &Parsed) -> Result<CreateRequest, Error> {
    let name = match (flags.text("name"), flags.args.first()) {
        ("", argument) => argument.cloned().unwrap_or_default(),
        (name, None) => name.to_owned(),
        _ => {
            let text = "conflicting options: cannot specify a volume-name through both --name and as a positional arg";
            return Err(Error::invalid(text));
        }
    };
    let pairs = |flag: &str| flags.list(flag).map(pair).collect::<BTreeMap<_, _>>();
    let given = |pairs: BTreeMap<_, _>| (!pairs.is_empty()).then_some(pairs);
    Ok(CreateRequest {
        name,
        driver: flags.text("driver").to_owned(),
        driver_opts: given(pairs("opt")),
        labels: given(pairs("label")),
        cluster_volume_spec: OF_CLUSTERS.iter().any(|flag| flags.has(flag.long)).then(|| of_cluster(flags)),
    })
}

fn of_cluster(flags: &Parsed) -> Value {
    let bytes = |flag: &str| parse_bytes(flags.text(flag)).unwrap_or_default();
    let topologies = |flag: &str| -> Vec<Value> {
        flags
            .list(flag)
            .map(|text| json!({"Segments": text.split(',').map(pair).collect::<BTreeMap<_, _>>()}))
            .collect()
    };
    let secrets: Vec<Value> =
        flags.list("secret").map(pair).map(|(key, secret)| json!({"Key": key, "Secret": secret})).collect();
    let mut access = json!({"Scope": flags.text("scope"), "Sharing": flags.text("sharing")});
    let kind = if flags.text("type") == "mount" { "MountVolume" } else { "BlockVolume" };
    access[kind] = json!({});
    json!({
        "Group": flags.text("group"),
        "AccessMode": access,
        "AccessibilityRequirements":
            {"Requisite": topologies("topology-required"), "Preferred": topologies("topology-preferred")},
        "CapacityRange": {"RequiredBytes": bytes("required-bytes"), "LimitBytes": bytes("limit-bytes")},
        "Secrets": secrets,
        "Availability": flags.text("availability"),
    })
}
