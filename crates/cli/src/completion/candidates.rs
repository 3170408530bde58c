//! What could stand in a place.

use dhow_client::{ImageListing, Listing};
use dhow_errdefs::Result;

use super::position::{Position, Wanted};
use crate::command::Command;
use crate::commands::{ALL, GROUPS};
use crate::context::{DEFAULT, Store};
use crate::flags::{Flag, Kind, Tables};
use crate::session::Session;

/// Words with descriptions, and whether files are meant too.
#[derive(Default)]
pub(super) struct Candidates {
    words: Vec<(String, String)>,
    files: bool,
}

impl Candidates {
    fn files() -> Self {
        Self { words: Vec::new(), files: true }
    }

    fn plain(words: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let words = words.into_iter().map(|word| (word.into(), String::new())).collect();
        Self { words, files: false }
    }

    /// The answer to a script.
    pub(super) fn answer(&self, partial: &str) -> String {
        let mut text = String::new();
        for (word, description) in self.words.iter().filter(|(word, _)| word.starts_with(partial)) {
            text.push_str(word);
            if !description.is_empty() {
                text.push('\t');
                text.push_str(description);
            }
            text.push('\n');
        }
        text + if self.files { ":0\n" } else { ":4\n" }
    }
}

/// Kinds of things that commands and flags take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Thing {
    Container(States),
    Image,
    Network,
    Volume,
    Context,
    File,
}

/// Which containers make sense.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum States {
    All,
    Running,
    Stopped,
    Paused,
}

pub(super) async fn of(session: &Session, position: &Position<'_>) -> Result<Candidates> {
    match &position.wanted {
        Wanted::Flag(tables) => Ok(flags(tables)),
        Wanted::Value(flag, Some(command)) if flag.long == "filter" => filters(session, command).await,
        Wanted::Value(flag, _) => values(session, flag).await,
        Wanted::Name(group) => Ok(names(*group)),
        Wanted::Argument(command, before) => arguments(session, command, before).await,
        Wanted::Nothing => Ok(Candidates::default()),
    }
}

fn flags(tables: Tables) -> Candidates {
    let all = tables.iter().flat_map(|table| table.iter()).filter(|flag| !flag.hidden);
    let describe = |flag: &Flag| flag.help.lines().next().unwrap_or_default().trim_end_matches(':').to_owned();
    let long = all.clone().map(|flag| (format!("--{}", flag.long), describe(flag)));
    let short = all.filter_map(|flag| Some((format!("-{}", char::from(flag.short?)), describe(flag))));
    let mut words: Vec<_> = long.chain(short).collect();
    words.sort();
    Candidates { words, files: false }
}

fn names(group: Option<&str>) -> Candidates {
    let of_group = |name: &&str| match (group, name.split_once(' ')) {
        (None, None) => Some((*name).to_owned()),
        (Some(group), Some((of, verb))) if of == group => Some(verb.to_owned()),
        _ => None,
    };
    // Of several names within a group the first is enough.
    let commands = ALL.iter().filter_map(|command| Some((command.names.iter().find_map(of_group)?, command.summary)));
    let groups = GROUPS.iter().filter(|_| group.is_none()).map(|(name, summary)| ((*name).to_owned(), *summary));
    let mut words: Vec<_> = commands.chain(groups).map(|(name, summary)| (name, summary.to_owned())).collect();
    words.sort();
    words.dedup_by(|one, other| one.0 == other.0);
    Candidates { words, files: false }
}

async fn arguments(session: &Session, command: &Command, before: &[&str]) -> Result<Candidates> {
    if command.names[0] == "completion" {
        return Ok(Candidates::plain(["bash", "fish", "zsh"]));
    }
    match thing(command, before.len()) {
        Some(thing) => {
            let mut found = things(session, thing).await?;
            found.words.retain(|(word, _)| !before.contains(&word.as_str()));
            Ok(found)
        }
        None => Ok(Candidates::default()),
    }
}

