//! `inspect`, `container inspect`, `image inspect`, `network inspect`, `volume inspect`.

use dhow_client::Client;
use dhow_errdefs::{Class, Error, Result, message};

use crate::command::{Arguments, Command};
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Parsed};
use crate::format::{Document, compact, indent};
use crate::output;
use crate::platform;
use crate::session::Session;

pub(super) static INSPECT: Command = Command {
    names: &["inspect"],
    usage: "[OPTIONS] NAME|ID [NAME|ID...]",
    summary: "Show everything about containers, images and more",
    flags: &[&[FORMAT, SIZE, Flag::text("type", "Only look among things of this kind")]],
    arguments: Arguments::AtLeast(1),
    interspersed: true,
    run: |session, flags| Box::pin(run(session, flags, flags.text("type"), "")),
};

pub(super) static CONTAINER_INSPECT: Command = Command {
    names: &["container inspect"],
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    summary: "Show everything about containers",
    flags: &[&[FORMAT, SIZE]],
    arguments: Arguments::AtLeast(1),
    interspersed: true,
    run: |session, flags| Box::pin(run(session, flags, "container", "")),
};

pub(super) static IMAGE_INSPECT: Command = Command {
    names: &["image inspect"],
    usage: "[OPTIONS] IMAGE [IMAGE...]",
    summary: "Show everything about images",
    flags: &[&[FORMAT, Flag::text("platform", "Only if the image is for this platform").since(49), SIZE.hidden()]],
    arguments: Arguments::AtLeast(1),
    interspersed: true,
    run: |session, flags| Box::pin(run(session, flags, "image", flags.text("platform"))),
};

pub(super) static NETWORK_INSPECT: Command = Command {
    names: &["network inspect"],
    usage: "[OPTIONS] NETWORK [NETWORK...]",
    summary: "Show everything about networks",
    flags: &[&[FORMAT, SIZE.hidden(), Flag::bool("verbose", "Show tasks and services too (clusters)").short(b'v')]],
    arguments: Arguments::AtLeast(1),
    interspersed: true,
    run: |session, flags| Box::pin(run(session, flags, "network", "")),
};

pub(super) static VOLUME_INSPECT: Command = Command {
    names: &["volume inspect"],
    usage: "[OPTIONS] VOLUME [VOLUME...]",
    summary: "Show everything about volumes",
    flags: &[&[FORMAT, SIZE.hidden()]],
    arguments: Arguments::AtLeast(1),
    interspersed: true,
    run: |session, flags| Box::pin(run(session, flags, "volume", "")),
};

pub(super) const FORMAT: Flag =
    Flag::text("format", "How to print:\n'json':             JSON on one line\n'TEMPLATE':         a Go template")
        .short(b'f');

const SIZE: Flag = Flag::bool("size", "Show what containers take on disk").short(b's');

/// Kinds of things, in the order they are tried.
const KINDS: [&str; 4] = ["container", "image", "network", "volume"];

/// Kinds Docker has and this client does not show.
const OTHER_KINDS: [&str; 6] = ["config", "node", "plugin", "secret", "service", "task"];

async fn run(session: &Session, flags: &Parsed, kind: &str, platform: &str) -> Outcome {
    if !kind.is_empty() && !KINDS.contains(&kind) {
        let mut known = [&KINDS[..], &OTHER_KINDS[..]].concat();
        known.sort_unstable();
        let known: Vec<String> = known.iter().map(|kind| format!("{kind:?}")).collect();
        return Err(Error::invalid(format!("unknown type: {kind:?}: must be one of {}", known.join(", "))).into());
    }
    let format = flags.text("format");
    check_template(format)?;
    let wanted = Wanted { size: flags.on("size"), platform: platform::written(platform).map_err(Error::invalid)? };
    let client = session.client().await?;
    let (mut shown, mut failures) = (Vec::new(), Vec::new());
    for name in &flags.args {
        match find(client, kind, name, &wanted).await.and_then(|(kind, text)| show(&document(kind, text), format)) {
            Ok(text) => shown.push(text),
            Err(error) => failures.push(error.to_string()),
        }
    }
    output::text(&joined(&shown, format))?;
    if failures.is_empty() { Ok(0) } else { Err(Failure::text(failures.join("\n"))) }
}

