//! From words to recorded flags.

use dhow_api::version::Version;

use super::parse_bool;
use super::value::{check, parse_int};
use super::{Flag, Kind, Tables};

/// Why the words are not a command line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// `--help` was asked for: no fault of anybody.
    Help,
    /// The text to show above the usage.
    Wrong(String),
}

/// What was typed.
pub(crate) struct Parsed {
    tables: Tables,
    given: Vec<(&'static Flag, String)>,
    /// The words that are no flags.
    pub(crate) args: Vec<String>,
}

impl Parsed {
    fn flag(&self, long: &str) -> &'static Flag {
        find_long(self.tables, long).unwrap_or_else(|| panic!("no table has the flag --{long}"))
    }

    fn last(&self, long: &str) -> Option<&str> {
        let flag = self.flag(long);
        self.given.iter().rev().find(|(given, _)| given.long == flag.long).map(|(_, value)| value.as_str())
    }

    /// Docker's words about the flags that were given and mean nothing to an engine of that version, or to any of ours.
    pub(crate) fn refused(&self, version: Version) -> Option<String> {
        let mut given: Vec<&Flag> = self.given.iter().map(|(flag, _)| *flag).collect();
        given.sort_by_key(|flag| flag.long);
        given.dedup_by_key(|flag| flag.long);
        let lines: Vec<String> = given.iter().filter_map(|flag| flag.refuse(version)).collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    }

    /// Whether it depends on the engine's version if what was given is understood.
    pub(crate) fn needs_version(&self) -> bool {
        self.given.iter().any(|(flag, _)| flag.since > 0)
    }

    /// Docker's words about the flags that were given and whose time is over.
    pub(crate) fn deprecated(&self) -> impl Iterator<Item = String> {
        let given = self.given.iter();
        given.filter_map(|(flag, _)| {
            let instead = flag.instead?;
            Some(format!("Flag --{} has been deprecated, use --{instead} instead", flag.long))
        })
    }

    /// Whether the flag was given at all.
    pub(crate) fn has(&self, long: &str) -> bool {
        self.last(long).is_some()
    }

    /// A boolean flag's value.
    pub(crate) fn on(&self, long: &str) -> bool {
        parse_bool(self.text(long)).unwrap_or(false)
    }

    /// The last value, or the default.
    pub(crate) fn text(&self, long: &str) -> &str {
        self.last(long).unwrap_or(self.flag(long).default)
    }

    /// The last value if it was given and is not empty.
    pub(crate) fn some(&self, long: &str) -> Option<&str> {
        self.last(long).filter(|value| !value.is_empty())
    }

    /// A number flag's value; zero where there is no default.
    pub(crate) fn number(&self, long: &str) -> i64 {
        parse_int(self.text(long)).unwrap_or(0)
    }

    /// All values in order.
    pub(crate) fn list<'a>(&'a self, long: &'a str) -> impl Iterator<Item = &'a str> {
        let flag = self.flag(long);
        self.given.iter().filter(|(given, _)| given.long == flag.long).map(|(_, value)| value.as_str())
    }

    /// All values in order, owned.
    pub(crate) fn strings(&self, long: &str) -> Vec<String> {
        self.list(long).map(str::to_owned).collect()
    }

    /// The values of several flags in the order they were typed: label and label file, say.
    pub(crate) fn mixed<'a>(&'a self, names: &'a [&str]) -> impl Iterator<Item = (&'static str, &'a str)> {
        let matching = self.given.iter().filter(|(given, _)| names.contains(&given.long));
        matching.map(|(given, value)| (given.long, value.as_str()))
    }
}

fn find_long(tables: Tables, long: &str) -> Option<&'static Flag> {
    tables.iter().flat_map(|table| table.iter()).find(|flag| flag.long == long)
}

fn find_short(tables: Tables, letter: u8) -> Option<&'static Flag> {
    tables.iter().flat_map(|table| table.iter()).find(|flag| flag.short == Some(letter))
}