/// What an argument is, by the word for it in the usage line: `[OPTIONS] CONTAINER [CONTAINER...]`.
fn thing(command: &Command, at: usize) -> Option<Thing> {
    let words = command.usage.split_whitespace().filter(|word| *word != "[OPTIONS]");
    let words: Vec<&str> = words.map(|word| word.trim_matches(['[', ']'])).collect();
    let last = words.last().filter(|word| word.ends_with("..."));
    let word = words.get(at).or(last)?.trim_end_matches("...");
    match word.split(['|', ':']).next().unwrap_or_default() {
        "CONTAINER" => Some(Thing::Container(states(command))),
        "IMAGE" | "SOURCE_IMAGE" | "REPOSITORY" => Some(Thing::Image),
        "NETWORK" => Some(Thing::Network),
        "VOLUME" => Some(Thing::Volume),
        "CONTEXT" if !matches!(command.names[0], "context create" | "context import") => Some(Thing::Context),
        "NAME" => Some(Thing::Container(States::All)),
        "FILE" | "file" | "PATH" | "SRC_PATH" | "DEST_PATH" | "-" => Some(Thing::File),
        _ => None,
    }
}

fn states(command: &Command) -> States {
    match command.names[0].rsplit(' ').next().unwrap_or_default() {
        "attach" | "exec" | "kill" | "pause" | "port" | "stats" | "stop" | "top" => States::Running,
        "start" => States::Stopped,
        "unpause" => States::Paused,
        _ => States::All,
    }
}

const SIGNALS: [&str; 12] = [
    "SIGHUP", "SIGINT", "SIGQUIT", "SIGABRT", "SIGKILL", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGTERM", "SIGCONT",
    "SIGSTOP", "SIGWINCH",
];

/// What lists of volumes can be narrowed by.
async fn filters(session: &Session, command: &Command) -> Result<Candidates> {
    let keys: &[&str] = match command.names[0] {
        "volume ls" => {
            &["dangling=false", "dangling=true", "driver=local", "label=", "name=", "protected=false", "protected=true"]
        }
        "volume prune" => &["all=false", "all=true", "label!=", "label=", "protected=false", "protected=true"],
        _ => &[],
    };
    let mut found = Candidates::plain(keys.iter().copied());
    if keys.contains(&"name=") {
        let named = things(session, Thing::Volume).await.unwrap_or_default();
        found.words.extend(named.words.into_iter().map(|(name, _)| (format!("name={name}"), String::new())));
    }
    Ok(found)
}

async fn values(session: &Session, flag: &Flag) -> Result<Candidates> {
    let fixed: &[&str] = match flag.long {
        "as" => &["oci", "tar"],
        "format" => &["json", "table"],
        "pull" => &["always", "missing", "never"],
        "restart" => &["always", "no", "on-failure", "on-unhealthy", "unless-stopped"],
        "log-driver" => &["journald", "json-file", "local", "none", "syslog"],
        "log-level" => &["debug", "error", "fatal", "info", "warn"],
        "signal" | "stop-signal" => &SIGNALS,
        "attach" => &["stderr", "stdin", "stdout"],
        "cgroupns" | "userns" => &["host", "private"],
        "ipc" => &["container:", "host", "none", "private", "shareable"],
        "pid" | "uts" => &["host"],
        "type" => &["container", "image", "network", "volume"],
        "network" | "net" => return things(session, Thing::Network).await,
        "volumes-from" | "link" => return things(session, Thing::Container(States::All)).await,
        "image" => return things(session, Thing::Image).await,
        "context" | "from" => return things(session, Thing::Context).await,
        "driver" | "volume-driver" => &["local"],
        "volume" => return Ok(Candidates { files: true, ..things(session, Thing::Volume).await? }),
        "cidfile" | "config" | "docker" | "env-file" | "file" | "iidfile" | "input" | "label-file" | "output"
        | "tlscacert" | "tlscert" | "tlskey" | "workdir" => return Ok(Candidates::files()),
        _ if matches!(flag.kind, Kind::Bool) => &["false", "true"],
        _ => &[],
    };
    Ok(Candidates::plain(fixed.iter().copied()))
}

