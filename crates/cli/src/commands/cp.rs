//! `cp`.

mod from;
mod paths;
mod to;

use std::io::{IsTerminal, stdout};

use dhow_errdefs::Error;

use crate::command::{Arguments, Command};
use crate::failure::Outcome;
use crate::flags::{Flag, Parsed};
use crate::format::decimal_3;
use crate::output;
use crate::session::Session;

pub(super) static CP: Command = Command {
    names: &["container cp", "cp"],
    usage: "[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n[OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH",
    summary: "Copy files between a container and this machine",
    flags: &[&[
        Flag::bool("archive", "Give what is copied in to the container's user").short(b'a'),
        Flag::bool("follow-link", "Copy what a link in SRC_PATH leads to").short(b'L'),
        Flag::bool("quiet", "Do not say how much was copied; the default where there is no terminal").short(b'q'),
    ]],
    arguments: Arguments::Exactly(2),
    interspersed: true,
    run: |session, flags| Box::pin(run(session, flags)),
};

/// One copy.
struct Copy<'a> {
    container: &'a str,
    source: &'a str,
    destination: &'a str,
    follow: bool,
    users: bool,
    quiet: bool,
}

async fn run(session: &Session, flags: &Parsed) -> Outcome {
    let [source, destination] = [flags.args[0].as_str(), flags.args[1].as_str()];
    for (word, name) in [(source, "source"), (destination, "destination")] {
        if word.is_empty() {
            return Err(Error::invalid(format!("{name} can not be empty")).into());
        }
    }
    let ((from, source), (to, destination)) = (split(source), split(destination));
    let quiet = if flags.has("quiet") { flags.on("quiet") } else { !stdout().is_terminal() };
    let copy = |container| Copy {
        container,
        source,
        destination,
        follow: flags.on("follow-link"),
        users: flags.on("archive"),
        quiet,
    };
    match (from.is_empty(), to.is_empty()) {
        (false, true) => from::run(session, &copy(from)).await,
        (true, false) => to::run(session, &copy(to)).await,
        (false, false) => Err(Error::invalid("copying between containers is not supported").into()),
        (true, true) => Err(Error::invalid("must specify at least one container source").into()),
    }
}

/// The container, if one is named, and the path. What begins with `/` or `.` is a path of this machine, colon or not.
fn split(word: &str) -> (&str, &str) {
    match word.split_once(':') {
        Some((container, path)) if !word.starts_with('/') && !container.starts_with('.') => (container, path),
        _ => ("", word),
    }
}

fn done(copy: &Copy<'_>, bytes: u64, to: &str) {
    if !copy.quiet {
        #[allow(clippy::cast_precision_loss, reason = "three digits are shown")]
        let size = decimal_3(bytes as f64);
        output::note(&format!("Successfully copied {size} to {to}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_are_told_from_paths() {
        assert_eq!(split("box:/etc"), ("box", "/etc"));
        assert_eq!(split("box:"), ("box", ""));
        for path in ["/a:b", "./a:b", "../a:b", "plain", "-"] {
            assert_eq!(split(path), ("", path));
        }
    }
}
