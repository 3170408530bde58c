//! `--filter` of `volume ls`.

use dhow_errdefs::{Error, Result, parse_bool};
use regex_lite::Regex;

use super::Volume;
use crate::{Filters, labels};

/// Filters, read and checked. All keys have to match, of each key any value (of `label` all).
#[derive(Debug, Default)]
pub(super) struct Filter {
    dangling: Option<bool>,
    /// Of dhow alone.
    protected: Option<bool>,
    drivers: Vec<String>,
    labels: Vec<String>,
    names: Vec<String>,
}

impl Filter {
    pub(super) fn new(filters: &Filters) -> Result<Self> {
        let mut filter = Self::default();
        for (key, values) in filters {
            match key.as_str() {
                "dangling" => filter.dangling = truth(key, values)?,
                "protected" => filter.protected = truth(key, values)?,
                "driver" => filter.drivers.clone_from(values),
                "label" => filter.labels.clone_from(values),
                "name" => filter.names.clone_from(values),
                _ => return Err(Error::invalid(format!("invalid filter '{key}'"))),
            }
        }
        Ok(filter)
    }

    pub(super) fn matches(&self, volume: &Volume) -> bool {
        self.dangling.is_none_or(|dangling| dangling == (volume.users == 0))
            && self.protected.is_none_or(|protected| protected == volume.protected)
            && (self.drivers.is_empty() || self.drivers.contains(&volume.driver))
            && self.labels.iter().all(|label| has_label(volume, label))
            && (self.names.is_empty() || self.names.iter().any(|name| named(volume, name)))
    }
}

/// An expression that is none is taken by its text alone.
fn named(volume: &Volume, pattern: &str) -> bool {
    volume.name == pattern || Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(&volume.name))
}

/// Whether a volume has a label, `name` or `name=value`.
pub(super) fn has_label(volume: &Volume, wanted: &str) -> bool {
    volume.labels.as_ref().is_some_and(|labels| labels::has_label(labels, wanted))
}

/// Several values are taken only if they mean the same.
pub(super) fn truth(key: &str, values: &[String]) -> Result<Option<bool>> {
    let mut truth = None;
    for value in values {
        let this = parse_bool(value).ok_or_else(|| wrong(key, values))?;
        if truth.replace(this).is_some_and(|before| before != this) {
            return Err(wrong(key, values));
        }
    }
    Ok(truth)
}

fn wrong(key: &str, values: &[String]) -> Error {
    Error::invalid(format!("invalid filter '{key}=[{}]'", values.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn matches(pairs: &[(&str, &str)]) -> Result<bool> {
        let mut filters = Filters::new();
        for (key, value) in pairs {
            filters.entry((*key).to_owned()).or_default().push((*value).to_owned());
        }
        let volume = Volume {
            name: "data-1".into(),
            driver: "local".into(),
            labels: Some(BTreeMap::from([("tier".into(), "back".into())])),
            users: 1,
            ..Volume::default()
        };
        Ok(Filter::new(&filters)?.matches(&volume))
    }

    #[test]
    fn keys_narrow_and_values_widen() {
        assert!(matches(&[]).unwrap());
        assert!(matches(&[("dangling", "false"), ("driver", "local"), ("driver", "x")]).unwrap());
        assert!(matches(&[("label", "tier"), ("label", "tier=back"), ("name", "^data")]).unwrap());
        assert!(matches(&[("name", "other"), ("name", "ta-")]).unwrap());
        assert!(matches(&[("protected", "false")]).unwrap());
        for miss in [
            ("protected", "1"),
            ("dangling", "1"),
            ("driver", "x"),
            ("label", "tier=x"),
            ("label", "x"),
            ("name", "^ata"),
        ] {
            assert!(!matches(&[miss]).unwrap(), "{miss:?}");
        }
    }

    #[test]
    fn nonsense_is_refused_in_dockers_words() {
        let refusal = |pairs: &[(&str, &str)]| matches(pairs).unwrap_err().to_string();
        assert_eq!(refusal(&[("color", "red")]), "invalid filter 'color'");
        assert_eq!(refusal(&[("dangling", "maybe")]), "invalid filter 'dangling=[maybe]'");
        assert!(matches(&[("dangling", "true"), ("dangling", "false")]).is_err());
    }
}