async fn things(session: &Session, thing: Thing) -> Result<Candidates> {
    match thing {
        Thing::File => Ok(Candidates::files()),
        Thing::Context => {
            let contexts = Store::new(session.config().folder()).list()?;
            let named = contexts.into_iter().map(|meta| (meta.name, meta.metadata.description));
            Ok(Candidates {
                words: [(DEFAULT.to_owned(), String::new())].into_iter().chain(named).collect(),
                files: false,
            })
        }
        Thing::Container(states) => containers(session, states).await,
        Thing::Image => images(session).await,
        Thing::Network => listed(session, "/networks", |answer| answer).await,
        Thing::Volume => listed(session, "/volumes", |answer| &answer["Volumes"]).await,
    }
}

async fn containers(session: &Session, states: States) -> Result<Candidates> {
    let listing = Listing { all: states != States::Running, ..Listing::default() };
    let containers = session.client_if_there().await?.container_list_lean(&listing).await?;
    let fits = |state: &str| match states {
        States::All | States::Running => true,
        States::Stopped => matches!(state, "created" | "exited"),
        States::Paused => state == "paused",
    };
    let fitting = containers.iter().filter(|container| fits(&container.state));
    let names = fitting.flat_map(|container| container.names.iter().map(|name| (name, &container.image)));
    // Names with a further slash are those by which links know it.
    let names = names.map(|(name, image)| (name.trim_start_matches('/').to_owned(), image.clone()));
    let mut words: Vec<_> = names.filter(|(name, _)| !name.contains('/')).collect();
    words.sort();
    Ok(Candidates { words, files: false })
}

async fn images(session: &Session) -> Result<Candidates> {
    let images = session.client_if_there().await?.image_list(&ImageListing::default()).await?;
    let mut words: Vec<String> = images.into_iter().flat_map(|image| image.repo_tags).collect();
    words.retain(|name| !name.contains("<none>"));
    let latest: Vec<String> = words.iter().filter_map(|name| Some(name.strip_suffix(":latest")?.to_owned())).collect();
    words.extend(latest);
    words.sort();
    Ok(Candidates::plain(words))
}

/// Names of a list that is not worth a type of its own.
async fn listed(
    session: &Session,
    path: &str,
    list: impl Fn(&serde_json::Value) -> &serde_json::Value,
) -> Result<Candidates> {
    let text = session.client_if_there().await?.raw(path).await?;
    let answer: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
    let names = list(&answer).as_array().into_iter().flatten();
    let mut words: Vec<String> = names.filter_map(|one| one["Name"].as_str().map(str::to_owned)).collect();
    words.sort();
    Ok(Candidates::plain(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(name: &str) -> &'static Command {
        ALL.iter().find(|command| command.names.contains(&name)).expect("a command")
    }

    #[test]
    fn the_usage_says_what_an_argument_is() {
        assert_eq!(thing(command("stop"), 3), Some(Thing::Container(States::Running)));
        assert_eq!(thing(command("start"), 0), Some(Thing::Container(States::Stopped)));
        assert_eq!(thing(command("run"), 0), Some(Thing::Image));
        assert_eq!(thing(command("run"), 1), None);
        assert_eq!(thing(command("context use"), 0), Some(Thing::Context));
        assert_eq!(thing(command("context create"), 0), None);
        assert_eq!(thing(command("volume import"), 1), Some(Thing::File));
        assert_eq!(thing(command("ps"), 0), None);
    }

    #[test]
    fn names_are_listed_once() {
        let answer = names(Some("container")).answer("l");
        assert_eq!(answer, "logs\tShow what a container has printed\nls\tList containers\n:4\n");
        assert!(names(None).answer("container").starts_with("container\t"));
    }

    #[test]
    fn an_answer_has_what_begins_so() {
        let found = Candidates { words: vec![("ab".into(), "x".into()), ("b".into(), String::new())], files: true };
        assert_eq!(found.answer("a"), "ab\tx\n:0\n");
    }
}
