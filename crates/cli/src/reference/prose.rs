//! What people have written about each command: a heading with its grouped name, paragraphs, examples (indented by four).

use std::collections::BTreeMap;

const TEXT: &str = include_str!("prose.md");

/// From the name of a command to what is said about it.
pub(super) fn read() -> BTreeMap<&'static str, &'static str> {
    let sections = TEXT.split("\n## ").skip(1);
    sections
        .filter_map(|section| section.split_once('\n'))
        .map(|(name, words)| (name.trim(), words.trim_matches('\n')))
        .collect()
}

/// Paragraphs (without line ends) and examples, in order.
pub(super) enum Part {
    Paragraph(String),
    Example(String),
}

/// Takes a section apart.
pub(super) fn parts(words: &str) -> Vec<Part> {
    let blocks = words.split("\n\n").filter(|block| !block.trim().is_empty());
    blocks
        .map(|block| match block.starts_with("    ") {
            true => {
                Part::Example(block.lines().map(|line| line.trim_start_matches("    ").to_owned() + "\n").collect())
            }
            false => Part::Paragraph(block.lines().collect::<Vec<_>>().join(" ")),
        })
        .collect()
}
