//! `-v`: binds, named volumes and anonymous volumes.

use std::env;
use std::path::Path;

use dhow_errdefs::Result;

use super::wrong;

/// What a `-v` asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Volume {
    /// A path alone: an anonymous volume there.
    Anonymous(String),
    /// `source:target[:options]`, with the source made absolute if it is a relative path.
    Bind(String),
}

/// Reads a value. What the options mean, and whether the paths make sense, the engine decides.
pub(super) fn parse(text: &str) -> Result<Volume> {
    if text.is_empty() {
        return Err(wrong("invalid empty volume spec"));
    }
    // Docker does not look for the sections of so short a text.
    if text.len() <= 2 {
        return Ok(Volume::Anonymous(text.to_owned()));
    }
    let sections = sections(text);
    if sections.len() > 4 || sections.len() == 4 && !sections[3].is_empty() {
        return Err(wrong(format!("invalid spec: {text}: too many colons")));
    }
    if sections.iter().any(|section| section.is_empty()) {
        return Err(wrong(format!("invalid spec: {text}: empty section between colons")));
    }
    match sections[..] {
        [target] => Ok(Volume::Anonymous(target.to_owned())),
        [source, ..] if source.starts_with('.') => {
            let rest = &text[source.len()..];
            Ok(Volume::Bind(format!("{}{rest}", absolute(source))))
        }
        _ => Ok(Volume::Bind(text.to_owned())),
    }
}

/// What is between the colons. One letter and a colon begin a path of Windows, as they do for Docker's client.
fn sections(text: &str) -> Vec<&str> {
    let (mut sections, mut start) = (Vec::new(), 0);
    for (at, _) in text.match_indices(':') {
        let is_drive = at == start + 1 && text.as_bytes()[start].is_ascii_alphabetic();
        if !is_drive {
            sections.push(&text[start..at]);
            start = at + 1;
        }
    }
    sections.push(&text[start..]);
    sections
}

/// A path made absolute from the current folder, `.` and `..` resolved by name as Go's `filepath.Abs` does.
pub(super) fn absolute(path: &str) -> String {
    let whole = env::current_dir().unwrap_or_else(|_| "/".into()).join(path);
    clean(&whole)
}

fn clean(path: &Path) -> String {
    let mut parts: Vec<&str> = Vec::new();
    let text = path.to_string_lossy();
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn kinds_of_volumes() {
        assert_eq!(parse("/data").unwrap(), Volume::Anonymous("/data".into()));
        assert_eq!(parse("name:/data:ro,z").unwrap(), Volume::Bind("name:/data:ro,z".into()));
        let here = env::current_dir().unwrap().display().to_string();
        assert_eq!(parse("./x/../y:/d").unwrap(), Volume::Bind(format!("{here}/y:/d")));
        assert_eq!(parse(":/x").unwrap_err().to_string(), "invalid spec: :/x: empty section between colons");
        assert_eq!(parse("").unwrap_err().to_string(), "invalid empty volume spec");
        assert_eq!(parse("/a:/b:/c:/d").unwrap_err().to_string(), "invalid spec: /a:/b:/c:/d: too many colons");
        assert_eq!(parse("a:b").unwrap(), Volume::Anonymous("a:b".into()));
        assert_eq!(parse("ab:/c").unwrap(), Volume::Bind("ab:/c".into()));
    }

    #[test]
    fn paths_are_cleaned_by_name() {
        assert_eq!(clean(Path::new("/a/./b//../c/")), "/a/c");
        assert_eq!(clean(Path::new("/../..")), "/");
    }

    proptest! {
        #[test]
        fn absolute_sources_stay_as_they_are(source in "/[a-z/]{0,8}[a-z]", target in "/[a-z]{1,8}") {
            let text = format!("{source}:{target}");
            prop_assert_eq!(parse(&text).unwrap(), Volume::Bind(text));
        }

        #[test]
        fn nothing_makes_it_panic(text in ".{0,16}") {
            drop(parse(&text));
        }
    }
}
