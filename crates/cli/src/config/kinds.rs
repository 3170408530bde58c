//! What may stand where in `config.json`. As for Docker's reader, something else costs its own place alone.

use serde_json::{Map, Value};

/// What a value has to be.
enum Kind {
    Text,
    Texts,
    Map(&'static Kind),
    /// An object: what Go calls it, its package in front.
    Fields(&'static str, &'static [(&'static str, Kind)]),
}

const FILE: Kind = Kind::Fields(
    "configfile.ConfigFile",
    &[
        ("auths", Kind::Map(&AUTH)),
        ("HttpHeaders", Kind::Map(&Kind::Text)),
        ("psFormat", Kind::Text),
        ("imagesFormat", Kind::Text),
        ("networksFormat", Kind::Text),
        ("pluginsFormat", Kind::Text),
        ("volumesFormat", Kind::Text),
        ("statsFormat", Kind::Text),
        ("detachKeys", Kind::Text),
        ("credsStore", Kind::Text),
        ("credHelpers", Kind::Map(&Kind::Text)),
        ("serviceInspectFormat", Kind::Text),
        ("servicesFormat", Kind::Text),
        ("tasksFormat", Kind::Text),
        ("secretFormat", Kind::Text),
        ("configFormat", Kind::Text),
        ("nodesFormat", Kind::Text),
        ("pruneFilters", Kind::Texts),
        ("proxies", Kind::Map(&PROXY)),
        ("experimental", Kind::Text),
        ("currentContext", Kind::Text),
        ("cliPluginsExtraDirs", Kind::Texts),
        ("plugins", Kind::Map(&Kind::Map(&Kind::Text))),
        ("aliases", Kind::Map(&Kind::Text)),
        ("features", Kind::Map(&Kind::Text)),
    ],
);

const AUTH: Kind = Kind::Fields(
    "types.AuthConfig",
    &[
        ("username", Kind::Text),
        ("password", Kind::Text),
        ("auth", Kind::Text),
        ("email", Kind::Text),
        ("serveraddress", Kind::Text),
        ("identitytoken", Kind::Text),
        ("registrytoken", Kind::Text),
    ],
);

const PROXY: Kind = Kind::Fields(
    "configfile.ProxyConfig",
    &[
        ("httpProxy", Kind::Text),
        ("httpsProxy", Kind::Text),
        ("noProxy", Kind::Text),
        ("ftpProxy", Kind::Text),
        ("allProxy", Kind::Text),
    ],
);

impl Kind {
    fn name(&self) -> String {
        match self {
            Self::Text => "string".to_owned(),
            Self::Texts => "[]string".to_owned(),
            Self::Map(inner) => format!("map[string]{}", inner.name()),
            Self::Fields(name, _) => (*name).to_owned(),
        }
    }
}

/// Takes out what does not fit, and gives Go's words for the first of it.
pub(super) fn fit(fields: &mut Map<String, Value>) -> Option<String> {
    let mut fitting = Fitting { fault: None };
    let mut file = Value::Object(std::mem::take(fields));
    fitting.keeps(&FILE, &mut file, "", "");
    if let Value::Object(fitted) = file {
        *fields = fitted;
    }
    fitting.fault
}

struct Fitting {
    fault: Option<String>,
}

impl Fitting {
    /// Whether the value may stay. `owner`: the object around it; `path`: the names of fields that lead to it.
    fn keeps(&mut self, kind: &Kind, value: &mut Value, owner: &str, path: &str) -> bool {
        match (kind, value) {
            (_, Value::Null) | (Kind::Text, Value::String(_)) => true,
            (Kind::Texts, Value::Array(items)) => {
                items.retain_mut(|item| self.keeps(&Kind::Text, item, owner, path));
                true
            }
            (Kind::Map(inner), Value::Object(items)) => {
                items.retain(|_, item| self.keeps(inner, item, owner, path));
                true
            }
            (Kind::Fields(name, known), Value::Object(fields)) => {
                let owner = name.rsplit('.').next().unwrap_or(name);
                fields.retain(|field, item| match known.iter().find(|(known, _)| known == field) {
                    Some((_, kind)) if path.is_empty() => self.keeps(kind, item, owner, field),
                    Some((_, kind)) => self.keeps(kind, item, owner, &format!("{path}.{field}")),
                    None => true,
                });
                true
            }
            (kind, value) => {
                let (found, wanted) = (word(value), kind.name());
                self.fault.get_or_insert_with(|| {
                    format!("json: cannot unmarshal {found} into Go struct field {owner}.{path} of type {wanted}")
                });
                false
            }
        }
    }
}

/// Go's word for what a value is.
pub(super) fn word(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fitted(mut value: Value) -> (Value, Option<String>) {
        let fault = fit(value.as_object_mut().unwrap());
        (value, fault)
    }

    #[test]
    fn what_does_not_fit_is_taken_out_and_named_in_gos_words() {
        for (text, left, field, kind) in [
            (json!({"psFormat": 5}), json!({}), "number into Go struct field ConfigFile.psFormat", "string"),
            (
                json!({"auths": [], "detachKeys": "x"}),
                json!({"detachKeys": "x"}),
                "array into Go struct field ConfigFile.auths",
                "map[string]types.AuthConfig",
            ),
            (
                json!({"auths": {"r": 5, "s": {"auth": "x"}}}),
                json!({"auths": {"s": {"auth": "x"}}}),
                "number into Go struct field ConfigFile.auths",
                "types.AuthConfig",
            ),
            (
                json!({"auths": {"r": {"auth": true, "username": "u"}}}),
                json!({"auths": {"r": {"username": "u"}}}),
                "bool into Go struct field AuthConfig.auths.auth",
                "string",
            ),
            (
                json!({"pruneFilters": ["a", {}]}),
                json!({"pruneFilters": ["a"]}),
                "object into Go struct field ConfigFile.pruneFilters",
                "string",
            ),
            (
                json!({"proxies": {"default": {"noProxy": 1}}}),
                json!({"proxies": {"default": {}}}),
                "number into Go struct field ProxyConfig.proxies.noProxy",
                "string",
            ),
            (
                json!({"plugins": {"a": "x"}}),
                json!({"plugins": {}}),
                "string into Go struct field ConfigFile.plugins",
                "map[string]string",
            ),
        ] {
            let fault = format!("json: cannot unmarshal {field} of type {kind}");
            assert_eq!(fitted(text), (left, Some(fault)));
        }
        let good = json!({"psFormat": null, "Strange": 5, "auths": {"r": {"auth": "x", "more": 1}}});
        assert_eq!(fitted(good.clone()), (good, None));
    }
}
