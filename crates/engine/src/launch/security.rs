//! `--security-opt`.

use dhow_errdefs::{Error, Result};

/// What the options together say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SecurityOptions {
    pub no_new_privileges: bool,
    pub seccomp: SeccompChoice,
    /// Nothing below /proc and /sys is masked or read-only.
    pub system_paths_unconfined: bool,
}

/// Which system call filter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) enum SeccompChoice {
    /// Docker's default list, as it follows from the capabilities.
    #[default]
    Default,
    Unconfined,
    /// A profile in Docker's or the runtime-spec's JSON.
    Profile(String),
}

impl SecurityOptions {
    /// Reads the options.
    ///
    /// # Errors
    /// Docker's words for one that does not exist or has no value.
    pub(crate) fn parse(options: &[String]) -> Result<Self> {
        let mut parsed = Self::default();
        for option in options {
            parsed.take(option)?;
        }
        Ok(parsed)
    }

    fn take(&mut self, option: &str) -> Result<()> {
        match option {
            "no-new-privileges" => {
                self.no_new_privileges = true;
                return Ok(());
            }
            // `label=disable` in short: there is no SELinux confinement to switch off.
            "disable" => return Ok(()),
            _ => {}
        }
        // The colon is Docker's older spelling.
        let (key, value) = option
            .split_once('=')
            .or_else(|| option.split_once(':'))
            .ok_or_else(|| Error::invalid(format!("invalid --security-opt 1: \"{option}\"")))?;
        match (key, value) {
            ("no-new-privileges", "true" | "1" | "t" | "T" | "TRUE" | "True") => self.no_new_privileges = true,
            ("no-new-privileges", "false" | "0" | "f" | "F" | "FALSE" | "False") => self.no_new_privileges = false,
            ("seccomp", "unconfined") => self.seccomp = SeccompChoice::Unconfined,
            ("seccomp", "builtin" | "default" | "") => self.seccomp = SeccompChoice::Default,
            ("seccomp", profile) => self.seccomp = SeccompChoice::Profile(profile.to_owned()),
            ("systempaths", "unconfined") => self.system_paths_unconfined = true,
            // Confinement by AppArmor and SELinux is not set up, so every choice of theirs is the same.
            ("apparmor" | "label", _) => {}
            ("no-new-privileges", _) => return Err(Error::invalid(format!("invalid --security-opt: \"{option}\""))),
            _ => return Err(Error::invalid(format!("invalid --security-opt 2: \"{option}\""))),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(options: &[&str]) -> Result<SecurityOptions> {
        SecurityOptions::parse(&options.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn both_spellings_are_read_and_the_last_one_wins() {
        let options = parse(&["no-new-privileges", "seccomp:unconfined", "apparmor=unconfined"]).unwrap();
        assert!(options.no_new_privileges);
        assert_eq!(options.seccomp, SeccompChoice::Unconfined);
        assert_eq!(parse(&["seccomp=unconfined", "seccomp=builtin"]).unwrap().seccomp, SeccompChoice::Default);
        assert_eq!(parse(&["seccomp={}"]).unwrap().seccomp, SeccompChoice::Profile("{}".into()));
    }

    #[test]
    fn nonsense_is_refused_in_dockers_words() {
        assert_eq!(parse(&["x"]).unwrap_err().to_string(), "invalid --security-opt 1: \"x\"");
        assert_eq!(parse(&["x=y"]).unwrap_err().to_string(), "invalid --security-opt 2: \"x=y\"");
        assert_eq!(
            parse(&["no-new-privileges=x"]).unwrap_err().to_string(),
            "invalid --security-opt: \"no-new-privileges=x\""
        );
    }
}
