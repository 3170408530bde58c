//! What a command is, and how it is found.

use std::future::Future;
use std::pin::Pin;

use crate::commands;
use crate::failure::Outcome;
use crate::flags::{Parsed, Tables};
use crate::session::Session;

/// A command at work.
pub(crate) type Running<'a> = Pin<Box<dyn Future<Output = Outcome> + 'a>>;

/// One command.
pub(crate) struct Command {
    /// Every name it answers to, the grouped one first, as help lists them.
    pub(crate) names: &'static [&'static str],
    /// What follows the name in the usage line.
    pub(crate) usage: &'static str,
    /// One line for lists of commands.
    pub(crate) summary: &'static str,
    pub(crate) flags: Tables,
    pub(crate) arguments: Arguments,
    /// Whether flags may follow arguments.
    pub(crate) interspersed: bool,
    pub(crate) run: for<'a> fn(&'a Session, &'a Parsed) -> Running<'a>,
}

impl Command {
    /// The name to print for the name that was used: synonyms within a group are shown as the first name.
    fn shown(&self, used: &'static str) -> &'static str {
        if used.contains(' ') { self.names[0] } else { used }
    }
}

/// How many words a command takes.
#[derive(Clone, Copy)]
pub(crate) enum Arguments {
    None,
    Exactly(usize),
    AtLeast(usize),
    AtMost(usize),
    Between(usize, usize),
}

impl Arguments {
    /// Docker's words about a wrong number; `None` if it is right.
    pub(crate) fn refuse(self, count: usize) -> Option<String> {
        let plural = |number: usize| if number == 1 { "argument" } else { "arguments" };
        let (fits, text) = match self {
            Self::None => (count == 0, "accepts no arguments".to_owned()),
            Self::Exactly(number) => (count == number, format!("requires {number} {}", plural(number))),
            Self::AtLeast(number) => (count >= number, format!("requires at least {number} {}", plural(number))),
            Self::AtMost(number) => (count <= number, format!("requires at most {number} {}", plural(number))),
            Self::Between(low, high) => {
                ((low..=high).contains(&count), format!("requires at least {low} and at most {high} {}", plural(high)))
            }
        };
        (!fits).then_some(text)
    }
}

/// What the first words of a command line name.
pub(crate) enum Found<'w> {
    Command { command: &'static Command, name: &'static str, rest: &'w [String] },
    Group { group: &'static str, rest: &'w [String] },
    Nothing,
}

/// Looks the words up.
pub(crate) fn find(words: &[String]) -> Found<'_> {
    let Some(first) = words.first() else { return Found::Nothing };
    if let Some(&(group, _)) = commands::GROUPS.iter().find(|(group, _)| group == first) {
        let Some(verb) = words.get(1) else { return Found::Group { group, rest: &[] } };
        return match named(|name| name.split_once(' ').is_some_and(|(of, rest)| of == group && rest == verb)) {
            Some((command, name)) => Found::Command { command, name, rest: &words[2..] },
            None => Found::Group { group, rest: &words[1..] },
        };
    }
    match named(|name| name == first) {
        Some((command, name)) => Found::Command { command, name, rest: &words[1..] },
        None => Found::Nothing,
    }
}

fn named(is: impl Fn(&str) -> bool) -> Option<(&'static Command, &'static str)> {
    commands::ALL.iter().chain(commands::HIDDEN).find_map(|command| {
        let used = command.names.iter().find(|name| is(name))?;
        Some((*command, command.shown(used)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_arguments_in_dockers_words() {
        assert_eq!(Arguments::AtLeast(1).refuse(0).as_deref(), Some("requires at least 1 argument"));
        assert_eq!(Arguments::Exactly(2).refuse(1).as_deref(), Some("requires 2 arguments"));
        assert_eq!(Arguments::None.refuse(1).as_deref(), Some("accepts no arguments"));
        assert_eq!(Arguments::Between(1, 2).refuse(3).as_deref(), Some("requires at least 1 and at most 2 arguments"));
        assert_eq!(Arguments::AtMost(1).refuse(1), None);
    }
}
