//! Devices that files describe, whoever made them: the Container Device Interface.
//!
//! A file (`document`, read by `yaml`, checked by `check`) lies in one of a few folders (`folders`) and says for each
//! device what a container gets with it (`injection`).

mod check;
mod document;
mod folders;
mod injection;
mod yaml;

use std::path::{Path, PathBuf};
use std::rc::Rc;

use dhow_errdefs::{Error, Result, ResultExt};

use folders::Found;
pub(crate) use injection::Injection;

/// What is described, and what is wrong with the files.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) devices: Vec<String>,
    pub(crate) warnings: Vec<String>,
}

/// Every device that the folders' files describe.
pub(crate) fn list(folders: &[PathBuf]) -> Listing {
    let found = Found::read(folders);
    Listing { devices: found.names().cloned().collect(), warnings: found.warnings }
}

/// What a container gets that has these devices. What is said for all devices of a file comes once, and first.
///
/// # Errors
/// Docker's words for devices that nothing describes, and for nodes that are not there.
pub(crate) fn inject(folders: &[PathBuf], names: &[&str]) -> Result<Injection> {
    let step = || "CDI device injection failed";
    if folders.is_empty() {
        return Err(Error::internal("no CDI specification directories specified")).context(step);
    }
    let found = Found::read(folders);
    let unknown: Vec<&str> = names.iter().filter(|name| found.get(name).is_none()).copied().collect();
    if !unknown.is_empty() {
        for warning in &found.warnings {
            tracing::warn!("{warning}");
        }
        let error = Error::internal(format!("unresolvable CDI devices {}", unknown.join(", ")));
        let folders: Vec<_> = folders.iter().map(|it| Path::display(it).to_string()).collect();
        return Err(error.with_hint(format!("files in {} describe devices", folders.join(" and ")))).context(step);
    }
    let mut injection = Injection::default();
    let mut seen = Vec::new();
    for entry in names.iter().filter_map(|name| found.get(name)) {
        let failed = || "CDI device injection failed: failed to inject devices";
        if !seen.iter().any(|document| Rc::ptr_eq(document, &entry.document)) {
            injection.add(&entry.document.container_edits).context(failed)?;
            seen.push(Rc::clone(&entry.document));
        }
        injection.add(&entry.device().container_edits).context(failed)?;
    }
    Ok(injection)
}
