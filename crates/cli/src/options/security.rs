//! `--security-opt`, and the names of capabilities.

use std::collections::BTreeSet;

use dhow_errdefs::{Error, Result};

use super::environment::read;
use super::wrong;
use crate::format::compact;

/// What the options come to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Security {
    /// For the engine, with the contents of a seccomp profile in place of its path.
    pub(super) options: Vec<String>,
    /// `systempaths=unconfined`: nothing is masked or read-only.
    pub(super) bare_system_paths: bool,
}

/// Reads all values; profiles are read from their files, because the engine may be on another machine.
pub(super) fn parse<'a>(values: impl Iterator<Item = &'a str>) -> Result<Security> {
    let mut security = Security::default();
    for text in values {
        let pair = text.split_once('=').or_else(|| text.split_once(':'));
        match pair {
            _ if text == "no-new-privileges" => security.options.push(text.to_owned()),
            None | Some((_, "")) => return Err(wrong(format!("Invalid --security-opt: {text:?}"))),
            Some(("systempaths", "unconfined")) => security.bare_system_paths = true,
            Some(("seccomp", "unconfined" | "builtin")) => security.options.push(text.to_owned()),
            Some(("seccomp", path)) => security.options.push(format!("seccomp={}", profile(path)?)),
            Some(_) => security.options.push(text.to_owned()),
        }
    }
    Ok(security)
}

fn profile(path: &str) -> Result<String> {
    let text = read(path).map_err(|error| wrong(format!("opening seccomp profile ({path}) failed: {error}")))?;
    let no_json = |cause: serde_json::Error| {
        Error::invalid(format!("compacting json for seccomp profile ({path}) failed")).with_cause(cause)
    };
    let document: &serde_json::value::RawValue = serde_json::from_slice(&text).map_err(no_json)?;
    Ok(compact(document.get()).0)
}

/// Capabilities as Docker's client sends them: by the kernel's names, each once, sorted.
pub(super) fn capabilities<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let whole = |name: &str| match name.trim().to_uppercase() {
        name if name.starts_with("CAP_") || matches!(name.as_str(), "ALL" | "RESET") => name,
        name => format!("CAP_{name}"),
    };
    names.map(whole).collect::<BTreeSet<_>>().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_are_sent_by_content() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p.json");
        std::fs::write(&path, "{ \"defaultAction\" : \"A B\" }\n").unwrap();
        let value = format!("seccomp={}", path.display());
        let security = parse([value.as_str(), "no-new-privileges", "label:disable"].into_iter()).unwrap();
        assert_eq!(security.options, ["seccomp={\"defaultAction\":\"A B\"}", "no-new-privileges", "label:disable"]);
        std::fs::write(&path, "{").unwrap();
        assert!(
            parse([value.as_str()].into_iter()).unwrap_err().to_string().starts_with("compacting json for seccomp")
        );
    }

    #[test]
    fn errors_in_dockers_words() {
        let refused = |text| parse([text].into_iter()).unwrap_err().to_string();
        assert_eq!(refused("foo"), "Invalid --security-opt: \"foo\"");
        assert_eq!(
            refused("seccomp=/nope"),
            "opening seccomp profile (/nope) failed: open /nope: no such file or directory"
        );
        assert!(parse(["systempaths=unconfined"].into_iter()).unwrap().bare_system_paths);
    }

    #[test]
    fn capabilities_have_the_kernels_names() {
        let names = ["sys_time", "CAP_chown", "all", " CHOWN"];
        assert_eq!(capabilities(names.into_iter()), ["ALL", "CAP_CHOWN", "CAP_SYS_TIME"]);
    }
}
