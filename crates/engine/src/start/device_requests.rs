//! Devices that are asked for by name (`--device vendor.com/class=name`), or by what they can do (`--gpus`).

use std::path::{Path, PathBuf};

use dhow_errdefs::{Error, Result};
use dhow_oci::runtime::Spec;

use crate::cdi::{self, Injection};
use crate::container::View;
use crate::spec::DeviceRequest;

/// What the container gets for its requests; those that no driver takes are refused, and never passed over. `folders`:
/// where devices are described, `None` where that is turned off.
pub(super) fn find(requests: &[DeviceRequest], folders: Option<&[PathBuf]>) -> Result<Option<Injection>> {
    let mut names = Vec::new();
    for request in requests {
        match folders {
            Some(_) if request.driver == "cdi" => names.extend(described(request)?),
            _ => return Err(refusal(request)),
        }
    }
    match folders {
        Some(folders) if !names.is_empty() => cdi::inject(folders, &names).map(Some),
        _ => Ok(None),
    }
}

/// Changes the configuration; where the person has something mounted, that stays.
pub(super) fn apply(described: Option<Injection>, config: &mut Spec, view: &View, groups: bool) {
    let Some(described) = described else { return };
    let taken = |place: &Path| {
        let is = |path: &str| Path::new(path) == place;
        view.body.mounts.iter().any(|mount| is(&mount.destination)) || view.spec.host.tmpfs.keys().any(|path| is(path))
    };
    described.apply(config, taken, groups);
}

/// The names in a request, which asks for nothing else.
fn described(request: &DeviceRequest) -> Result<impl Iterator<Item = &str>> {
    if request.count != 0 {
        return Err(Error::invalid("unexpected count in CDI device request"));
    }
    if request.options.as_ref().is_some_and(|options| !options.is_empty()) {
        return Err(Error::invalid("unexpected options in CDI device request"));
    }
    Ok(request.device_ids.iter().flatten().map(String::as_str))
}

/// Docker's words.
fn refusal(request: &DeviceRequest) -> Error {
    let sets = request.capabilities.iter().flatten().map(|set| format!("[{}]", set.join(" "))).collect::<Vec<_>>();
    let (driver, sets) = (&request.driver, sets.join(" "));
    Error::internal(format!("could not select device driver {driver:?} with capabilities: [{sets}]"))
        .with_hint("give the devices by their paths, or by the names that CDI files give them, with --device")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_refused_in_dockers_words() {
        let folders = [PathBuf::from("/no/such/folder")];
        let refused = |request: &DeviceRequest, folders: Option<&[PathBuf]>| {
            find(std::slice::from_ref(request), folders).unwrap_err().to_string()
        };
        assert_eq!(find(&[], None).unwrap(), None);
        let capabilities = Some(vec![vec!["gpu".to_owned()]]);
        let gpus = DeviceRequest { count: -1, capabilities, ..DeviceRequest::default() };
        let words = "could not select device driver \"\" with capabilities: [[gpu]]";
        assert_eq!(refused(&gpus, Some(&folders)), words);
        let cdi = DeviceRequest { driver: "cdi".to_owned(), ..DeviceRequest::default() };
        let device_ids = Some(["v/c=a", "v/c=b"].map(str::to_owned).to_vec());
        let request = DeviceRequest { device_ids, ..cdi.clone() };
        let words = "could not select device driver \"cdi\" with capabilities: []";
        assert_eq!(refused(&request, None), words);
        let words = "CDI device injection failed: no CDI specification directories specified";
        assert_eq!(refused(&request, Some(&[])), words);
        let words = "CDI device injection failed: unresolvable CDI devices v/c=a, v/c=b";
        assert_eq!(refused(&request, Some(&folders)), words);
        let words = "unexpected count in CDI device request";
        assert_eq!(refused(&DeviceRequest { count: 1, ..cdi.clone() }, Some(&folders)), words);
        let options = Some([("a".to_owned(), "b".to_owned())].into());
        let words = "unexpected options in CDI device request";
        assert_eq!(refused(&DeviceRequest { options, ..cdi }, Some(&folders)), words);
    }
}
