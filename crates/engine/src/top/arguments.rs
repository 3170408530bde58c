//! The options of `ps` (procps), in all three of its grammars: `-ef` (Unix), `aux` (BSD), `--sort=pid` (GNU).
//!
//! Which processes there are is the container's business, so that options that choose among all processes of a host
//! (`-e`, `a`, `x`) are taken and change nothing. What is known to `ps` and not to us is refused by name.

use dhow_errdefs::{Error, Result};

use super::column::{self, Cell, Column};
use super::select::Selector;
use super::tree::Lines;

/// What is to be shown.
#[derive(Clone, Default)]
pub(super) struct Wanted {
    pub columns: Vec<Column>,
    pub headers: bool,
    pub threads: bool,
    pub tree: Option<Lines>,
    pub selectors: Vec<Selector>,
    /// Columns to sort by, and whether the greatest comes first.
    pub sort: Vec<(Cell, bool)>,
}

/// Docker's guard: a column may not pass itself off as that of the process ids.
pub(super) fn check(arguments: &str) -> Result<()> {
    let words: Vec<&str> = arguments.split_ascii_whitespace().collect();
    for (index, word) in words.iter().enumerate().skip(usize::from(!arguments.starts_with([' ', '\t']))) {
        for (equals, _) in word.match_indices('=') {
            let (name, title) = (&word[..equals], &word[equals + 1..]);
            let title = if title.is_empty() { words.get(index + 1).copied().unwrap_or_default() } else { title };
            if title.starts_with("PID") && name != "pid" {
                return Err(Error::invalid(format!("specifying \"{name}={title}\" is not allowed")));
            }
        }
    }
    Ok(())
}

/// What was typed, before it is known which format that makes.
#[derive(Default)]
struct Typed {
    wanted: Wanted,
    /// Columns of `-o`.
    own: Vec<Column>,
    /// Those of `-O`, which stand between the usual ones.
    more: Vec<Column>,
    /// Letters that choose a format.
    unix: Vec<u8>,
    bsd: Vec<u8>,
    /// Any word without a dash: the usual format is then BSD's.
    is_bsd: bool,
    /// `c`: the name of the program in place of its command line.
    names: bool,
    no_headers: bool,
}

impl Wanted {
    /// Reads the words.
    ///
    /// # Errors
    /// In the words of `ps`, as Docker hands them on; `NotImplemented` for what only the real `ps` can.
    pub(super) fn parse(arguments: &str) -> Result<Self> {
        let mut typed = Typed::default();
        let mut words = arguments.split_ascii_whitespace().collect::<Vec<_>>().into_iter();
        while let Some(word) = words.next() {
            match word.strip_prefix("--") {
                Some(long) => typed.long(long, &mut words)?,
                None => match word.strip_prefix('-') {
                    Some(letters) => typed.unix(letters, &mut words)?,
                    None => typed.bsd(word, &mut words)?,
                },
            }
        }
        typed.finish()
    }
}

type Words<'a> = std::vec::IntoIter<&'a str>;

impl Typed {
    fn long(&mut self, word: &str, words: &mut Words<'_>) -> Result<()> {
        let (name, value) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
        let mut value = || value.or_else(|| words.next());
        let list = |value: Option<&str>, what: &str, option: &str| match value {
            Some(value) => Ok(value.to_owned()),
            None => Err(wrong(&format!("{what} must follow {option}"))),
        };
        match name {
            "format" => self.own.extend(columns(&list(value(), "format specification", "--format")?)?),
            "sort" => self.sort(&list(value(), "long sort specification", "--sort")?)?,
            "pid" => self.pids(&list(value(), "list of process IDs", "--pid")?)?,
            "user" => self.each(&list(value(), "list of users", "--user")?, Selector::EffectiveUser),
            "User" => self.each(&list(value(), "list of real users", "--User")?, Selector::RealUser),
            "forest" => self.wanted.tree = Some(Lines::Drawn),
            "no-headers" | "no-heading" | "noheaders" | "noheading" => self.no_headers = true,
            "headers" | "heading" | "deselect" | "cumulative" | "cols" | "columns" | "width" | "rows" | "lines"
            | "context" | "group" | "Group" | "ppid" | "quick-pid" | "sid" | "tty" | "info" | "version" | "help" => {
                return Err(missing(&format!("--{name}")));
            }
            _ => return Err(wrong("unknown gnu long option")),
        }
        Ok(())
    }

