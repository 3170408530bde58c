//! `container prune`, `image prune`, `network prune`, `volume prune` and `system prune`.

use std::io::BufRead;

use dhow_api::query::Filters;
use dhow_client::Client;
use dhow_errdefs::{Class, Error, Result};

use super::ps::{FILTER, filters};
use crate::command::{Arguments, Command};
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Parsed};
use crate::format::decimal;
use crate::output;
use crate::session::Session;

const FORCE: Flag = Flag::bool("force", "Do not ask").short(b'f');

pub(super) static CONTAINER_PRUNE: Command = Command {
    names: &["container prune"],
    usage: "[OPTIONS]",
    summary: "Remove all stopped containers",
    flags: &[&[prune_filter("Only what matches (such as 'until=<time>')"), FORCE]],
    arguments: Arguments::None,
    interspersed: true,
    run: |session, flags| Box::pin(containers(session, flags)),
};

pub(super) static IMAGE_PRUNE: Command = Command {
    names: &["image prune"],
    usage: "[OPTIONS]",
    summary: "Remove images that nobody uses",
    flags: &[&[
        Flag::bool("all", "Those with names too, if no container uses them").short(b'a'),
        prune_filter("Only what matches (such as 'until=<time>')"),
        FORCE,
    ]],
    arguments: Arguments::None,
    interspersed: true,
    run: |session, flags| Box::pin(images(session, flags)),
};

pub(super) static VOLUME_PRUNE: Command = Command {
    names: &["volume prune"],
    usage: "[OPTIONS]",
    summary: "Remove local volumes that nobody uses",
    flags: &[&[
        Flag::bool("all", "Those with names too").since(42).short(b'a'),
        prune_filter("Only what matches (such as 'label=<label>')"),
        FORCE,
    ]],
    arguments: Arguments::None,
    interspersed: true,
    run: |session, flags| Box::pin(volumes(session, flags)),
};

pub(super) static NETWORK_PRUNE: Command = Command {
    names: &["network prune"],
    usage: "[OPTIONS]",
    summary: "Remove networks that nobody uses",
    flags: &[&[prune_filter("Only what matches (such as 'until=<time>')"), FORCE]],
    arguments: Arguments::None,
    interspersed: true,
    run: |session, flags| Box::pin(networks(session, flags)),
};

pub(super) static SYSTEM_PRUNE: Command = Command {
    names: &["system prune"],
    usage: "[OPTIONS]",
    summary: "Remove everything that nobody uses",
    flags: &[&[
        Flag::bool("all", "Images with names too, if no container uses them").short(b'a'),
        prune_filter("Only what matches (such as 'label=<key>=<value>')").since(28),
        FORCE,
        Flag::bool("volumes", "Anonymous volumes too"),
    ]],
    arguments: Arguments::None,
    interspersed: true,
    run: |session, flags| Box::pin(everything(session, flags)),
};

/// `--filter`, which has no short name here.
const fn prune_filter(help: &'static str) -> Flag {
    let mut flag = FILTER;
    (flag.short, flag.help) = (None, help);
    flag
}

/// What was removed, as it is told, and how many bytes that freed.
#[derive(Default)]
struct Removed {
    text: String,
    bytes: u64,
}

impl Removed {
    /// A list under a head; nothing where nothing was removed.
    fn new(head: &str, lines: impl IntoIterator<Item = String>, bytes: u64) -> Self {
        let lines: String = lines.into_iter().map(|line| line + "\n").collect();
        if lines.is_empty() { Self::default() } else { Self { text: format!("{head}:\n{lines}"), bytes } }
    }

    fn tell(&self) -> std::io::Result<()> {
        if self.text.is_empty() { Ok(()) } else { output::line(&self.text) }
    }
}

#[allow(clippy::cast_precision_loss, reason = "four digits are shown")]
fn tell_total(bytes: u64) -> std::io::Result<()> {
    output::line(&format!("Total reclaimed space: {}", decimal(bytes as f64)))
}

