//! Devices that are asked for by what they can do (`--gpus`).

use dhow_errdefs::{Error, Result};
use serde_json::Value;

/// There is no driver that finds such devices: a request is refused, in Docker's words, and never passed over.
pub(super) fn refuse(requests: &[Value]) -> Result<()> {
    let Some(request) = requests.first() else { return Ok(()) };
    let driver = request["Driver"].as_str().unwrap_or_default();
    let sets = request["Capabilities"].as_array().map(Vec::as_slice).unwrap_or_default();
    let words = |set: &Value| {
        let words = set.as_array().map(Vec::as_slice).unwrap_or_default().iter().filter_map(Value::as_str);
        format!("[{}]", words.collect::<Vec<_>>().join(" "))
    };
    let sets: Vec<String> = sets.iter().map(words).collect();
    let text = format!("could not select device driver {driver:?} with capabilities: [{}]", sets.join(" "));
    Err(Error::internal(text).with_hint("give the devices by their paths, with --device"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_refused_in_dockers_words() {
        assert!(refuse(&[]).is_ok());
        let request = serde_json::json!({"Driver": "", "Count": -1, "Capabilities": [["gpu"]]});
        let text = refuse(&[request]).unwrap_err().to_string();
        assert_eq!(text, "could not select device driver \"\" with capabilities: [[gpu]]");
    }
}
