//! The `Options:` part of help, laid out as `pflag` does it.

use std::fmt::Write;

use dhow_api::version::Version;

use super::{Flag, Kind, Tables};

/// Columns when standard input is no terminal.
const COLUMNS: usize = 80;
/// A last line may be longer by that much rather than leave an orphaned word.
const SLACK: usize = 5;
/// Narrower than this, the description begins on a line of its own.
const NARROW: usize = 24;

/// The width to wrap at, one less than the terminal has.
pub(crate) fn columns_of_terminal() -> usize {
    let size = rustix::termios::tcgetwinsize(rustix::stdio::stdin());
    size.ok().map(|size| usize::from(size.ws_col)).filter(|&columns| columns > 0).unwrap_or(COLUMNS) - 1
}

/// All visible flags that engines of that version know, sorted, one description each, wrapped at `columns`.
pub(crate) fn describe(tables: Tables, columns: usize, version: Version) -> String {
    let shown = |flag: &&Flag| !flag.hidden && version.at_least(flag.since);
    let mut flags: Vec<&Flag> = tables.iter().flat_map(|table| table.iter()).filter(shown).collect();
    flags.sort_by_key(|flag| flag.long);
    let names: Vec<String> = flags.iter().map(|flag| name(flag)).collect();
    let widest = names.iter().map(String::len).max().unwrap_or(0);
    let mut text = String::new();
    for (flag, name) in flags.iter().zip(&names) {
        let description = wrap(widest + 3, columns, &description(flag));
        writeln!(text, "{name:widest$}   {description}").expect("writing to a String cannot fail");
    }
    text
}

fn name(flag: &Flag) -> String {
    let mut name = match flag.short {
        Some(letter) => format!("  -{}, --{}", char::from(letter), flag.long),
        None => format!("      --{}", flag.long),
    };
    if !flag.placeholder.is_empty() {
        name.push(' ');
        name.push_str(flag.placeholder);
    }
    name
}

fn description(flag: &Flag) -> String {
    let default = match (flag.shown, flag.kind, flag.default) {
        (Some(shown), ..) => shown.to_owned(),
        (None, _, "") => return flag.help.to_owned(),
        (None, Kind::Text, value) if flag.placeholder == "string" => format!("{value:?}"),
        (None, _, value) => value.to_owned(),
    };
    format!("{} (default {default})", flag.help)
}

fn wrap(indent: usize, columns: usize, text: &str) -> String {
    let (indent, mut lines) = match columns.saturating_sub(indent) < NARROW {
        true => (16, vec![String::new()]),
        false => (indent, Vec::new()),
    };
    let room = columns.saturating_sub(indent);
    if room < NARROW {
        return text.to_owned();
    }
    let mut rest = text;
    loop {
        let (line, tail) = cut(rest, room - SLACK);
        lines.extend(line.split('\n').map(str::to_owned));
        match tail {
            Some(tail) => rest = tail,
            None => break,
        }
    }
    lines.join(&format!("\n{:indent$}", ""))
}

/// One line of at most `room` bytes (and a little more if that is the end), and what is left.
fn cut(text: &str, room: usize) -> (&str, Option<&str>) {
    if room + SLACK > text.len() {
        return (text, None);
    }
    let window = &text.as_bytes()[..room];
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n');
    let newline = window.iter().rposition(|&byte| byte == b'\n').filter(|&at| at > 0);
    match window.iter().rposition(blank).filter(|&at| at > 0) {
        None => (text, None),
        Some(at) => {
            let at = newline.unwrap_or(at);
            (&text[..at], Some(&text[at + 1..]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_stand_in_one_column_and_wrap() {
        const FLAGS: Tables = &[&[
            Flag::bool("all", "Show everything").short(b'a'),
            Flag::int("last", "Show the newest ones, in whatever state they may be at this moment")
                .short(b'n')
                .default("-1"),
            Flag::text("pull", "When to pull").default("missing"),
            Flag::bool("secret", "not shown").hidden(),
        ]];
        let expected = "  -a, --all           Show everything
  -n, --last int      Show the newest
                      ones, in whatever
                      state they may be
                      at this moment
                      (default -1)
      --pull string   When to pull
                      (default \"missing\")
";
        assert_eq!(describe(FLAGS, 47, Version::MAX), expected);
    }
}
