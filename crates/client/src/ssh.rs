//! An engine on another machine, through the `ssh` program: it knows the person's keys, agents and configuration.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use dhow_errdefs::{Error, Result};

use crate::helper::Program;

/// `ssh://user@host:22/run/dhow/dhow.sock`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ssh {
    /// The user there, if it is another one than here or in ssh's configuration.
    pub user: Option<String>,
    /// Name or address of the machine, or what ssh's configuration calls it.
    pub host: String,
    /// The port, if it is not the usual one.
    pub port: Option<u16>,
    /// The engine's socket there, if it is not the usual one.
    pub socket: Option<String>,
}

impl Ssh {
    /// Reads what stands behind `ssh://`.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let wrong = |why: &str| Error::invalid(format!("invalid host {:?}: {why}", format!("ssh://{text}")));
        let (place, path) = text.split_once('/').map_or((text, ""), |(place, path)| (place, path));
        let (user, place) = place.rsplit_once('@').map_or((None, place), |(user, place)| (Some(user), place));
        if user.is_some_and(|user| user.contains(':')) {
            return Err(wrong("plain-text password is not supported"));
        }
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => {
                (host, Some(port.parse().map_err(|_| wrong("the port is no number"))?))
            }
            _ => (place, None),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        // A name that begins with a dash would be taken for a flag somewhere on the way.
        if host.is_empty() || host.starts_with('-') || user.is_some_and(|user| user.is_empty() || user.starts_with('-'))
        {
            return Err(wrong("it names no machine or no user"));
        }
        let socket = (!path.is_empty()).then(|| format!("/{path}"));
        Ok(Self { user: user.map(str::to_owned), host: host.to_owned(), port, socket })
    }

    fn arguments(&self) -> Vec<String> {
        let mut words: Vec<String> =
            ["-o", "ConnectTimeout=30", "-o", "BatchMode=yes", "-T"].iter().map(|&word| word.to_owned()).collect();
        if let Some(user) = &self.user {
            words.extend(["-l".to_owned(), user.clone()]);
        }
        if let Some(port) = self.port {
            words.extend(["-p".to_owned(), port.to_string()]);
        }
        words.extend(["--".to_owned(), self.host.clone(), self.remote_command()]);
        words
    }

    /// What the shell there is to run, whichever shell it is. dhow if it is there, Docker otherwise.
    fn remote_command(&self) -> String {
        let host = self.socket.as_ref().map(|path| format!(" --host {}", quoted(&format!("unix://{path}"))));
        let dial = format!("{} system dial-stdio", host.unwrap_or_default());
        let choice = format!("if command -v dhow >/dev/null 2>&1; then exec dhow{dial}; else exec docker{dial}; fi");
        format!("sh -c {}", quoted(&choice))
    }

    /// Starts ssh; gives our end of the connection.
    pub(crate) fn connect(&self) -> io::Result<(UnixStream, Program)> {
        let (ours, theirs) = UnixStream::pair()?;
        let output: OwnedFd = theirs.try_clone()?.into();
        let words = self.arguments();
        let child = Command::new("ssh")
            .args(&words)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::from(output))
            .stderr(Stdio::piped())
            // Interrupting the command line is not to end the connection under it; so ssh cannot ask for passwords.
            .process_group(0)
            .spawn()
            .map_err(|cause| io::Error::other(format!("start the program ssh: {cause}")))?;
        Ok((ours, Program::new(format!("ssh {}", words.join(" ")), child)))
    }
}

/// A word as POSIX shells, csh and fish read it alike.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_an_address() {
        let ssh = Ssh::parse("me@box:2222/run/x.sock").expect("good");
        assert_eq!((ssh.user.as_deref(), ssh.host.as_str(), ssh.port), (Some("me"), "box", Some(2222)));
        assert_eq!(ssh.socket.as_deref(), Some("/run/x.sock"));
        assert_eq!(Ssh::parse("[::1]").expect("good").host, "::1");
        for wrong in ["", "me@", "@box", "me:pw@box", "box:x", "-oProxyCommand=x", "-l@box"] {
            assert!(Ssh::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn dhow_is_preferred_there_and_paths_are_quoted() {
        let words = Ssh::parse("me@box:22/a b").expect("good").arguments();
        assert_eq!(&words[5..11], ["-l", "me", "-p", "22", "--", "box"]);
        assert!(words[11].starts_with("sh -c 'if command -v dhow "), "{}", words[11]);
        assert!(words[11].contains(r"exec dhow --host '\''unix:///a b'\'' system dial-stdio"), "{}", words[11]);
    }
}
