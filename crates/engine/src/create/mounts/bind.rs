//! `source:destination[:options]`.

use dhow_errdefs::{Error, Result};

use super::{Mount, PROPAGATIONS, Source, anonymous, clean, destination};
use crate::volumes::Wanted;

/// Reads one `-v`. `wanted` is how volumes are made that are not there.
pub(super) fn parse(text: &str, wanted: &Wanted, new_name: &mut impl FnMut() -> String) -> Result<Mount> {
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
    let options = Options::parse(options)?;
    let destination = destination(target).and_then(|target| options.check(bind).map(|()| target));
    let destination = destination.map_err(|error| invalid(text, in_type(error, bind)))?;
    let source = if bind {
        let propagation = options.propagation.unwrap_or("rprivate").to_owned();
        Source::Bind {
            path: clean(source),
            create: true,
            propagation,
            recursive: true,
            only_itself: false,
            id_map: options.id_map,
        }
    } else if source.is_empty() {
        anonymous(wanted, options.copy, new_name)
    } else {
        let (name, wanted) = (source.to_owned(), wanted.clone());
        Source::Volume { name, anonymous: false, copy: options.copy, subpath: String::new(), wanted }
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
    error.context(format!("invalid mount config for type \"{}\"", if bind { "bind" } else { "volume" }))
}

/// Options of which one at most can be meant.
const ALTERNATIVES: [&[&str]; 5] =
    [&["ro", "rw"], &["z", "Z"], &["copy", "nocopy"], &["consistent", "cached", "delegated", "default"], &PROPAGATIONS];

/// Somebody who asks for `ro,rw` must not get either.
fn contradicts_itself(text: &str) -> bool {
    let of = |family: &&[&str]| text.split(',').filter(|option| family.contains(option)).count();
    ALTERNATIVES.iter().any(|family| of(family) > 1)
}

/// The third field.
struct Options<'a> {
    text: &'a str,
    read_only: bool,
    copy: bool,
    /// Something was said about copying.
    about_copy: bool,
    propagation: Option<&'a str>,
    id_map: bool,
}

/// Whether what a container takes over from another one (`--volumes-from`) is to be read-only.
pub(crate) fn parse_inherited(mode: &str) -> Result<bool> {
    let options = Options::parse(mode)?;
    if options.propagation.is_some() || options.about_copy || options.id_map {
        return Err(Error::invalid(format!("invalid mode: {mode}")));
    }
    Ok(options.read_only)
}

impl<'a> Options<'a> {
    /// Refuses in Docker's words what does not go with the kind of mount.
    fn check(&self, bind: bool) -> Result<()> {
        let field = match bind {
            true if self.about_copy => "VolumeOptions",
            false if self.propagation.is_some() => "BindOptions",
            false if self.id_map => return Err(Error::invalid(format!("invalid mode: {}", self.text))),
            _ => return Ok(()),
        };
        Err(Error::invalid(format!("field {field} must not be specified")))
    }

    fn parse(text: &'a str) -> Result<Self> {
        if contradicts_itself(text) {
            return Err(Error::invalid(format!("invalid mode: {text}")));
        }
        let mut options =
            Self { text, read_only: false, copy: true, about_copy: false, propagation: None, id_map: false };
        for option in text.split(',').filter(|_| !text.is_empty()) {
            match option {
                "ro" => options.read_only = true,
                "rw" => options.read_only = false,
                "nocopy" | "copy" => (options.copy, options.about_copy) = (option == "copy", true),
                "idmap" => options.id_map = true,
                // SELinux labels and the consistency of other platforms mean nothing here.
                "z" | "Z" | "consistent" | "cached" | "delegated" | "default" => {}
                option if PROPAGATIONS.contains(&option) => options.propagation = Some(option),
                _ => return Err(Error::invalid(format!("invalid mode: {text}"))),
            }
        }
        Ok(options)
    }
}
