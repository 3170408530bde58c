//! `--filter` of `docker network ls`.

use dhow_errdefs::{Error, Result};
use dhow_network::model::Network;
use regex_lite::Regex;

use crate::Filters;
use crate::labels::has_label;

/// Filters, read and checked. All keys have to match, of each key any value (of `label` all).
#[derive(Debug, Default)]
pub(super) struct Filter {
    drivers: Vec<String>,
    ids: Vec<Pattern>,
    names: Vec<Pattern>,
    labels: Vec<String>,
    scopes: Vec<String>,
    builtin: Vec<bool>,
    dangling: Option<bool>,
}

/// A text, or an expression that is found in it. One that is no expression is only a text.
#[derive(Debug)]
struct Pattern(String, Option<Regex>);

impl Pattern {
    fn new(text: &str) -> Self {
        Self(text.to_owned(), Regex::new(text).ok())
    }

    fn matches(&self, text: &str) -> bool {
        self.0 == text || self.1.as_ref().is_some_and(|pattern| pattern.is_match(text))
    }
}

impl Filter {
    pub(super) fn new(filters: &Filters) -> Result<Self> {
        let mut filter = Self::default();
        for (key, values) in filters {
            if key == "dangling" && values.len() > 1 {
                return Err(Error::invalid("got more than one value for filter key \"dangling\""));
            }
            for value in values {
                filter.add(key, value)?;
            }
        }
        Ok(filter)
    }

    fn add(&mut self, key: &str, value: &str) -> Result<()> {
        match (key, value) {
            ("driver", _) => self.drivers.push(value.to_owned()),
            ("id", _) => self.ids.push(Pattern::new(value)),
            ("name", _) => self.names.push(Pattern::new(value)),
            ("label", _) => self.labels.push(value.to_owned()),
            ("scope", _) => self.scopes.push(value.to_owned()),
            ("type", "builtin") => self.builtin.push(true),
            ("type", "custom") => self.builtin.push(false),
            ("type", _) => return Err(Error::invalid(format!("invalid filter: 'type'='{value}'"))),
            ("dangling", "1" | "true") => self.dangling = Some(true),
            ("dangling", "0" | "false") => self.dangling = Some(false),
            ("dangling", _) => {
                let text = "invalid value for filter 'dangling', must be \"true\" (or \"1\"), or \"false\" (or \"0\")";
                return Err(Error::invalid(text));
            }
            _ => return Err(Error::invalid(format!("invalid filter '{key}'"))),
        }
        Ok(())
    }

    pub(super) fn matches(&self, network: &Network, used: bool) -> bool {
        let spec = &network.spec;
        let dangling = !used && !network.is_predefined();
        any(&self.drivers, |driver| driver == spec.driver.as_str())
            && any(&self.ids, |pattern| pattern.matches(&network.id))
            && any(&self.names, |pattern| pattern.matches(&spec.name))
            && self.labels.iter().all(|label| has_label(&spec.labels, label))
            && any(&self.scopes, |scope| scope == "local")
            && any(&self.builtin, |builtin| *builtin == network.is_predefined())
            && self.dangling.is_none_or(|wanted| wanted == dangling)
    }
}

fn any<T>(values: &[T], test: impl Fn(&T) -> bool) -> bool {
    values.is_empty() || values.iter().any(test)
}

#[cfg(test)]
mod tests {
    use super::*;
    use dhow_network::model::NetworkSpec;

    fn matches(key: &str, value: &str) -> bool {
        let labels = [("tier".to_owned(), "web".to_owned())].into();
        let spec = NetworkSpec { name: "front".into(), labels, ..NetworkSpec::default() };
        let network = Network { id: "abc123".into(), spec, pools: Vec::new(), created: 0 };
        let filter = Filter::new(&[(key.to_owned(), vec![value.to_owned()])].into()).unwrap();
        filter.matches(&network, false)
    }

    #[test]
    fn every_key_has_its_rule() {
        for (key, value) in [
            ("driver", "bridge"),
            ("id", "bc1"),
            ("name", "^fr"),
            ("label", "tier"),
            ("label", "tier=web"),
            ("scope", "local"),
            ("type", "custom"),
            ("dangling", "true"),
        ] {
            assert!(matches(key, value), "{key}={value}");
        }
        for (key, value) in [
            ("driver", "bri"),
            ("id", "c2"),
            ("name", "front-"),
            ("label", "tier=db"),
            ("scope", "swarm"),
            ("type", "builtin"),
            ("dangling", "0"),
        ] {
            assert!(!matches(key, value), "{key}={value}");
        }
    }

    #[test]
    fn other_filters_are_refused_in_dockers_words() {
        let refusal = |key: &str, values: &[&str]| {
            let values = values.iter().map(|value| (*value).to_owned()).collect();
            Filter::new(&[(key.to_owned(), values)].into()).unwrap_err().to_string()
        };
        assert_eq!(refusal("colour", &["red"]), "invalid filter 'colour'");
        assert_eq!(refusal("type", &["x"]), "invalid filter: 'type'='x'");
        assert!(refusal("dangling", &["maybe"]).starts_with("invalid value for filter 'dangling'"));
        assert!(refusal("dangling", &["0", "1"]).starts_with("got more than one value"));
    }
}
