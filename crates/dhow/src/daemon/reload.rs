//! SIGHUP: what can change under a running engine is read again; what cannot is named.

use std::sync::Arc;

use dhow_engine::{Engine, RegistrySettings};
use dhow_errdefs::Result;
use dhow_server::Tls;
use tracing::level_filters::LevelFilter;

use super::file::File;
use super::flags::Flags;
use super::settings::Settings;
use crate::paths::Paths;

/// Sets how much is logged.
pub(crate) type SetLevel = Box<dyn Fn(LevelFilter) + Send + Sync>;

/// What is needed to read the configuration again.
pub(crate) struct Reload {
    pub(crate) flags: Flags,
    pub(crate) written: File,
    pub(crate) set_level: SetLevel,
    pub(crate) tls: Option<Tls>,
    /// How registries are reached since the engine started.
    pub(crate) registries: RegistrySettings,
}

impl Reload {
    /// Log level, certificates and the rules about images as the files say now. After an error everything stays as it was.
    pub(crate) fn run(&self, engine: &Engine) -> Result<()> {
        let settings = Settings::gather(self.flags.clone(), &Paths::of_this_user())?;
        if let Some(tls) = &self.tls {
            tls.reload()?;
        }
        (self.set_level)(settings.log_level);
        engine.obey(Arc::clone(&settings.policy));
        if settings.registries != self.registries {
            tracing::warn!("how registries are reached has changed: that needs a restart of the engine");
        }
        for key in needing_restart(&self.written, &settings.written) {
            tracing::warn!("{key} has changed in the configuration: that needs a restart of the engine");
        }
        Ok(())
    }
}

/// Keys that are read again, or that change nothing.
const AT_ONCE: [&str; 3] = ["debug", "log-level", "live-restore"];

/// The keys that differ and are not read again.
fn needing_restart(before: &File, now: &File) -> Vec<&'static str> {
    before.differences(now).into_iter().filter(|key| !AT_ONCE.contains(key)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_a_restart_is_named() {
        let before = File { debug: Some(true), init: Some(true), ..File::default() };
        let now = File { debug: Some(false), labels: Some(Vec::new()), ..File::default() };
        assert_eq!(needing_restart(&before, &now), ["init", "labels"]);
    }
}