/// Parses the words behind a command's name. With `interspersed`, flags may follow arguments; without, the first argument
/// ends them (`run IMAGE -x`: that `-x` belongs to the command in the container).
pub(crate) fn parse(tables: Tables, interspersed: bool, words: &[String]) -> Result<Parsed, Fault> {
    let mut parsed = Parsed { tables, given: Vec::new(), args: Vec::new() };
    let mut rest = words;
    while let [word, tail @ ..] = rest {
        rest = tail;
        match word.as_str() {
            "--" => {
                parsed.args.extend_from_slice(rest);
                break;
            }
            long if long.starts_with("--") => rest = parsed.take_long(&long[2..], rest)?,
            cluster if cluster.len() > 1 && cluster.starts_with('-') => rest = parsed.take_cluster(cluster, rest)?,
            argument => {
                parsed.args.push(argument.to_owned());
                if !interspersed {
                    parsed.args.extend_from_slice(rest);
                    break;
                }
            }
        }
    }
    Ok(parsed)
}

impl Parsed {
    fn take_long<'w>(&mut self, word: &str, rest: &'w [String]) -> Result<&'w [String], Fault> {
        if word.starts_with(['-', '=']) {
            return Err(Fault::Wrong(format!("bad flag syntax: --{word}")));
        }
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word, None),
        };
        if name == "help" {
            return Err(Fault::Help);
        }
        let Some(flag) = find_long(self.tables, name) else {
            return Err(Fault::Wrong(format!("unknown flag: --{name}")));
        };
        match (value, flag.kind, rest) {
            (Some(value), ..) => self.record(flag, value).map(|()| rest),
            (None, Kind::Bool, _) => self.record(flag, "true").map(|()| rest),
            (None, _, [value, tail @ ..]) => self.record(flag, value).map(|()| tail),
            (None, _, []) => Err(Fault::Wrong(format!("flag needs an argument: --{name}"))),
        }
    }

    /// Takes `-it`, `-eA=b`, `-e=A=b`, `-e A=b`: letters up to the first that takes a value.
    fn take_cluster<'w>(&mut self, cluster: &str, rest: &'w [String]) -> Result<&'w [String], Fault> {
        let mut letters = &cluster[1..];
        while let Some(letter) = letters.chars().next() {
            let tail = &letters[letter.len_utf8()..];
            let Some(flag) = u8::try_from(letter).ok().and_then(|letter| find_short(self.tables, letter)) else {
                let unknown = format!("unknown shorthand flag: '{letter}' in -{letters}");
                return Err(if letter == 'h' { Fault::Help } else { Fault::Wrong(unknown) });
            };
            if let Some(value) = tail.strip_prefix('=').filter(|_| !tail[1..].is_empty() || !is_bool(flag)) {
                return self.record(flag, value).map(|()| rest);
            }
            if is_bool(flag) {
                self.record(flag, "true")?;
                letters = tail;
                continue;
            }
            if !tail.is_empty() {
                return self.record(flag, tail).map(|()| rest);
            }
            let [value, after @ ..] = rest else {
                return Err(Fault::Wrong(format!("flag needs an argument: '{letter}' in -{letters}")));
            };
            return self.record(flag, value).map(|()| after);
        }
        Ok(rest)
    }

    fn record(&mut self, flag: &'static Flag, value: &str) -> Result<(), Fault> {
        check(flag, value)
            .map_err(|why| Fault::Wrong(format!("invalid argument {value:?} for {:?} flag: {why}", flag.spelled())))?;
        self.given.push((flag, value.to_owned()));
        Ok(())
    }
}

/// The flag of a word, if its value is the next word: `--name`, `-e`, `-ite`.
pub(crate) fn awaits(tables: Tables, word: &str) -> Option<&'static Flag> {
    if let Some(name) = word.strip_prefix("--") {
        return find_long(tables, name).filter(|flag| !is_bool(flag));
    }
    let mut letters = word.bytes().skip(1);
    let valued = letters.find_map(|letter| find_short(tables, letter).filter(|flag| !is_bool(flag)))?;
    letters.next().is_none().then_some(valued)
}