/// Asks, unless somebody has decided before. Only `y` is yes.
fn confirm(flags: &Parsed, warning: &str) -> std::result::Result<(), Failure> {
    if flags.on("force") {
        return Ok(());
    }
    output::text(&format!("{warning}\nAre you sure you want to continue? [y/N] "))?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    match answer.trim().eq_ignore_ascii_case("y") {
        true => Ok(()),
        // As Docker: who says no has got what was wanted.
        false => Err(Failure::Text(String::new(), 0)),
    }
}

/// The flag's filters and those of the configuration. One that contradicts what was typed does not count.
fn wanted(session: &Session, flags: &Parsed) -> Filters {
    let mut wanted = filters(flags);
    for (key, value) in session.config().prune_filters().filter_map(|filter| filter.split_once('=')) {
        let opposite = match key {
            "label" => "label!",
            "label!" => "label",
            _ => "",
        };
        if !wanted.get(opposite).is_some_and(|values| values.iter().any(|other| other == value)) {
            wanted.entry(key.to_owned()).or_default().push(value.to_owned());
        }
    }
    wanted
}

async fn containers(session: &Session, flags: &Parsed) -> Outcome {
    confirm(flags, "WARNING! This will remove all stopped containers.")?;
    let removed = prune_containers(session.client().await?, &wanted(session, flags)).await?;
    removed.tell()?;
    tell_total(removed.bytes)?;
    Ok(0)
}

async fn volumes(session: &Session, flags: &Parsed) -> Outcome {
    let (all, mut filters) = (flags.on("all"), wanted(session, flags));
    if all {
        if filters.contains_key("all") {
            let text = "conflicting options: cannot specify both --all and --filter all=1";
            return Err(Error::invalid(text).into());
        }
        filters.insert("all".to_owned(), vec!["true".to_owned()]);
    }
    let which = if all { "all" } else { "anonymous" };
    let warning = format!("WARNING! This will remove {which} local volumes not used by at least one container.");
    confirm(flags, &warning)?;
    let removed = prune_volumes(session.client().await?, &filters).await?;
    removed.tell()?;
    tell_total(removed.bytes)?;
    Ok(0)
}

async fn images(session: &Session, flags: &Parsed) -> Outcome {
    let all = flags.on("all");
    let warning = match all {
        true => "WARNING! This will remove all images without at least one container associated to them.",
        false => "WARNING! This will remove all dangling images.",
    };
    confirm(flags, warning)?;
    let removed = prune_images(session.client().await?, all, &wanted(session, flags)).await?;
    removed.tell()?;
    tell_total(removed.bytes)?;
    Ok(0)
}

async fn networks(session: &Session, flags: &Parsed) -> Outcome {
    let warning = "WARNING! This will remove all custom networks not used by at least one container.";
    confirm(flags, warning)?;
    prune_networks(session.client().await?, &wanted(session, flags)).await?.tell()?;
    Ok(0)
}

async fn everything(session: &Session, flags: &Parsed) -> Outcome {
    let (all, volumes, filters) = (flags.on("all"), flags.on("volumes"), wanted(session, flags));
    if volumes && filters.contains_key("until") {
        return Err(Error::invalid("ERROR: The \"until\" filter is not supported with \"--volumes\"").into());
    }
    confirm(flags, &warning(all, volumes, &filters))?;
    let client = session.client().await?;
    let mut bytes = 0;
    for kind in [Kind::Containers, Kind::Networks, Kind::Volumes, Kind::Images, Kind::Builds] {
        if kind == Kind::Volumes && !volumes {
            continue;
        }
        let removed = kind.prune(client, all, &filters).await?;
        removed.tell()?;
        bytes += removed.bytes;
    }
    tell_total(bytes)?;
    Ok(0)
}

