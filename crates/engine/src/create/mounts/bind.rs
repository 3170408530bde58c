//! `source:destination[:options]`.

use dhow_errdefs::{Error, Result};

use super::{Mount, PROPAGATIONS, Source, clean, destination};
use crate::create::is_restricted_name;

/// Reads one `-v`.
pub(super) fn parse(text: &str, new_name: &mut impl FnMut() -> String) -> Result<Mount> {
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, options) = match parts[..] {
        [target] => ("", target, ""),
        [source, target] => (source, target, ""),
        [source, target, options] if !options.is_empty() => (source, target, options),
        _ => return Err(malformed(text)),
    };
    if target.is_empty() || (source.is_empty() && parts.len() > 1) {
        return Err(malformed(text));
    }
    let bind = source.starts_with('/');
    let destination = destination(target).map_err(|error| invalid(text, in_type(error, bind)))?;
    let options = Options::parse(options, bind)?;
    let source = if bind {
        let propagation = options.propagation.unwrap_or("rprivate").to_owned();
        Source::Bind { path: clean(source), create: true, propagation, recursive: true }
    } else if source.is_empty() {
        Source::Volume { name: new_name(), anonymous: true, copy: options.copy, subpath: String::new() }
    } else if is_restricted_name(source) {
        Source::Volume { name: source.to_owned(), anonymous: false, copy: options.copy, subpath: String::new() }
    } else {
        return Err(Error::invalid(format!(
            "create {source}: \"{source}\" includes invalid characters for a local volume name, only \
             \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use absolute path"
        )));
    };
    let mode = if bind || !options.text.is_empty() { options.text } else { "z" };
    Ok(Mount { source, destination, read_only: options.read_only, mode: mode.to_owned() })
}

/// The error around what is wrong with one of them.
pub(super) fn invalid(text: &str, error: Error) -> Error {
    error.context(format!("invalid volume specification: '{text}'"))
}

fn malformed(text: &str) -> Error {
    Error::invalid(format!("invalid volume specification: '{text}'"))
}

fn in_type(error: Error, bind: bool) -> Error {
    if error.message().starts_with("invalid specification") {
        return error;
    }
    error.context(format!("invalid mount config for type \"{}\"", if bind { "bind" } else { "volume" }))
}

/// The third field.
struct Options<'a> {
    text: &'a str,
    read_only: bool,
    copy: bool,
    propagation: Option<&'a str>,
}

impl<'a> Options<'a> {
    fn parse(text: &'a str, bind: bool) -> Result<Self> {
        let mut options = Self { text, read_only: false, copy: true, propagation: None };
        for option in text.split(',').filter(|option| !option.is_empty()) {
            match option {
                "ro" => options.read_only = true,
                "rw" => options.read_only = false,
                "nocopy" if !bind => options.copy = false,
                "copy" if !bind => options.copy = true,
                // SELinux labels and the consistency of other platforms mean nothing here.
                "z" | "Z" | "consistent" | "cached" | "delegated" | "default" => {}
                option if bind && PROPAGATIONS.contains(&option) => options.propagation = Some(option),
                _ => return Err(Error::invalid(format!("invalid mode: {text}"))),
            }
        }
        Ok(options)
    }
}
