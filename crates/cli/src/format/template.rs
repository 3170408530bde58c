//! `--format` with a Go template.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use dhow_errdefs::{Error, Result};
use gotmpl::{FuncMap, MissingKey, Template, TemplateError, Value};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::functions::{Encode, encode, for_headers, for_values};

/// Parses a template for rows. `\t` and `\n` may be written as two characters.
pub(super) fn parse(source: &str, functions: FuncMap, faults: [&str; 2]) -> Result<Template> {
    // A method with an argument is a function in a field here, which has to be called by name.
    let source = source.replace("\\t", "\t").replace("\\n", "\n").replace(".Label ", "call .Label ");
    let parsed = Template::new("").missing_key(MissingKey::Error).funcs(functions).parse(&source);
    parsed.map_err(|error| Error::invalid(format!("{}: {}", faults[0], syntax(&error))))
}

pub(super) fn row_functions() -> FuncMap {
    for_values(Arc::new(encode))
}

pub(super) fn header_functions() -> FuncMap {
    for_headers()
}

/// Go's words for a template that is none: `template: :1: unclosed action`.
fn syntax(error: &TemplateError) -> String {
    match error {
        TemplateError::Parse { line, message, .. } | TemplateError::Lex { line, message, .. } => {
            format!("template: :{line}: {message}")
        }
        TemplateError::UndefinedFunction(name) => format!("template: :1: function {name:?} not defined"),
        other => format!("template: :1: {other}"),
    }
}

/// Go's words for a template that cannot be executed on this value.
fn failure(source: &str, error: &TemplateError, kind: Option<&str>) -> String {
    let told = error.to_string();
    // A field of something that has none: its kind is in the text.
    let of_other = told.split_once("can't evaluate field ").and_then(|(_, rest)| rest.split_once(" in type "));
    let (key, why) = match (error, of_other) {
        (TemplateError::MissingKey { key }, _) => {
            let typed = |kind| format!("can't evaluate field {key} in type {kind}");
            (key.to_string(), kind.map_or_else(|| format!("map has no entry for key {key:?}"), typed))
        }
        (_, Some((key, kind))) => (key.to_owned(), format!("can't evaluate field {key} in type {kind}")),
        _ => return format!("template: :1: executing \"\": {error}"),
    };
    let dotted = format!(".{key}");
    let ends = |at: usize| !source[at..].starts_with(|c: char| c.is_alphanumeric() || c == '_');
    let at = source.match_indices(&dotted).find(|(at, _)| ends(at + dotted.len())).map_or(0, |(at, _)| at);
    let chain = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
    let start = source[..at].rfind(|c| !chain(c)).map_or(0, |before| before + 1);
    let node = &source[start..(at + dotted.len()).min(source.len())];
    format!("template: :1:{at}: executing \"\" at <{node}>: {why}")
}

/// Executes a template on a value.
pub(super) fn execute(
    template: &Template,
    source: &str,
    value: &Value,
    kind: Option<&str>,
    faults: [&str; 2],
) -> Result<String> {
    template.execute_to_string(value).map_err(|error| {
        Error::invalid(match error {
            // Go finds this out before it executes anything.
            TemplateError::UndefinedFunction(_) => format!("{}: {}", faults[0], syntax(&error)),
            error => format!("{}: {}", faults[1], failure(source, &error, kind)),
        })
    })
}

/// A JSON document prepared for templates: `{{json .X}}` prints the fields in the document's order, which the maps of
/// templates do not keep.
pub(crate) struct Document {
    value: Value,
    /// From the address of a list or map in `value`, which lives as long as this, to its text.
    texts: Arc<HashMap<usize, String>>,
    missing: MissingKey,
}

impl Document {
    /// Reads a document. Fields of `optional` (paths with dots) that are not there are empty, as in Docker's types.
    pub(crate) fn parse(text: &str, optional: &[&str]) -> Result<Self> {
        Self::parse_as(text, optional, &[])
    }

    /// The same for documents whose fields have other names in templates than on the wire: paths, and new names.
    pub(crate) fn parse_as(text: &str, optional: &[&str], names: &[(&str, &str)]) -> Result<Self> {
        let fields = Fieldwork { optional, names };
        let mut texts = HashMap::new();
        let raw: &RawValue = serde_json::from_str(text)
            .map_err(|cause| Error::data_loss("read the daemon's answer").with_cause(cause))?;
        let value = convert(raw, "", &fields, &mut texts)
            .map_err(|cause| Error::data_loss("read the daemon's answer").with_cause(cause))?;
        Ok(Self { value, texts: Arc::new(texts), missing: MissingKey::Error })
    }