    fn unix(&mut self, letters: &str, words: &mut Words<'_>) -> Result<()> {
        let mut rest = letters;
        while let Some(letter) = rest.bytes().next() {
            let after = rest.get(1..).unwrap_or_default();
            if !b"oOpCuUkqgGstn".contains(&letter) {
                self.unix_letter(letter)?;
                rest = after;
                continue;
            }
            let value = if after.is_empty() { words.next() } else { Some(after) };
            // What people write for `aux`: there is no user x.
            if (letter, value) == (b'u', Some("x")) {
                return self.bsd(letters, words);
            }
            return self.unix_value(letter, value);
        }
        Ok(())
    }

    fn unix_letter(&mut self, letter: u8) -> Result<()> {
        match letter {
            b'e' | b'A' | b'a' | b'd' | b'w' => {}
            b'f' | b'F' | b'l' | b'y' | b'j' => self.unix.push(letter),
            b'L' | b'T' => {
                self.unix.push(letter);
                self.wanted.threads = true;
            }
            b'H' => self.wanted.tree = Some(Lines::Blank),
            b'c' | b'M' | b'N' | b'P' | b'V' | b'Z' | b'm' | b'x' => {
                return Err(missing(&format!("-{}", char::from(letter))));
            }
            _ => return Err(wrong("unsupported SysV option")),
        }
        Ok(())
    }

    fn unix_value(&mut self, letter: u8, value: Option<&str>) -> Result<()> {
        let letter = char::from(letter);
        let given = |what: &str| value.ok_or_else(|| wrong(&format!("{what} must follow -{letter}")));
        match letter {
            'o' => self.own.extend(columns(given("format specification")?)?),
            'O' => self.more.extend(columns(given("format or sort specification")?)?),
            'p' => self.pids(given("list of process IDs")?)?,
            'C' => self.each(given("list of command names")?, Selector::Name),
            'u' => self.each(given("list of users")?, Selector::EffectiveUser),
            'U' => self.each(given("list of real users")?, Selector::RealUser),
            _ => return Err(missing(&format!("-{letter}"))),
        }
        Ok(())
    }

    fn bsd(&mut self, letters: &str, words: &mut Words<'_>) -> Result<()> {
        self.is_bsd = true;
        let mut rest = letters;
        while let Some(letter) = rest.bytes().next() {
            let after = rest.get(1..).unwrap_or_default();
            if !b"oOkpUt".contains(&letter) {
                self.bsd_letter(letter)?;
                rest = after;
                continue;
            }
            let value = if after.is_empty() { words.next() } else { Some(after) };
            let given = |what: &str| value.ok_or_else(|| wrong(&format!("{what} must follow {}", char::from(letter))));
            match letter {
                b'o' => self.own.extend(columns(given("format specification")?)?),
                b'O' => self.more.extend(columns(given("format or sort specification")?)?),
                b'k' => self.sort(given("long sort specification")?)?,
                b'p' => self.pids(given("list of process IDs")?)?,
                b'U' => self.each(given("list of users")?, Selector::EffectiveUser),
                _ => return Err(missing(&char::from(letter).to_string())),
            }
            return Ok(());
        }
        Ok(())
    }

    fn bsd_letter(&mut self, letter: u8) -> Result<()> {
        match letter {
            b'a' | b'x' | b'g' | b'w' => {}
            b'u' | b'l' | b'j' | b'v' | b's' => self.bsd.push(letter),
            b'f' => self.wanted.tree = Some(Lines::Drawn),
            b'r' => self.wanted.selectors.push(Selector::Running),
            b'c' => self.names = true,
            b'h' => self.no_headers = true,
            b'H' => self.wanted.threads = true,
            b'0'..=b'9' | b'e' | b'n' | b'm' | b'q' | b'L' | b'M' | b'N' | b'S' | b'T' | b'V' | b'X' | b'Z' => {
                return Err(missing(&char::from(letter).to_string()));
            }
            _ => return Err(wrong("unsupported option (BSD syntax)")),
        }
        Ok(())
    }

    fn each(&mut self, list: &str, selector: impl Fn(String) -> Selector) {
        self.wanted.selectors.extend(list.split(',').map(|word| selector(word.to_owned())));
    }

    fn pids(&mut self, list: &str) -> Result<()> {
        for word in list.split(',') {
            let pid = word.parse().map_err(|_| wrong("process ID list syntax error"))?;
            self.wanted.selectors.push(Selector::Pid(pid));
        }
        Ok(())
    }

