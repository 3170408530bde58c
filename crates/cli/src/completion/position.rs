//! Where in a command line the cursor is.

use crate::command::{Command, Found, find};
use crate::entry::GLOBAL;
use crate::flags::{Flag, Tables, awaits};

/// The place of the word that is being typed.
pub(super) struct Position<'w> {
    /// The words before the command.
    pub(super) globals: &'w [String],
    /// What is to be completed; without `--flag=` where that stands before it.
    pub(super) partial: &'w str,
    pub(super) wanted: Wanted<'w>,
}

/// What stands there.
pub(super) enum Wanted<'w> {
    /// The name of a flag of these tables.
    Flag(Tables),
    /// The value of a flag, of a command if it is not the program's own.
    Value(&'static Flag, Option<&'static Command>),
    /// The name of a command, of a group if there is one.
    Name(Option<&'static str>),
    /// An argument of a command, with those before it.
    Argument(&'static Command, Vec<&'w str>),
    Nothing,
}

impl<'w> Position<'w> {
    pub(super) fn find(before: &'w [String], partial: &'w str) -> Self {
        let walk = Walk::along(GLOBAL, before, false);
        let (globals, rest) = before.split_at(walk.length);
        // A flag whose value is just being typed says nothing yet.
        let globals = &globals[..globals.len() - usize::from(walk.open.is_some())];
        if rest.is_empty() {
            return Self { globals, ..Self::at(GLOBAL, &walk, partial, Wanted::Name(None)) };
        }
        let here = match find(rest) {
            Found::Command { command, rest, .. } => {
                let walk = Walk::along(command.flags, rest, command.interspersed);
                let wanted = Wanted::Argument(command, walk.arguments.clone());
                Self::at(command.flags, &walk, partial, wanted)
            }
            Found::Group { group, rest: [] } => Self { globals, partial, wanted: Wanted::Name(Some(group)) },
            Found::Group { .. } | Found::Nothing => Self { globals, partial, wanted: Wanted::Nothing },
        };
        Self { globals, ..here }
    }

    fn at(tables: Tables, walk: &Walk<'_>, partial: &'w str, otherwise: Wanted<'w>) -> Self {
        let here = |partial, wanted| Self { globals: &[], partial, wanted };
        let command = match otherwise {
            Wanted::Argument(command, _) => Some(command),
            _ => None,
        };
        if let Some(flag) = walk.open {
            return here(partial, Wanted::Value(flag, command));
        }
        if walk.ended || !partial.starts_with('-') {
            return here(partial, otherwise);
        }
        let with_value = partial.strip_prefix("--").and_then(|word| word.split_once('='));
        let named = |name: &str| tables.iter().flat_map(|table| table.iter()).find(|flag| flag.long == name);
        match with_value {
            None => here(partial, Wanted::Flag(tables)),
            Some((name, value)) => {
                here(value, named(name).map_or(Wanted::Nothing, |flag| Wanted::Value(flag, command)))
            }
        }
    }
}

/// The words of one command, looked at one after the other.
struct Walk<'w> {
    /// Words that belong to it.
    length: usize,
    arguments: Vec<&'w str>,
    /// The last word is a flag whose value comes next.
    open: Option<&'static Flag>,
    /// No flag can follow.
    ended: bool,
}

impl<'w> Walk<'w> {
    fn along(tables: Tables, words: &'w [String], interspersed: bool) -> Self {
        let mut walk = Self { length: 0, arguments: Vec::new(), open: None, ended: false };
        for word in words {
            if walk.open.take().is_some() {
                walk.length += 1;
                continue;
            }
            let is_flag = word.len() > 1 && word.starts_with('-') && !walk.ended;
            match is_flag {
                true if word == "--" => walk.ended = true,
                true => walk.open = awaits(tables, word),
                false => {
                    walk.arguments.push(word);
                    if !interspersed {
                        walk.ended = true;
                        // The words of the program are one thing, those of the command after them another.
                        if std::ptr::eq(tables, GLOBAL) {
                            break;
                        }
                    }
                }
            }
            walk.length += 1;
        }
        walk
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(line: &str) -> String {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let (partial, before) = words.split_last().expect("a word");
        let position = Position::find(before, partial);
        let what = match position.wanted {
            Wanted::Flag(_) => "flag".to_owned(),
            Wanted::Value(flag, _) => format!("value of {}", flag.long),
            Wanted::Name(group) => format!("name {}", group.unwrap_or("")),
            Wanted::Argument(command, before) => format!("{} {}", command.names[0], before.len()),
            Wanted::Nothing => "nothing".to_owned(),
        };
        format!("{what}: {}", position.partial)
    }

    #[test]
    fn a_flag_that_is_being_typed_is_no_word_about_the_engine() {
        let words: Vec<String> = ["-D", "--context"].iter().map(|&word| word.to_owned()).collect();
        assert_eq!(Position::find(&words, "").globals, ["-D"]);
    }

    #[test]
    fn every_place() {
        for (line, there) in [
            ("", "name : "),
            ("ru", "name : ru"),
            ("--de", "flag: --de"),
            ("--host ", "value of host: "),
            ("-c ", "value of context: "),
            ("--host x container ", "name container: "),
            ("container st", "name container: st"),
            ("run --rm ", "container run 0: "),
            ("run -it ", "container run 0: "),
            ("run -ite ", "value of env: "),
            ("run --name x -", "flag: -"),
            ("run --pull=al", "value of pull: al"),
            ("run --nonsense=al", "nothing: al"),
            ("run busybox -", "container run 1: -"),
            ("stop a -t 3 b", "container stop 1: b"),
            ("stop -- -", "container stop 0: -"),
            ("nonsense x", "nothing: x"),
            ("container nonsense x", "nothing: x"),
        ] {
            assert_eq!(wanted(line), there, "{line:?}");
        }
    }
}
