//! Command line flags by the rules of Go's `pflag`, which Docker's users rely on.
//!
//! A flag is one constant: parsing, help and the checks of tests come from it. A parser of our own, because those rules
//! (`-it`, `--rm=false`, `-eA=b`, flags that stop at the image, the words of each error) are not those of the argument
//! parsers of the Rust world; and because a table of constants costs nothing before it is needed.
//!
//! Parsing only records what was typed, after checking that each value is of its kind; meaning comes later.

mod help;
mod parse;
mod value;

use dhow_api::version::Version;
pub(crate) use dhow_errdefs::parse_bool;
pub(crate) use help::{columns_of_terminal, describe};
pub(crate) use parse::{Fault, Parsed, awaits, parse};

/// Checks a value; the error is the part of the message behind the flag's name.
pub(crate) type Check = fn(&str) -> Result<(), String>;

/// What a flag takes.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// Nothing, or `=true`, `=false` and what else Go's `ParseBool` knows.
    Bool,
    /// A word; the last one wins.
    Text,
    /// Words; all count.
    List,
    /// A whole number that fits in 64 bits, in Go's notations (`0x10` too).
    Int,
    /// The same without a sign.
    Uint,
}

/// One flag.
#[derive(Clone, Copy)]
pub(crate) struct Flag {
    pub(crate) long: &'static str,
    pub(crate) short: Option<u8>,
    pub(crate) kind: Kind,
    /// What help calls the value.
    pub(crate) placeholder: &'static str,
    pub(crate) help: &'static str,
    /// What is in force when the flag is not given; help shows it.
    pub(crate) default: &'static str,
    /// What help shows in place of `default`.
    pub(crate) shown: Option<&'static str>,
    pub(crate) check: Option<Check>,
    pub(crate) hidden: bool,
    /// The flag that took this one's place.
    pub(crate) instead: Option<&'static str>,
    /// Where alone it means something; elsewhere it is refused.
    pub(crate) elsewhere: Option<Elsewhere>,
    /// The minor version of the API that brought it; 0 if the oldest one that is spoken has it.
    pub(crate) since: u16,
}

/// Engines that are not ours.
#[derive(Clone, Copy)]
pub(crate) enum Elsewhere {
    Windows,
    Experimental,
    /// What Docker's client does itself and ours does not.
    Docker,
}

impl Elsewhere {
    /// Docker's words about a flag.
    pub(crate) fn refuse(self, flag: &str) -> String {
        let where_alone = match self {
            Self::Windows => "running on windows, but the Docker daemon is running on linux",
            Self::Experimental => "with experimental features enabled",
            Self::Docker => return format!("\"--{flag}\" is only supported by Docker's own client"),
        };
        format!("\"--{flag}\" is only supported on a Docker daemon {where_alone}")
    }
}

impl Flag {
    const fn new(long: &'static str, kind: Kind, placeholder: &'static str, help: &'static str) -> Self {
        let (short, default, shown, check, hidden, instead, elsewhere) = (None, "", None, None, false, None, None);
        Self { long, short, kind, placeholder, help, default, shown, check, hidden, instead, elsewhere, since: 0 }
    }

    pub(crate) const fn bool(long: &'static str, help: &'static str) -> Self {
        Self::new(long, Kind::Bool, "", help)
    }

    pub(crate) const fn text(long: &'static str, help: &'static str) -> Self {
        Self::new(long, Kind::Text, "string", help)
    }

    pub(crate) const fn list(long: &'static str, help: &'static str) -> Self {
        Self::new(long, Kind::List, "list", help)
    }

    pub(crate) const fn int(long: &'static str, help: &'static str) -> Self {
        Self::new(long, Kind::Int, "int", help)
    }

    pub(crate) const fn uint(long: &'static str, placeholder: &'static str, help: &'static str) -> Self {
        Self::new(long, Kind::Uint, placeholder, help)
    }

    /// A word with a grammar of its own.
    pub(crate) const fn checked(
        long: &'static str,
        placeholder: &'static str,
        check: Check,
        help: &'static str,
    ) -> Self {
        let mut flag = Self::new(long, Kind::Text, placeholder, help);
        flag.check = Some(check);
        flag
    }

    pub(crate) const fn short(mut self, letter: u8) -> Self {
        self.short = Some(letter);
        self
    }

    pub(crate) const fn default(mut self, value: &'static str) -> Self {
        self.default = value;
        self
    }

    /// What help says is the default, where that is not a value one could type.
    pub(crate) const fn shown(mut self, value: &'static str) -> Self {
        self.shown = Some(value);
        self
    }

    pub(crate) const fn placeholder(mut self, word: &'static str) -> Self {
        self.placeholder = word;
        self
    }

    pub(crate) const fn check(mut self, check: Check) -> Self {
        self.check = Some(check);
        self
    }

    pub(crate) const fn hidden(mut self) -> Self {
        self.hidden = true;
        self
    }

    /// Still understood, with a word about the one to use.
    pub(crate) const fn deprecated(mut self, instead: &'static str) -> Self {
        (self.hidden, self.instead) = (true, Some(instead));
        self
    }

    /// Known and refused: it means something to other engines only.
    pub(crate) const fn elsewhere(mut self, place: Elsewhere) -> Self {
        (self.hidden, self.elsewhere) = (true, Some(place));
        self
    }

    /// Refused for engines of before version 1.`minor`.
    pub(crate) const fn since(mut self, minor: u16) -> Self {
        self.since = minor;
        self
    }

    /// Docker's words about a flag that an engine of that version, or none of ours, knows.
    fn refuse(&self, version: Version) -> Option<String> {
        if !version.at_least(self.since) {
            return Some(too_old(&format!("\"--{}\"", self.long), self.since, version));
        }
        self.elsewhere.map(|place| place.refuse(self.long))
    }

    /// The flag as messages name it.
    pub(crate) fn spelled(&self) -> String {
        match self.short {
            Some(letter) => format!("-{}, --{}", char::from(letter), self.long),
            None => format!("--{}", self.long),
        }
    }
}

/// Docker's words about what an engine of that version does not know yet.
pub(crate) fn too_old(what: &str, since: u16, version: Version) -> String {
    format!("{what} requires API version 1.{since}, but the Docker daemon API version is {version}")
}

/// The tables of one command.
pub(crate) type Tables = &'static [&'static [Flag]];