    fn sort(&mut self, keys: &str) -> Result<()> {
        for key in keys.split(',') {
            let (name, falling) = match key.strip_prefix('-') {
                Some(name) => (name, true),
                None => (key.strip_prefix('+').unwrap_or(key), false),
            };
            let column = column::named(name).ok_or_else(|| wrong("unknown sort specifier"))?;
            self.wanted.sort.push((column.cell, falling));
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Wanted> {
        let formats = [!self.own.is_empty(), !self.more.is_empty(), !self.unix.is_empty(), !self.bsd.is_empty()];
        let only_threads = self.unix.iter().all(|letter| b"LT".contains(letter));
        let several = formats.iter().filter(|given| **given).count() > 1;
        // Rows for threads go with columns of one's own.
        let together = only_threads && !self.own.is_empty();
        if several && !together {
            return Err(wrong("conflicting format options"));
        }
        let mut columns = if !self.own.is_empty() {
            std::mem::take(&mut self.own)
        } else if !self.more.is_empty() {
            let end = column::all(&["s", "tty", "time", "args"]);
            column::all(&["pid"]).into_iter().chain(std::mem::take(&mut self.more)).chain(end).collect()
        } else if self.is_bsd && self.unix.is_empty() {
            column::all(self.bsd_format())
        } else {
            column::all(&self.unix_format())
        };
        if self.names {
            let (full, name) = (column::all(&["args"])[0].cell, column::all(&["comm"])[0].cell);
            columns.iter_mut().filter(|column| std::ptr::fn_addr_eq(column.cell, full)).for_each(|it| it.cell = name);
        }
        let titled = columns.iter().any(|column| !column.title.is_empty());
        Ok(Wanted { columns, headers: titled && !self.no_headers, ..self.wanted })
    }

    fn bsd_format(&self) -> &'static [&'static str] {
        match self.bsd.first() {
            Some(b'u') => &["user", "pid", "%cpu", "%mem", "vsz", "rss", "tty", "stat", "bsdstart", "bsdtime", "args"],
            Some(b'l') => {
                &["f", "uid", "pid", "ppid", "opri", "ni", "vsz", "rss", "wchan", "stat", "tty", "bsdtime", "args"]
            }
            Some(b'j') => &["ppid", "pid", "pgid", "sid", "tty", "tpgid", "stat", "uid", "bsdtime", "args"],
            Some(b'v') => &["pid", "tty", "stat", "bsdtime", "majfl", "trs", "drs", "rss", "%mem", "args"],
            Some(_) => &["uid", "pid", "pending", "blocked", "ignored", "caught", "stat", "tty", "bsdtime", "args"],
            None => &["pid", "tty", "stat", "bsdtime", "args"],
        }
    }

    fn unix_format(&self) -> Vec<&'static str> {
        let has = |letter: u8| self.unix.contains(&letter);
        let (full, more, long, jobs, threads) = (has(b'f'), has(b'F'), has(b'l'), has(b'j'), has(b'L'));
        let mut columns = Vec::new();
        let mut add = |when: bool, names: &[&'static str]| {
            if when {
                columns.extend(names);
            }
        };
        let any_full = full || more;
        add(long && !has(b'y'), &["f"]);
        add(long, &["s"]);
        add(any_full, &["uid_hack"]);
        add(long && !any_full, &["uid"]);
        add(true, &["pid"]);
        add(has(b'T'), &["spid"]);
        add(any_full || long, &["ppid"]);
        add(jobs, &["pgid", "sid"]);
        add(threads, &["lwp"]);
        add(any_full || long, &["c"]);
        add(threads && any_full, &["nlwp"]);
        add(long, &["opri", "ni"]);
        add(long && !has(b'y'), &["addr"]);
        add((more || long) && has(b'y'), &["rss"]);
        add(more || long, &["sz"]);
        add(more && !has(b'y'), &["rss"]);
        add(more, &["psr"]);
        add(long, &["wchan"]);
        add(any_full, &["stime"]);
        add(true, &["tty", "time"]);
        add(true, if any_full { &["cmd"] } else { &["ucmd"] });
        columns
    }
}

/// Columns of `-o`: names between commas; behind `=` everything is the title.
fn columns(list: &str) -> Result<Vec<Column>> {
    let (list, title) = list.split_once('=').map_or((list, None), |(list, title)| (list, Some(title)));
    let known = |name: &str| {
        column::named(name).ok_or_else(|| wrong(&format!("unknown user-defined format specifier \"{name}\"")))
    };
    let mut columns = list.split(',').filter(|name| !name.is_empty()).map(known).collect::<Result<Vec<_>>>()?;
    match (columns.last_mut(), title) {
        (None, _) => return Err(wrong("empty format list")),
        (Some(last), Some(title)) => last.title = title.to_owned(),
        (Some(_), None) => {}
    }
    Ok(columns)
}

