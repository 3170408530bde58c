//! Devices that are asked for by name (`--device vendor.com/class=name`), or by what they can do (`--gpus`).

use std::path::{Path, PathBuf};

use dhow_errdefs::{Error, Result};
use dhow_oci::runtime::Spec;
use serde_json::Value;

use crate::cdi::{self, Injection};
use crate::container::View;

/// What the container gets for its requests; those that no driver takes are refused, and never passed over. `folders`:
/// where devices are described, `None` where that is turned off.
pub(super) fn find(requests: &[Value], folders: Option<&[PathBuf]>) -> Result<Option<Injection>> {
    let mut names = Vec::new();
    for request in requests {
        match folders {
            Some(_) if request["Driver"] == "cdi" => names.extend(described(request)?),
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
fn described(request: &Value) -> Result<impl Iterator<Item = &str>> {
    if request["Count"].as_i64().is_some_and(|count| count != 0) {
        return Err(Error::invalid("unexpected count in CDI device request"));
    }
    if request["Options"].as_object().is_some_and(|options| !options.is_empty()) {
        return Err(Error::invalid("unexpected options in CDI device request"));
    }
    Ok(request["DeviceIDs"].as_array().into_iter().flatten().filter_map(Value::as_str))
}

/// Docker's words.
fn refusal(request: &Value) -> Error {
    let driver = request["Driver"].as_str().unwrap_or_default();
    let sets = request["Capabilities"].as_array().map(Vec::as_slice).unwrap_or_default();
    let words = |set: &Value| {
        let words = set.as_array().map(Vec::as_slice).unwrap_or_default().iter().filter_map(Value::as_str);
        format!("[{}]", words.collect::<Vec<_>>().join(" "))
    };
    let sets: Vec<String> = sets.iter().map(words).collect();
    let text = format!("could not select device driver {driver:?} with capabilities: [{}]", sets.join(" "));
    Error::internal(text)
        .with_hint("give the devices by their paths, or by the names that CDI files give them, with --device")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn requests_are_refused_in_dockers_words() {
        let folders = [PathBuf::from("/no/such/folder")];
        let refused = |request: Value, folders| find(&[request], folders).unwrap_err().to_string();
        assert_eq!(find(&[], None).unwrap(), None);
        let gpus = json!({"Driver": "", "Count": -1, "Capabilities": [["gpu"]]});
        let words = "could not select device driver \"\" with capabilities: [[gpu]]";
        assert_eq!(refused(gpus, Some(&folders)), words);
        let request = json!({"Driver": "cdi", "DeviceIDs": ["v/c=a", "v/c=b"]});
        let words = "could not select device driver \"cdi\" with capabilities: []";
        assert_eq!(refused(request.clone(), None), words);
        let words = "CDI device injection failed: no CDI specification directories specified";
        assert_eq!(refused(request.clone(), Some(&[])), words);
        let words = "CDI device injection failed: unresolvable CDI devices v/c=a, v/c=b";
        assert_eq!(refused(request, Some(&folders)), words);
        let words = "unexpected count in CDI device request";
        assert_eq!(refused(json!({"Driver": "cdi", "Count": 1}), Some(&folders)), words);
        let words = "unexpected options in CDI device request";
        assert_eq!(refused(json!({"Driver": "cdi", "Options": {"a": "b"}}), Some(&folders)), words);
    }
}
