//! What is special about folders of file servers: the kernel knows no names, and their options hold passwords.

use std::net::IpAddr;

use dhow_errdefs::{Result, ResultExt};

/// What a parameter's value is shown as that nobody may read.
const HIDDEN: &str = "********";

/// The parameters of a file system, with the address of the server in the place of its name. The server may stand in `addr`
/// or in the device; dockerd looks up the former, and of CIFS the latter, too.
///
/// # Errors
/// Docker's words for a name that nobody knows.
pub(super) fn parameters(kind: &str, device: &str, words: &[String]) -> Result<Vec<String>> {
    let mut words = words.to_vec();
    if !matches!(kind, "nfs" | "nfs4" | "cifs" | "smb3") {
        return Ok(words);
    }
    let given = |word: &String| ["addr=", "ip="].iter().any(|name| word.starts_with(name));
    match words.iter_mut().find(|word| given(word)) {
        Some(word) => {
            let (name, server) = word.split_once('=').unwrap_or_default();
            *word = format!("{name}={}", address(server)?);
        }
        None => {
            if let Some(server) = server(kind, device) {
                words.push(format!("addr={}", address(server)?));
            }
        }
    }
    Ok(words)
}

/// The server that a device names: `server:/path`, `//server/share`.
fn server<'d>(kind: &str, device: &'d str) -> Option<&'d str> {
    let server = match kind {
        "nfs" | "nfs4" => device.rsplit_once(":/").map(|(server, _)| server),
        _ => device.strip_prefix("//").and_then(|rest| rest.split('/').next()),
    };
    server.filter(|server| !server.is_empty())
}

fn address(server: &str) -> Result<IpAddr> {
    let found = dhow_names::resolve(server).context(|| "error resolving passed in network volume address")?;
    // IPv4 first, as everything that was written for Docker expects.
    Ok(found.iter().find(|address| address.is_ipv4()).copied().unwrap_or(found[0]))
}

/// Options as messages show them: without the passwords in them.
pub(super) fn shown(options: &str) -> String {
    let word = |word: &str| match word.split_once('=') {
        Some((name, _)) if matches!(name.trim(), "password" | "password2" | "pass" | "pass2") => {
            format!("{name}={HIDDEN}")
        }
        _ => word.to_owned(),
    };
    options.split(',').map(word).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(kind: &str, device: &str, words: &[&str]) -> Vec<String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        parameters(kind, device, &words).unwrap()
    }

    #[test]
    fn the_server_of_a_share_may_stand_in_the_device() {
        assert_eq!(words("nfs", "10.0.0.1:/x", &["vers=4"]), ["vers=4", "addr=10.0.0.1"]);
        assert_eq!(words("nfs", "[fd00::1]:/x", &[]), ["addr=fd00::1"]);
        assert_eq!(words("nfs", ":/x", &["addr=10.0.0.2"]), ["addr=10.0.0.2"]);
        assert_eq!(words("cifs", "//10.0.0.3/share", &["username=me"]), ["username=me", "addr=10.0.0.3"]);
        assert_eq!(words("nfs", ":/x", &["vers=4"]), ["vers=4"]);
        assert_eq!(words("tmpfs", "10.0.0.1:/x", &["size=1"]), ["size=1"]);
    }

    #[test]
    fn names_are_looked_up() {
        assert_eq!(words("nfs4", ":/x", &["addr=localhost", "soft"]), ["addr=127.0.0.1", "soft"]);
        assert_eq!(words("cifs", "//localhost/share", &[]), ["addr=127.0.0.1"]);
        assert_eq!(words("cifs", "//files/share", &["ip=localhost"]), ["ip=127.0.0.1"]);
    }

    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(shown("username=me,password=secret,vers=3.0"), "username=me,password=********,vers=3.0");
        assert_eq!((shown("pass=secret").as_str(), shown("soft").as_str()), ("pass=********", "soft"));
    }
}