fn warning(all: bool, volumes: bool, filters: &Filters) -> String {
    let mut text =
        "WARNING! This will remove:\n  - all stopped containers\n  - all networks not used by at least one container\n"
            .to_owned();
    if volumes {
        text += "  - all anonymous volumes not used by at least one container\n";
    }
    text += match all {
        true => "  - all images without at least one container associated to them\n  - all build cache\n",
        false => "  - all dangling images\n  - unused build cache\n",
    };
    if !filters.is_empty() {
        text += "\n  Items to be pruned will be filtered with:\n";
        for (key, values) in filters {
            values.iter().for_each(|value| text += &format!("  - {key}={value}\n"));
        }
    }
    text
}

/// The kinds of things, in the order in which one lets go of the next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Containers,
    Networks,
    Volumes,
    Images,
    Builds,
}

impl Kind {
    /// An engine that has none of a kind has nothing to remove of it.
    async fn prune(self, client: &Client, all: bool, filters: &Filters) -> Result<Removed> {
        let pruned = match self {
            Self::Containers => prune_containers(client, filters).await,
            Self::Networks => prune_networks(client, filters).await,
            Self::Volumes => prune_volumes(client, filters).await,
            Self::Images => prune_images(client, all, filters).await,
            Self::Builds => client.build_prune(all, filters).await.map(|pruned| {
                let deleted = pruned.caches_deleted.unwrap_or_default();
                Removed::new("Deleted build cache objects", deleted, pruned.space_reclaimed)
            }),
        };
        match pruned {
            Err(error) if error.class() == Class::NotImplemented => Ok(Removed::default()),
            pruned => pruned,
        }
    }
}

async fn prune_containers(client: &Client, filters: &Filters) -> Result<Removed> {
    let pruned = client.container_prune(filters).await?;
    let deleted = pruned.containers_deleted.unwrap_or_default();
    Ok(Removed::new("Deleted Containers", deleted, pruned.space_reclaimed))
}

async fn prune_volumes(client: &Client, filters: &Filters) -> Result<Removed> {
    let pruned = client.volume_prune(filters).await?;
    Ok(Removed::new("Deleted Volumes", pruned.volumes_deleted.unwrap_or_default(), pruned.space_reclaimed))
}

async fn prune_networks(client: &Client, filters: &Filters) -> Result<Removed> {
    let pruned = client.network_prune(filters).await?;
    Ok(Removed::new("Deleted Networks", pruned.networks_deleted.unwrap_or_default(), 0))
}

async fn prune_images(client: &Client, all: bool, filters: &Filters) -> Result<Removed> {
    let mut filters = filters.clone();
    filters.insert("dangling".to_owned(), vec![(!all).to_string()]);
    let pruned = client.image_prune(&filters).await?;
    let line = |deleted: dhow_api::image::Deleted| match deleted.untagged.is_empty() {
        true => format!("deleted: {}", deleted.deleted),
        false => format!("untagged: {}", deleted.untagged),
    };
    let lines = pruned.images_deleted.unwrap_or_default().into_iter().map(line);
    Ok(Removed::new("Deleted Images", lines, pruned.space_reclaimed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_dockers() {
        assert_eq!(
            warning(false, false, &Filters::new()),
            "WARNING! This will remove:\n  - all stopped containers\n  - all networks not used by at least one container\n  - all dangling images\n  - unused build cache\n"
        );
        let filters = Filters::from([("label".to_owned(), vec!["a".to_owned(), "b=c".to_owned()])]);
        let text = warning(true, true, &filters);
        assert!(text.contains("  - all anonymous volumes not used by at least one container\n  - all images without"));
        assert!(
            text.ends_with("\n\n  Items to be pruned will be filtered with:\n  - label=a\n  - label=b=c\n"),
            "{text}"
        );
    }

    #[test]
    fn what_removed_nothing_says_nothing() {
        assert!(Removed::new("Deleted Containers", [], 5).text.is_empty());
        assert_eq!(Removed::new("Deleted Containers", ["a".to_owned()], 5).text, "Deleted Containers:\na\n");
    }
}