    /// A key that is missing is no failure, but `<no value>`, as in the maps of events.
    pub(crate) fn with_gaps(mut self) -> Self {
        self.missing = MissingKey::Invalid;
        self
    }

    /// Executes a template on the document.
    pub(crate) fn execute(&self, source: &str) -> Result<String> {
        let texts = Arc::clone(&self.texts);
        let in_order: Encode = Arc::new(move |value| {
            let address = address(value);
            address.and_then(|address| texts.get(&address).cloned()).unwrap_or_else(|| encode(value))
        });
        let source = source.replace("\\t", "\t").replace("\\n", "\n");
        let template = Template::new("").missing_key(self.missing).funcs(for_values(in_order)).parse(&source);
        let template =
            template.map_err(|error| Error::invalid(format!("template parsing error: {}", syntax(&error))))?;
        let filled = execute(&template, &source, &self.value, None, ["template parsing error"; 2])?;
        // What can be nothing is a pointer in Docker's types, and Go prints those so.
        Ok(match self.missing {
            MissingKey::Error => filled.replace("<no value>", "<nil>"),
            _ => filled,
        })
    }
}

fn address(value: &Value) -> Option<usize> {
    match value {
        Value::List(items) => Some(items.as_ptr().addr()),
        Value::Map(map) => Some(Arc::as_ptr(map).addr()),
        _ => None,
    }
}

/// What is to be done with fields, by their paths.
struct Fieldwork<'a> {
    optional: &'a [&'a str],
    names: &'a [(&'a str, &'a str)],
}

fn convert(
    raw: &RawValue,
    path: &str,
    fields: &Fieldwork<'_>,
    texts: &mut HashMap<usize, String>,
) -> serde_json::Result<Value> {
    let text = raw.get();
    let value = match text.as_bytes().first() {
        Some(b'{') => object(text, path, fields, texts)?,
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(text)?;
            let items = items.into_iter().map(|item| convert(item, path, fields, texts));
            Value::List(items.collect::<serde_json::Result<Vec<_>>>()?.into())
        }
        _ => scalar(serde_json::from_str(text)?),
    };
    if let Some(address) = address(&value) {
        let text = super::compact(text).0;
        texts.insert(address, text.replace("\\u003c", "<").replace("\\u003e", ">").replace("\\u0026", "&"));
    }
    Ok(value)
}

fn object(
    text: &str,
    path: &str,
    work: &Fieldwork<'_>,
    texts: &mut HashMap<usize, String>,
) -> serde_json::Result<Value> {
    let Fields(fields) = serde_json::from_str(text)?;
    let mut map = BTreeMap::new();
    for (key, raw) in fields {
        let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        let value = match raw.get() {
            "null" => nothing(&key, texts),
            _ => convert(raw, &below, work, texts)?,
        };
        let name = work.names.iter().find(|(path, _)| is(path, &below)).map_or(key.as_str(), |(_, name)| *name);
        map.insert(Arc::from(name), value);
    }
    for missing in work.optional {
        let (parent, key) = missing.rsplit_once('.').unwrap_or(("", missing));
        if parent == path && !map.contains_key(key) {
            map.insert(Arc::from(key), nothing(key, texts));
        }
    }
    Ok(Value::Map(Arc::new(map)))
}

/// Whether a path is meant; `*` is any name.
fn is(meant: &str, path: &str) -> bool {
    let (mut meant, mut parts) = (meant.split('.'), path.split('.'));
    meant.by_ref().all(|name| parts.next().is_some_and(|part| name == "*" || name == part)) && parts.next().is_none()
}

/// Fields that are lists or maps in Docker's types: when they are nil, templates print `[]` or `map[]`, and can walk them.
const LISTS: [&str; 37] = [
    "Aliases",
    "Args",
    "Binds",
    "BlkioDeviceReadBps",
    "BlkioDeviceReadIOps",
    "BlkioDeviceWriteBps",
    "BlkioDeviceWriteIOps",
    "BlkioWeightDevice",
    "CapAdd",
    "CapDrop",
    "Cmd",
    "DNSNames",
    "DeviceCgroupRules",
    "DeviceRequests",
    "Devices",
    "Dns",
    "DnsOptions",
    "DnsSearch",
    "Entrypoint",
    "Env",
    "ExecIDs",
    "ExtraHosts",
    "GroupAdd",
    "Layers",
    "Links",
    "MaskedPaths",
    "Mounts",
    "OnBuild",
    "ReadonlyPaths",
    "RepoDigests",
    "RepoTags",
    "SecondaryIPAddresses",
    "SecondaryIPv6Addresses",
    "SecurityOpt",
    "Ulimits",
    "VolumesFrom",
    "Warnings",
];
const MAPS: [&str; 8] =
    ["Config", "DriverOpts", "ExposedPorts", "Labels", "Options", "PortBindings", "Ports", "Volumes"];

