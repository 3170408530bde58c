//! Platforms that people type, read by the rules of containerd.

use dhow_errdefs::{Error, Result};
use dhow_oci::Platform;

const SYSTEMS: [&str; 14] = [
    "aix",
    "android",
    "darwin",
    "dragonfly",
    "freebsd",
    "illumos",
    "ios",
    "js",
    "linux",
    "netbsd",
    "openbsd",
    "plan9",
    "solaris",
    "windows",
];
const MACHINES: [&str; 14] = [
    "386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc64", "ppc64le", "riscv64",
    "s390x", "wasm",
];

/// A platform as newer operations of the API take it; empty if none was typed.
pub(crate) fn json(typed: &str) -> Result<String> {
    let wrong = |why| Error::invalid(format!("invalid platform: {why}"));
    written(typed).map_err(wrong)
}

/// The same for those who have other words around the error, or none.
pub(crate) fn written(typed: &str) -> Result<String, String> {
    if typed.is_empty() {
        return Ok(String::new());
    }
    Ok(serde_json::to_string(&parse(typed)?).expect("strings are JSON"))
}

/// Reads `os`, `machine`, `os/machine` or `os/machine/variant`; the error is Docker's text.
pub(crate) fn parse(typed: &str) -> Result<Platform, String> {
    let parts: Vec<String> = typed.split('/').map(str::to_lowercase).collect();
    let letters = |part: &String| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
    };
    if parts.len() > 3 || !parts.iter().all(letters) {
        return Err(format!("{typed:?}: cannot parse platform specifier: invalid argument"));
    }
    let host = Platform::host();
    match &parts[..] {
        [one] if SYSTEMS.contains(&system(one)) => Ok(Platform::new(system(one), &host.architecture, None)),
        [one] => {
            let platform = Platform::new(&host.os, one, None);
            let known = MACHINES.contains(&platform.architecture.as_str());
            known
                .then_some(platform)
                .ok_or_else(|| format!("{typed:?}: unknown operating system or architecture: invalid argument"))
        }
        [os, machine, rest @ ..] => Ok(Platform::new(system(os), machine, rest.first().map(String::as_str))),
        [] => Ok(host),
    }
}

fn system(name: &str) -> &str {
    if name == "macos" { "darwin" } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_travel_as_json() {
        assert_eq!(json("").unwrap(), "");
        assert_eq!(json("linux/arm/v7").unwrap(), r#"{"architecture":"arm","os":"linux","variant":"v7"}"#);
        assert_eq!(json("linux/x86_64").unwrap(), r#"{"architecture":"amd64","os":"linux"}"#);
    }

    #[test]
    fn short_names_are_completed_and_strange_ones_refused() {
        assert_eq!(parse("linux").unwrap().architecture, Platform::host().architecture);
        assert_eq!(parse("aarch64").unwrap().architecture, "arm64");
        assert_eq!(parse("foo").unwrap_err(), "\"foo\": unknown operating system or architecture: invalid argument");
        for strange in ["a/b/c/d", "a b/c", "linux/"] {
            let why = format!("{strange:?}: cannot parse platform specifier: invalid argument");
            assert_eq!(parse(strange).unwrap_err(), why);
        }
    }
}
