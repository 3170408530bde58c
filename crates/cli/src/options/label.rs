//! `--label`, `--label-file` and other `key=value` lists.

use std::collections::BTreeMap;

use dhow_errdefs::Result;

use super::environment::{parse_file, read};
use crate::flags::Parsed;

/// Checks a value of `--label`.
pub(crate) fn check(text: &str) -> Result<(), String> {
    match text.split('=').next().unwrap_or_default().trim().is_empty() {
        true => Err(format!("invalid label '{text}': empty name")),
        false => Ok(()),
    }
}

/// The labels of all files, then those of `--label`.
pub(super) fn labels(flags: &Parsed) -> Result<BTreeMap<String, String>> {
    let mut lines = Vec::new();
    for path in flags.list("label-file") {
        lines.extend(parse_file(path, &read(path)?, |_| Some(String::new()))?);
    }
    lines.extend(flags.list("label").map(str::to_owned));
    Ok(lines.iter().map(|line| pair(line)).collect())
}

/// `key=value`; a key alone has an empty value.
pub(crate) fn pair(text: &str) -> (String, String) {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    (key.to_owned(), value.to_owned())
}

/// Checks a value of `--sysctl`: only what has a namespace.
pub(super) fn check_sysctl(text: &str) -> Result<(), String> {
    const NAMED: [&str; 8] = [
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
    ];
    let refused = || format!("sysctl '{text}' is not allowed");
    let (name, _) = text.split_once('=').ok_or_else(refused)?;
    let allowed = NAMED.contains(&name) || name.starts_with("net.") || name.starts_with("fs.mqueue.");
    if allowed { Ok(()) } else { Err(refused()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        assert_eq!(check("=x").unwrap_err(), "invalid label '=x': empty name");
        assert!(check("a").is_ok() && check("a=").is_ok());
        assert_eq!(check_sysctl("a=b").unwrap_err(), "sysctl 'a=b' is not allowed");
        assert!(check_sysctl("net.core.somaxconn=1").is_ok() && check_sysctl("kernel.sem=1 2").is_ok());
        assert_eq!(pair("a=b=c"), ("a".into(), "b=c".into()));
    }
}
