//! `-e` and `--env-file`.

use std::env;

use dhow_errdefs::{Error, Result};

use super::wrong;
use crate::flags::Parsed;

/// Checks a value of `-e`.
pub(crate) fn check_variable(text: &str) -> Result<(), String> {
    match text.starts_with('=') || text.is_empty() {
        true => Err(format!("invalid environment variable: {text}")),
        false => Ok(()),
    }
}

/// The variables of all files, then those of `-e`. A name without a value takes its value from our own environment; one
/// that is not there is passed on bare by `-e` (which takes it away from the image's) and dropped by a file.
pub(crate) fn variables(flags: &Parsed) -> Result<Vec<String>> {
    let mut variables = Vec::new();
    for path in flags.list("env-file") {
        let text = match std::fs::metadata(path) {
            Ok(found) if found.is_dir() => {
                return Err(wrong(format!("invalid env file ({path}): read {path}: is a directory")));
            }
            _ => read(path)?,
        };
        variables.extend(parse_file(path, &text, |name| env::var(name).ok())?);
    }
    variables.extend(flags.list("env").map(|text| match (text.contains('='), env::var(text)) {
        (false, Ok(value)) => format!("{text}={value}"),
        _ => text.to_owned(),
    }));
    Ok(variables)
}

/// Reads a file named by a flag; the error is worded as Go words it.
pub(super) fn read(path: &str) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|cause| open_failed(path, &cause))
}

/// `open /x: no such file or directory`.
pub(crate) fn open_failed(path: &str, cause: &std::io::Error) -> Error {
    let why = match cause.kind() {
        std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        std::io::ErrorKind::IsADirectory => return wrong(format!("read {path}: is a directory")),
        _ => cause.to_string(),
    };
    Error::new(cause.kind().into(), format!("open {path}: {why}"))
}

/// Opens a file that is to be sent: a folder opens, too, and fails only when somebody reads it.
pub(crate) fn open_file(path: &str) -> Result<std::fs::File> {
    let opened = std::fs::File::open(path).and_then(|file| match file.metadata()?.is_dir() {
        true => Err(std::io::ErrorKind::IsADirectory.into()),
        false => Ok(file),
    });
    opened.map_err(|cause| open_failed(path, &cause))
}

/// One variable per line; `#` comments; blanks before a line do not count, behind a name they are an error.
pub(super) fn parse_file(path: &str, text: &[u8], outside: impl Fn(&str) -> Option<String>) -> Result<Vec<String>> {
    let invalid = |why: &str| wrong(format!("invalid env file ({path}): {why}"));
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut variables = Vec::new();
    for (number, line) in text.split(|&byte| byte == b'\n').enumerate() {
        let line = std::str::from_utf8(line)
            .map_err(|_| invalid(&format!("invalid utf8 bytes at line {}: {}", number + 1, listed(line))))?;
        let line = line.trim_end_matches('\r').trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = line.split_once('=').map_or((line, None), |(name, value)| (name, Some(value)));
        if name.is_empty() {
            return Err(invalid(&format!("no variable name on line '{line}'")));
        }
        if name.contains([' ', '\t', '\n']) {
            return Err(invalid(&format!("variable '{name}' contains whitespaces")));
        }
        match value {
            Some(value) => variables.push(format!("{name}={value}")),
            None => variables.extend(outside(name).map(|value| format!("{name}={value}"))),
        }
    }
    Ok(variables)
}

/// Bytes as Go prints them: `[127 69]`.
fn listed(bytes: &[u8]) -> String {
    let numbers: Vec<String> = bytes.iter().map(u8::to_string).collect();
    format!("[{}]", numbers.join(" "))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<Vec<String>> {
        parse_file("f", text.as_bytes(), |name| (name == "HOME").then(|| "/root".to_owned()))
    }

    #[test]
    fn files_are_read_line_by_line() {
        let text = "\u{feff}A=1\r\n  # comment\n\n  B = no\n";
        assert_eq!(parse(text).unwrap_err().to_string(), "invalid env file (f): variable 'B ' contains whitespaces");
        assert_eq!(parse("A=1=2\n  B= x \nHOME\nNOWHERE\nC=").unwrap(), ["A=1=2", "B= x ", "HOME=/root", "C="]);
        assert_eq!(parse("=x").unwrap_err().to_string(), "invalid env file (f): no variable name on line '=x'");
        assert_eq!(read("/nope").unwrap_err().to_string(), "open /nope: no such file or directory");
    }

    #[test]
    fn names_must_not_be_empty() {
        assert_eq!(check_variable("=x").unwrap_err(), "invalid environment variable: =x");
        assert!(check_variable("A").is_ok());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(pairs in proptest::collection::vec(("[A-Z_]{1,8}", "[ -~]{0,12}"), 0..5)) {
            let lines: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
            prop_assert_eq!(parse(&lines.join("\n")).unwrap(), lines);
        }

        #[test]
        fn nothing_makes_it_panic(text in proptest::collection::vec(any::<u8>(), 0..64)) {
            drop(parse_file("f", &text, |_| None));
        }
    }
}
