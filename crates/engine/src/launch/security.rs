//! `--security-opt`.

use dhow_errdefs::{Error, Result, parse_bool};
use dhow_runtime::SecurityModules;

/// What the options together say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SecurityOptions {
    pub no_new_privileges: bool,
    pub seccomp: SeccompChoice,
    /// The AppArmor profile that was asked for; empty: none.
    pub apparmor: String,
    /// What was asked of SELinux, apart from being left alone.
    pub labels: Vec<String>,
    /// The container may write to its own cgroup.
    pub writable_cgroups: Option<bool>,
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

    /// What of it this host cannot give, as warnings, where Docker says nothing: nobody is to believe that a container is
    /// confined which is not.
    ///
    /// # Errors
    /// Labels, where SELinux is on: they are not set up.
    pub(crate) fn missing(&self, modules: SecurityModules) -> Result<Vec<String>> {
        let mut warnings = Vec::new();
        if !self.apparmor.is_empty() && !modules.apparmor {
            let profile = &self.apparmor;
            warnings.push(format!("AppArmor is not enabled on this host: the profile {profile} confines nothing."));
        }
        let Some(label) = self.labels.first() else { return Ok(warnings) };
        if modules.selinux {
            let text =
                format!("invalid --security-opt: \"label={label}\": SELinux labels are not set up by this engine");
            return Err(Error::not_implemented(text));
        }
        warnings.push(format!("SELinux is not enabled on this host: label={label} confines nothing."));
        Ok(warnings)
    }

    fn take(&mut self, option: &str) -> Result<()> {
        match option {
            "no-new-privileges" => {
                self.no_new_privileges = true;
                return Ok(());
            }
            "writable-cgroups" => {
                self.writable_cgroups = Some(true);
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
        let wrong = || Error::invalid(format!("invalid --security-opt 2: \"{option}\""));
        match (key, value) {
            ("no-new-privileges", word) => self.no_new_privileges = parse_bool(word).ok_or_else(wrong)?,
            ("writable-cgroups", word) => self.writable_cgroups = Some(parse_bool(word).ok_or_else(wrong)?),
            ("seccomp", "unconfined") => self.seccomp = SeccompChoice::Unconfined,
            ("seccomp", "builtin" | "default" | "") => self.seccomp = SeccompChoice::Default,
            ("seccomp", profile) => self.seccomp = SeccompChoice::Profile(profile.to_owned()),
            ("systempaths", "unconfined") => self.system_paths_unconfined = true,
            ("apparmor", "unconfined") => self.apparmor.clear(),
            ("apparmor", profile) => profile.clone_into(&mut self.apparmor),
            ("label", "disable") => self.labels.clear(),
            ("label", label) => self.labels.push(label.to_owned()),
            _ => return Err(wrong()),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use dhow_errdefs::Class;

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
    fn confinement_that_the_host_does_not_have_is_never_passed_over() {
        let none = SecurityModules::default();
        let both = SecurityModules { apparmor: true, selinux: true };
        for left_alone in
            [&["apparmor=unconfined", "label=disable", "disable"][..], &["apparmor=x", "apparmor=unconfined"]]
        {
            assert_eq!(parse(left_alone).unwrap().missing(none).unwrap(), Vec::<String>::new());
        }
        let wanted = parse(&["apparmor=mine", "label=type:t"]).unwrap();
        assert_eq!(
            wanted.missing(none).unwrap(),
            [
                "AppArmor is not enabled on this host: the profile mine confines nothing.",
                "SELinux is not enabled on this host: label=type:t confines nothing.",
            ]
        );
        assert_eq!(wanted.missing(both).unwrap_err().class(), Class::NotImplemented);
        assert!(parse(&["apparmor=mine"]).unwrap().missing(both).unwrap().is_empty());
    }

    #[test]
    fn nonsense_is_refused_in_dockers_words() {
        assert_eq!(parse(&["x"]).unwrap_err().to_string(), "invalid --security-opt 1: \"x\"");
        assert_eq!(parse(&["x=y"]).unwrap_err().to_string(), "invalid --security-opt 2: \"x=y\"");
        assert_eq!(
            parse(&["no-new-privileges=x"]).unwrap_err().to_string(),
            "invalid --security-opt 2: \"no-new-privileges=x\""
        );
    }
}