/// What `ps` says about a command line it does not understand, as Docker hands it on.
fn wrong(why: &str) -> Error {
    Error::internal(format!("ps: error: {why}"))
}

/// An option that `ps` has and we have not.
fn missing(option: &str) -> Error {
    Error::not_implemented(format!("the ps option {option} is not supported"))
        .with_hint("columns can be chosen with -o, as in -o pid,user,args")
}

#[cfg(test)]
mod tests {
    use dhow_errdefs::Class;
    use proptest::prelude::*;

    use super::*;

    fn titles(arguments: &str) -> String {
        match Wanted::parse(arguments) {
            Ok(wanted) => wanted.columns.iter().map(|column| column.title.as_str()).collect::<Vec<_>>().join(" "),
            Err(error) => error.to_string(),
        }
    }

    /// The heads that procps 4.0.2 prints.
    #[test]
    fn formats_are_pss() {
        for (arguments, expected) in [
            ("", "PID TTY TIME CMD"),
            ("-e", "PID TTY TIME CMD"),
            ("-ef", "UID PID PPID C STIME TTY TIME CMD"),
            ("-eF", "UID PID PPID C SZ RSS PSR STIME TTY TIME CMD"),
            ("-l", "F S UID PID PPID C PRI NI ADDR SZ WCHAN TTY TIME CMD"),
            ("-ly", "S UID PID PPID C PRI NI RSS SZ WCHAN TTY TIME CMD"),
            ("-j", "PID PGID SID TTY TIME CMD"),
            ("-eLf", "UID PID PPID LWP C NLWP STIME TTY TIME CMD"),
            ("ax", "PID TTY STAT TIME COMMAND"),
            ("aux", "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND"),
            ("-aux", "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND"),
            ("l", "F UID PID PPID PRI NI VSZ RSS WCHAN STAT TTY TIME COMMAND"),
            ("j", "PPID PID PGID SID TTY TPGID STAT UID TIME COMMAND"),
            ("v", "PID TTY STAT TIME MAJFL TRS DRS RSS %MEM COMMAND"),
            ("s", "UID PID PENDING BLOCKED IGNORED CAUGHT STAT TTY TIME COMMAND"),
            ("-o pid,comm,args", "PID COMMAND COMMAND"),
            ("-opid -o user=WHO,AMI", "PID WHO,AMI"),
            ("-o pid= -o comm", " COMMAND"),
            ("-eo pid,cmd --sort=-pid", "PID CMD"),
            ("-O ppid", "PID PPID S TTY TIME COMMAND"),
        ] {
            assert_eq!(titles(arguments), expected, "{arguments}");
        }
    }

    #[test]
    fn faults_in_pss_words() {
        for (arguments, expected) in [
            ("-o foo", "ps: error: unknown user-defined format specifier \"foo\""),
            ("-o", "ps: error: format specification must follow -o"),
            ("-p x", "ps: error: process ID list syntax error"),
            ("-i", "ps: error: unsupported SysV option"),
            ("y", "ps: error: unsupported option (BSD syntax)"),
            ("--nonsense", "ps: error: unknown gnu long option"),
            ("--sort=foo", "ps: error: unknown sort specifier"),
            ("-f -o pid", "ps: error: conflicting format options"),
        ] {
            assert_eq!(titles(arguments), expected, "{arguments}");
        }
    }

    #[test]
    fn what_only_the_real_ps_can_is_named() {
        for (arguments, option) in [("-eZ", "-Z"), ("m", "m"), ("--ppid 1", "--ppid"), ("-g 1", "-g")] {
            let error = Wanted::parse(arguments).err().unwrap();
            assert_eq!(error.class(), Class::NotImplemented, "{arguments}");
            assert_eq!(error.to_string(), format!("the ps option {option} is not supported"));
        }
    }

    #[test]
    fn no_column_passes_itself_off_as_the_ids() {
        let refusal = |arguments| check(arguments).err().map(|error| error.to_string());
        assert_eq!(refusal("-o pid=PID,x"), None);
        assert_eq!(refusal("-o ppid=PID").as_deref(), Some("specifying \"ppid=PID\" is not allowed"));
        assert_eq!(refusal("-o ppid= PID").as_deref(), Some("specifying \"ppid=PID\" is not allowed"));
        assert_eq!(refusal("-o cmd=PIDX").as_deref(), Some("specifying \"cmd=PIDX\" is not allowed"));
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(words in proptest::collection::vec("-{0,2}[a-zA-Zä=,]{0,4}", 0..4)) {
            let arguments = words.join(" ");
            drop((Wanted::parse(&arguments), check(&arguments)));
        }
    }
}