/// Fields that are strings.
const STRINGS: [&str; 12] = [
    "BuildTime",
    "CgroupVersion",
    "Domainname",
    "From",
    "ID",
    "MacAddress",
    "ProductLicense",
    "Runtime",
    "Status",
    "StopSignal",
    "User",
    "WorkingDir",
];

/// `null`, in the kind its field has.
fn nothing(key: &str, texts: &mut HashMap<usize, String>) -> Value {
    let value = match key {
        key if LISTS.contains(&key) => Value::List(Vec::new().into()),
        key if MAPS.contains(&key) => Value::Map(Arc::default()),
        key if STRINGS.contains(&key) => Value::String("".into()),
        "Experimental" => Value::Bool(false),
        _ => Value::Nil,
    };
    if let Some(address) = address(&value) {
        texts.insert(address, "null".into());
    }
    value
}

fn scalar(value: serde_json::Value) -> Value {
    match value {
        serde_json::Value::Bool(value) => Value::Bool(value),
        serde_json::Value::String(text) => Value::String(text.into()),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(value), _) => Value::Int(value),
            (None, Some(value)) => Value::Uint(value),
            (None, None) => Value::Float(number.as_f64().unwrap_or_default()),
        },
        _ => Value::Nil,
    }
}

/// An object's fields as they stand in the text.
struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"Name":"/c1","State":{"Running":true,"Pid":7},"Args":["a","b"],
        "Config":{"Labels":{"x":"1"},"Env":null,"Volumes":null},"Html":["<b>"],"Empty":{}}"#;

    fn run(source: &str) -> String {
        match Document::parse(TEXT, &["State.Health"]).unwrap().execute(source) {
            Ok(text) => text,
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn fields_and_functions() {
        assert_eq!(run("{{.Name}} {{.State.Pid}}"), "/c1 7");
        assert_eq!(
            run("{{json .State}} {{json .Name}} {{json .Html}} {{json .Empty}}"),
            r#"{"Running":true,"Pid":7} "/c1" ["<b>"] {}"#
        );
        assert_eq!(run("{{join .Args \"+\"}} {{upper .Name}} {{range .Args}}<{{.}}>{{end}}"), "a+b /C1 <a><b>");
        assert_eq!(run("{{index .Config.Labels \"x\"}}|{{index .Config.Labels \"no\"}}|{{len .Args}}"), "1||2");
        assert_eq!(run("{{if .State.Health}}sick{{else}}none{{end}}"), "none");
        assert_eq!(run("{{.Args}} {{printf \"%s-%d\" .Name .State.Pid}}"), "[a b] /c1-7");
        assert_eq!(
            run("{{split \"a,b\" \",\"}} {{title \"abc d\"}} {{pad \"x\" 1 2}}| {{truncate \"abcdef\" 3}}"),
            "[a b] Abc D  x  | abc"
        );
        assert_eq!(run("{{println .Name}}{{.State.Health}}"), "/c1\n<nil>");
        assert_eq!(
            run("{{.Config.Env}} {{json .Config.Env}} {{.Config.Volumes}} {{json .Config.Volumes}}"),
            "[] null map[] null"
        );
    }

    #[test]
    fn fields_may_have_other_names_and_maps_gaps() {
        let text = r#"{"Runtimes":{"r":{"path":"/r"}},"Actor":{"Attributes":{}}}"#;
        let document = Document::parse_as(text, &["Runtimes.r.BuildTime"], &[("Runtimes.*.path", "Path")]).unwrap();
        let document = document.with_gaps();
        let source = "{{.Runtimes.r.Path}}|{{.Runtimes.r.BuildTime}}|{{.Actor.Attributes.x}}|{{json .Runtimes}}";
        assert_eq!(document.execute(source).unwrap(), "/r||<no value>|{\"r\":{\"path\":\"/r\"}}");
    }

    #[test]
    fn errors_in_gos_words() {
        assert_eq!(
            run("x {{.State.Foo}}"),
            "template parsing error: template: :1:10: executing \"\" at <.State.Foo>: map has no entry for key \"Foo\""
        );
        assert_eq!(run("{{.Foo"), "template parsing error: template: :1: unclosed action");
    }
}
