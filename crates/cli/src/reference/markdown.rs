//! Pages for people who read on the web or in the project.

use std::fmt::Write;

use super::prose::{Part, parts};
use super::{file_name, flags};
use crate::command::Command;
use crate::flags::Flag;

const GENERATED: &str = "<!-- Made by `cargo xtask docs`. The prose is in crates/cli/src/reference/prose.md. -->\n";

/// The page of one command.
pub(super) fn page(command: &Command, prose: &str) -> String {
    let name = command.names[0];
    let mut text = format!("{GENERATED}# dhow {name}\n\n{}.\n\n", command.summary);
    let usage = format!("dhow {name} {}", command.usage);
    writeln!(text, "```\n{}\n```\n", usage.trim_end()).expect("writing to a String cannot fail");
    if command.names.len() > 1 {
        let names: Vec<String> = command.names[1..].iter().map(|name| format!("`dhow {name}`")).collect();
        writeln!(text, "Synonyms: {}\n", names.join(", ")).expect("writing to a String cannot fail");
    }
    for part in parts(prose) {
        match part {
            Part::Paragraph(words) => writeln!(text, "{words}\n"),
            Part::Example(lines) => writeln!(text, "```sh\n{lines}```\n"),
        }
        .expect("writing to a String cannot fail");
    }
    table(&mut text, &flags(command));
    text.trim_end().to_owned() + "\n"
}

fn table(text: &mut String, flags: &[&Flag]) {
    if flags.is_empty() {
        return;
    }
    text.push_str("## Flags\n\n| flag | value | meaning |\n|---|---|---|\n");
    for flag in flags {
        let names = match flag.short {
            Some(letter) => format!("`-{}`, `--{}`", char::from(letter), flag.long),
            None => format!("`--{}`", flag.long),
        };
        let value = if flag.placeholder.is_empty() { String::new() } else { format!("`{}`", flag.placeholder) };
        let default = match (flag.shown, flag.default) {
            (Some(shown), _) => format!(" (default `{shown}`)"),
            (None, "") => String::new(),
            (None, value) => format!(" (default `{value}`)"),
        };
        let meaning = flag.help.replace('|', "\\|").replace('\n', "<br>");
        writeln!(text, "| {names} | {value} | {meaning}{default} |").expect("writing to a String cannot fail");
    }
}

/// The list of all pages.
pub(super) fn index(groups: &[(&str, &str)], commands: &[&Command]) -> String {
    let mut text = format!("{GENERATED}# Commands\n");
    let sections = groups.iter().map(|(group, summary)| (Some(*group), *summary));
    for (group, summary) in sections.chain([(None, "Without a group")]) {
        write!(text, "\n## {summary}\n\n").expect("writing to a String cannot fail");
        for command in commands.iter().filter(|command| command.names[0].split_once(' ').map(|(of, _)| of) == group) {
            let name = command.names[0];
            writeln!(text, "- [dhow {name}]({}.md): {}", file_name(name), command.summary)
                .expect("writing to a String cannot fail");
        }
    }
    text
}
