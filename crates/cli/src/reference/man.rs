//! Man pages (man(7), groff_man(7)).

use std::fmt::Write;

use super::prose::{Part, parts};
use super::{file_name, flags};
use crate::command::Command;

/// The page of one command.
pub(super) fn page(command: &Command, prose: &str) -> String {
    let name = command.names[0];
    let title = format!("dhow-{}", file_name(name));
    let mut text = head(&title, command.summary);
    let line = format!("dhow {name} {}", command.usage);
    section(&mut text, "SYNOPSIS", &format!(".B {}", escape(line.trim_end())));
    for other in &command.names[1..] {
        push(&mut text, &format!(".br\n.B {}", escape(&format!("dhow {other} {}", command.usage))));
    }
    section(&mut text, "DESCRIPTION", "");
    for part in parts(prose) {
        match part {
            Part::Paragraph(words) => push(&mut text, &format!(".PP\n{}", escape(&words.replace('`', "")))),
            Part::Example(lines) => push(&mut text, &format!(".PP\n.nf\n.RS\n{}\n.RE\n.fi", escape(lines.trim_end()))),
        }
    }
    let flags = flags(command);
    if !flags.is_empty() {
        section(&mut text, "OPTIONS", "");
    }
    for flag in flags {
        let value =
            if flag.placeholder.is_empty() { String::new() } else { format!(" \\fI{}\\fR", escape(flag.placeholder)) };
        push(&mut text, &format!(".TP\n\\fB{}\\fR{value}\n{}", escape(&flag.spelled()), escape(flag.help)));
    }
    section(&mut text, "SEE ALSO", ".BR dhow (1)");
    text
}

/// The page that leads to all others.
pub(super) fn of_program(groups: &[(&str, &str)], commands: &[&Command]) -> String {
    let mut text = head("dhow", "a container engine that needs almost no crew");
    section(&mut text, "SYNOPSIS", ".B dhow [OPTIONS] COMMAND");
    section(&mut text, "COMMANDS", "");
    for (group, summary) in groups {
        push(&mut text, &format!(".SS {}", escape(summary)));
        let prefix = format!("{group} ");
        commands
            .iter()
            .filter(|command| command.names[0].starts_with(&prefix))
            .for_each(|command| list(&mut text, command));
    }
    push(&mut text, ".SS Others");
    commands.iter().filter(|command| !command.names[0].contains(' ')).for_each(|command| list(&mut text, command));
    text
}

fn list(text: &mut String, command: &Command) {
    let page = escape(&format!("dhow-{}", file_name(command.names[0])));
    push(text, &format!(".TP\n.BR {page} (1)\n{}", escape(command.summary)));
}

fn head(title: &str, summary: &str) -> String {
    format!(".TH {} 1 \"\" dhow\n.SH NAME\n{} \\- {}\n", escape(&title.to_uppercase()), escape(title), escape(summary))
}

fn section(text: &mut String, name: &str, content: &str) {
    push(text, &format!(".SH {name}"));
    if !content.is_empty() {
        push(text, content);
    }
}

fn push(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("writing to a String cannot fail");
}

/// Text that roff takes for text: dashes that can be copied, no requests at the beginning of lines.
fn escape(text: &str) -> String {
    let plain = text.replace('\\', "\\e").replace('-', "\\-");
    let lines = plain.lines().map(|line| match line.starts_with(['.', '\'']) {
        true => format!("\\&{line}"),
        false => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn text_stays_text() {
    assert_eq!(escape(".x\n'y\na-b \\ c"), "\\&.x\n\\&'y\na\\-b \\e c");
}