/// A template that is none is found out before anything is asked.
fn check_template(format: &str) -> Result<(), Failure> {
    if matches!(format, "" | "json") {
        return Ok(());
    }
    Document::check(format).map_err(|error| Failure::Text(error.to_string(), 64))
}

/// What is asked about a thing, beside its name.
struct Wanted {
    /// What a container takes on disk, too.
    size: bool,
    /// The platform that an image must be for, as the API has it.
    platform: String,
}

/// Finds out which kind of thing it is, and everything about it.
async fn find(client: &Client, kind: &str, name: &str, wanted: &Wanted) -> Result<(&'static str, String)> {
    for one in KINDS.iter().filter(|one| kind.is_empty() || kind == **one) {
        match ask(client, one, name, wanted).await {
            Ok(text) => return Ok((one, String::from_utf8_lossy(&text).into_owned())),
            Err(error) if kind.is_empty() && !name.trim().is_empty() && may_be_another_kind(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Err(Error::not_found(format!("Error: No such object: {name}")))
}

fn may_be_another_kind(error: &Error) -> bool {
    // A name that means several things of one kind is to be said longer, not looked for elsewhere.
    let ambiguous = error.to_string().contains(&message::ambiguous_prefix(""));
    !ambiguous && matches!(error.class(), Class::NotFound | Class::NotImplemented | Class::InvalidArgument)
}

async fn ask(client: &Client, kind: &str, name: &str, wanted: &Wanted) -> Result<Vec<u8>> {
    match kind {
        "container" => client.container_inspect_raw(name, wanted.size).await,
        // An image without a name is one that is not there, in Docker's words.
        "image" if name.is_empty() => Err(Error::not_found("Error: No such image: ")),
        "image" => client.image_inspect_raw(name, &wanted.platform).await,
        "network" => client.raw(&format!("/networks/{}", dhow_api::query::encode(name.trim()))).await,
        _ => client.raw(&format!("/volumes/{}", dhow_api::query::encode(name.trim()))).await,
    }
}

/// A thing as Docker's client has it.
fn document(kind: &str, text: String) -> Document {
    match kind {
        "container" => Document::new(text, "container.InspectResponse").or_plain(),
        "image" => Document::new(text, "image.InspectResponse").or_plain(),
        "network" => Document::new(text, "network.Inspect").or_plain(),
        _ => Document::new(text, "volume.Volume").or_own_fields(&["Protected"]),
    }
}

pub(super) fn show(document: &Document, format: &str) -> Result<String> {
    match format {
        "" => Ok(indent(document.text(), "    ")),
        "json" => Ok(compact(document.text()).0),
        template => document.execute(template),
    }
}

pub(super) fn joined(shown: &[String], format: &str) -> String {
    match (format, shown) {
        ("", []) => "[]\n".into(),
        ("", _) => {
            let items: Vec<String> = shown.iter().map(|text| format!("    {text}")).collect();
            format!("[\n{}\n]\n", items.join(",\n"))
        }
        ("json", _) => format!("[{}]\n", shown.join(",")),
        (_, []) => "\n".into(),
        _ => shown.iter().map(|text| format!("{text}\n")).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_things_are_one_list() {
        let shown: Vec<String> =
            ["{\"a\":1}", "{}"].iter().map(|text| show(&document("volume", (*text).to_owned()), "").unwrap()).collect();
        assert_eq!(joined(&shown, ""), "[\n    {\n        \"a\": 1\n    },\n    {}\n]\n");
        assert_eq!(joined(&[], ""), "[]\n");
        assert_eq!(joined(&["{}".into(), "{}".into()], "json"), "[{},{}]\n");
        assert_eq!(joined(&[], "{{.Id}}"), "\n");
        assert_eq!(joined(&["a".into(), "b".into()], "{{.Id}}"), "a\nb\n");
    }

    #[test]
    fn a_bad_template_is_found_before_asking() {
        let Err(Failure::Text(text, code)) = check_template("{{") else { panic!("accepted") };
        assert_eq!((text.as_str(), code), ("template parsing error: template: :1: unclosed action", 64));
        assert!(check_template("{{.Id}}").is_ok());
    }
}
