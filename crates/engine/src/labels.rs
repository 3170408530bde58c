//! Labels in filters.

use std::collections::BTreeMap;

/// Whether a label is there: `name`, or `name=value`.
#[must_use]
pub fn has_label(labels: &BTreeMap<String, String>, wanted: &str) -> bool {
    let (name, value) = wanted.split_once('=').map_or((wanted, None), |(name, value)| (name, Some(value)));
    labels.get(name).is_some_and(|found| value.is_none_or(|value| value == found))
}