fn is_bool(flag: &Flag) -> bool {
    matches!(flag.kind, Kind::Bool)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::flags::Elsewhere;

    const FLAGS: Tables = &[&[
        Flag::bool("rm", ""),
        Flag::bool("interactive", "").short(b'i'),
        Flag::bool("tty", "").short(b't'),
        Flag::bool("sig-proxy", "").default("true"),
        Flag::list("env", "").short(b'e'),
        Flag::text("name", ""),
        Flag::int("pids-limit", "").since(40),
        Flag::bool("ambient", "").since(43),
        Flag::int("count", "").elsewhere(Elsewhere::Windows),
    ]];

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    fn good(line: &str) -> Parsed {
        parse(FLAGS, false, &words(line)).unwrap_or_else(|fault| panic!("{line}: {fault:?}"))
    }

    fn wrong(line: &str) -> String {
        match parse(FLAGS, false, &words(line)) {
            Err(Fault::Wrong(text)) => text,
            Err(Fault::Help) => "help".into(),
            Ok(_) => panic!("{line} is accepted"),
        }
    }

    #[test]
    fn flags_stop_at_the_first_argument() {
        let parsed = good("--rm -it image -x --rm=false");
        assert!(parsed.on("rm") && parsed.on("interactive") && parsed.on("tty"));
        assert_eq!(parsed.args, ["image", "-x", "--rm=false"]);
        let parsed = parse(FLAGS, true, &words("a --rm b -- --c")).unwrap_or_else(|_| panic!());
        assert_eq!(parsed.args, ["a", "b", "--c"]);
    }

    #[test]
    fn values_are_given_in_every_way() {
        let parsed = good("-e A=1 -eB=2 -e=C=3 --env D=4 --env=E=5 -ite F=6 --name= - x");
        assert_eq!(parsed.strings("env"), ["A=1", "B=2", "C=3", "D=4", "E=5", "F=6"]);
        assert!(parsed.has("name") && parsed.some("name").is_none());
        assert_eq!(parsed.args, ["-", "x"]);
    }

    #[test]
    fn booleans_can_be_taken_back() {
        assert!(!good("--rm --rm=false x").on("rm"));
        assert!(!good("-i=0 x").on("interactive"));
        assert!(good("x").on("sig-proxy") && !good("--sig-proxy=false x").on("sig-proxy"));
    }

    #[test]
    fn flags_that_an_engine_is_too_old_for_are_refused_by_name() {
        let parsed = good("--pids-limit 1 --rm --ambient --count 2 --pids-limit=2 x");
        let refused = |minor| parsed.refused(Version::new(1, minor)).unwrap_or_default();
        let windows = "\"--count\" is only supported on a Docker daemon running on windows, but the Docker daemon is \
                       running on linux";
        let ambient =
            |minor| format!("\"--ambient\" requires API version 1.43, but the Docker daemon API version is 1.{minor}");
        let limit = "\"--pids-limit\" requires API version 1.40, but the Docker daemon API version is 1.39";
        assert_eq!(refused(43), windows);
        assert_eq!(refused(40), format!("{}\n{windows}", ambient(40)));
        assert_eq!(refused(39), format!("{}\n{windows}\n{limit}", ambient(39)));
        assert!(parsed.needs_version() && !good("--rm --count 2 x").needs_version());
    }

    #[test]
    fn faults_in_pflags_words() {
        assert_eq!(wrong("--foo"), "unknown flag: --foo");
        assert_eq!(wrong("--foo=1"), "unknown flag: --foo");
        assert_eq!(wrong("-itZ x"), "unknown shorthand flag: 'Z' in -Z");
        assert_eq!(wrong("-Zit x"), "unknown shorthand flag: 'Z' in -Zit");
        assert_eq!(wrong("--name"), "flag needs an argument: --name");
        assert_eq!(wrong("-ie"), "flag needs an argument: 'e' in -e");
        assert_eq!(
            wrong("--rm=x"),
            "invalid argument \"x\" for \"--rm\" flag: strconv.ParseBool: parsing \"x\": invalid syntax"
        );
        assert_eq!(
            wrong("--pids-limit y"),
            "invalid argument \"y\" for \"--pids-limit\" flag: strconv.ParseInt: parsing \"y\": invalid syntax"
        );
        assert_eq!(wrong("--=x"), "bad flag syntax: --=x");
        assert_eq!(wrong("--help"), "help");
    }

    proptest! {
        #[test]
        fn no_words_make_it_panic(words in proptest::collection::vec("-{0,3}[a-zé=]{0,4}", 0..6), interspersed: bool) {
            drop(parse(FLAGS, interspersed, &words));
        }

        #[test]
        fn words_without_dashes_are_arguments(words in proptest::collection::vec("[a-z][a-z=-]{0,6}", 0..6)) {
            prop_assert_eq!(parse(FLAGS, true, &words).expect("no flags").args, words);
        }
    }

    impl std::fmt::Debug for Parsed {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.debug_list().entries(self.given.iter().map(|(flag, value)| (flag.long, value))).finish()
        }
    }
}
