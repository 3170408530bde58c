//! A JSON document as the values of a template: either as Docker's Go types have it, or plainly as it is written.
//!
//! The values of the template engine know neither structures nor pointers. What a map is beyond its keys is kept beside
//! it, under its address: a value lives as long as its view.

use std::collections::{BTreeMap, HashMap};
use std::fmt::{self, Write};
use std::sync::Arc;

use gotmpl::Value;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::functions::encode;
use super::printf::{Form, GoValue};
use super::shape::{self, Shape};
use super::{go_duration, go_time};

/// What a map stands for.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    /// A structure, or a pointer to one.
    Structure(Arc<Shape>, bool),
    /// A pointer to nothing.
    Nil,
    /// What a map has not.
    Missing,
    /// A map of values of that kind.
    Map(&'static str),
    /// A map whose keys are a type of their own.
    Keyed,
}

/// The values, and what is known about them.
#[derive(Debug)]
pub(super) struct View {
    pub(super) value: Value,
    /// Whether values have Docker's types.
    pub(super) typed: bool,
    missing: Value,
    kinds: HashMap<usize, Kind>,
    /// What Go calls them, where values do not tell it themselves.
    types: HashMap<usize, shape::Kind>,
    /// The JSON of values that cannot be written again from what they are.
    texts: HashMap<usize, String>,
}

impl View {
    /// The document as a value of that type.
    pub(super) fn typed(text: &str, kind: &'static str) -> serde_json::Result<Self> {
        let mut view = Self::empty(true);
        let raw: &RawValue = serde_json::from_str(text)?;
        view.value = view.of(shape::Kind::new(kind), Some(raw))?;
        Ok(view)
    }

    /// The document as Go's maps have it: what is written from them again is in the order of the keys.
    pub(super) fn plain(text: &str) -> serde_json::Result<Self> {
        let mut view = Self::empty(false);
        let sorted = serde_json::from_str::<serde_json::Value>(text)?.to_string();
        view.value = view.of(shape::Kind::new("x"), Some(serde_json::from_str(&sorted)?))?;
        Ok(view)
    }

    fn empty(typed: bool) -> Self {
        let (kinds, types, texts) = (HashMap::new(), HashMap::new(), HashMap::new());
        let mut view = Self { value: Value::Nil, typed, missing: Value::Nil, kinds, types, texts };
        view.missing = view.nothing(Kind::Missing);
        view
    }

    /// A map without anything in it is as false as Go's nil.
    fn nothing(&mut self, kind: Kind) -> Value {
        let value = Value::Map(Arc::default());
        self.note(&value, "null", Some(kind));
        value
    }

    fn note(&mut self, value: &Value, text: &str, kind: Option<Kind>) {
        let Some(address) = address(value) else { return };
        let text = super::compact(text).0;
        self.texts.insert(address, text.replace("\\u003c", "<").replace("\\u003e", ">").replace("\\u0026", "&"));
        kind.into_iter().for_each(|kind| drop(self.kinds.insert(address, kind)));
    }

    fn of(&mut self, kind: shape::Kind, raw: Option<&RawValue>) -> serde_json::Result<Value> {
        let value = self.read(kind, raw.filter(|raw| raw.get() != "null"))?;
        if kind.code != "x"
            && let Some(address) = address(&value)
        {
            self.types.insert(address, kind);
        }
        Ok(value)
    }

    fn read(&mut self, kind: shape::Kind, raw: Option<&RawValue>) -> serde_json::Result<Value> {
        let text = raw.map_or("null", RawValue::get);
        let inner = kind.inner();
        match (kind.code.as_bytes().first(), raw) {
            (Some(b'['), _) => self.list(inner, raw),
            (Some(b'{'), _) => self.map(inner, raw, Kind::Map(inner.code)),
            (Some(b'<'), _) => self.map(inner, raw, Kind::Keyed),
            (Some(b'*'), None) => Ok(self.nothing(Kind::Nil)),
            (Some(b'*'), Some(raw)) => self.structure(inner.code, Some(raw), true),
            (Some(b'?'), None) => Ok(Value::Nil),
            (Some(b'?'), Some(_)) => scalar(text),
            _ if kind.code == "x" => self.anything(text),
            (None, None) => Ok(Value::String("".into())),
            _ => match kind.code {
                "b" if raw.is_none() => Ok(Value::Bool(false)),
                "i" if raw.is_none() => Ok(Value::Int(0)),
                "" | "b" | "i" => scalar(text),
                "t" => Ok(self.words(go_time(raw.map_or("0001-01-01T00:00:00Z", |_| text.trim_matches('"'))), text)),
                "d" => {
                    Ok(self
                        .words(go_duration(text.parse().unwrap_or_default()), if raw.is_some() { text } else { "0" }))
                }
                name => self.structure(name, raw, false),
            },
        }
    }

    /// A value that templates print in other words than JSON has for it.
    fn words(&mut self, words: String, text: &str) -> Value {
        let value = Value::String(words.into());
        self.note(&value, text, None);
        value
    }

    fn anything(&mut self, text: &str) -> serde_json::Result<Value> {
        let raw: &RawValue = serde_json::from_str(text)?;
        match text.as_bytes().first() {
            Some(b'{') => self.of(shape::Kind::new("{x"), Some(raw)),
            Some(b'[') => self.of(shape::Kind::new("[x"), Some(raw)),
            // Where Docker's client knows no types, a number is the text it was.
            Some(b'-' | b'0'..=b'9') if !self.typed => {
                let number = self.words(text.to_owned(), text);
                address(&number).map(|address| self.types.insert(address, shape::Kind::new("n")));
                Ok(number)
            }
            _ => scalar(text),
        }
    }

    fn list(&mut self, kind: shape::Kind, raw: Option<&RawValue>) -> serde_json::Result<Value> {
        let items: Vec<&RawValue> = raw.map_or(Ok(Vec::new()), |raw| serde_json::from_str(raw.get()))?;
        let items = items.into_iter().map(|item| self.of(kind, Some(item)));
        let value = Value::List(items.collect::<serde_json::Result<Vec<_>>>()?.into());
        self.note(&value, raw.map_or("null", RawValue::get), None);
        Ok(value)
    }

    fn map(&mut self, kind: shape::Kind, raw: Option<&RawValue>, is: Kind) -> serde_json::Result<Value> {
        let Fields(fields) = raw.map_or(Ok(Fields(Vec::new())), |raw| serde_json::from_str(raw.get()))?;
        let items = fields.into_iter().map(|(key, raw)| Ok((Arc::from(key), self.of(kind, Some(raw))?)));
        let value = Value::Map(Arc::new(items.collect::<serde_json::Result<_>>()?));
        self.note(&value, raw.map_or("null", RawValue::get), Some(is));
        Ok(value)
    }

    fn structure(&mut self, name: &str, raw: Option<&RawValue>, pointer: bool) -> serde_json::Result<Value> {
        let shape = Shape::named(name);
        let Fields(fields) = raw.map_or(Ok(Fields(Vec::new())), |raw| serde_json::from_str(raw.get()))?;
        let (mut map, mut embedded) = (BTreeMap::new(), Vec::new());
        for field in &shape.fields {
            let own = || fields.iter().find(|(key, _)| key == field.wire).map(|(_, raw)| *raw);
            let value = self.of(field.kind, if field.embedded { raw } else { own() })?;
            if let (true, Value::Map(inner)) = (field.embedded, &value) {
                embedded.push(Arc::clone(inner));
            }
            map.insert(Arc::from(field.name), value);
        }
        for (name, value) in embedded.iter().flat_map(|inner| inner.iter()) {
            map.entry(Arc::clone(name)).or_insert_with(|| value.clone());
        }
        let value = Value::Map(Arc::new(map));
        self.note(&value, raw.map_or("{}", RawValue::get), Some(Kind::Structure(shape, pointer)));
        Ok(value)
    }

    fn kind(&self, value: &Value) -> Option<&Kind> {
        address(value).and_then(|address| self.kinds.get(&address))
    }

    /// A field, or the value of a key; the error is Go's text.
    pub(super) fn field(&self, value: &Value, name: &str) -> Result<Value, String> {
        let no_field = |kind: &str| Err(format!("can't evaluate field {name} in type {kind}"));
        match (self.kind(value), value) {
            (Some(Kind::Missing), _) => Ok(value.clone()),
            (Some(Kind::Nil), _) => Err(format!("nil pointer evaluating {name}")),
            (Some(Kind::Structure(shape, pointer)), Value::Map(map)) => match map.get(name) {
                Some(found) => Ok(found.clone()),
                None => no_field(&format!("{}{}", if *pointer { "*" } else { "" }, shape.name)),
            },
            (Some(Kind::Keyed), _) if self.typed => no_field("map"),
            (_, Value::Map(map)) => match map.get(name) {
                Some(found) => Ok(found.clone()),
                None if self.typed => Ok(self.missing.clone()),
                None => Err(format!("map has no entry for key {name:?}")),
            },
            (_, Value::Nil) => Err(format!("nil data; no entry for key {name:?}")),
            (_, other) if self.typed => no_field(other.type_name()),
            _ => no_field("interface {}"),
        }
    }

    /// Go's `index` with one key.
    pub(super) fn index(&self, value: &Value, key: &Value) -> Result<Value, String> {
        match (self.kind(value), value, key) {
            (Some(Kind::Structure(..) | Kind::Keyed), ..) => Err("can't index item".to_owned()),
            (Some(Kind::Nil | Kind::Missing), ..) | (_, Value::Nil, _) => Err("index of untyped nil".to_owned()),
            (kind, Value::Map(map), Value::String(key)) => Ok(match (map.get(key.as_ref()), kind) {
                (Some(found), _) => found.clone(),
                (None, Some(Kind::Map(""))) => Value::String("".into()),
                (None, _) => self.missing.clone(),
            }),
            (_, Value::List(_) | Value::String(_), Value::String(_)) => {
                Err("cannot index slice/array with type string".to_owned())
            }
            _ => value.index(key).map_err(|error| match error {
                // Go's check lets the length itself pass, and what is below it complains.
                gotmpl::TemplateError::IndexOutOfRange { index } if value.len() == usize::try_from(index).ok() => {
                    "reflect: slice index out of range".to_owned()
                }
                gotmpl::TemplateError::IndexOutOfRange { index } => format!("index out of range: {index}"),
                other => other.to_string(),
            }),
        }
    }

    /// What can be walked: a list or a map, but no structure.
    pub(super) fn iterable(&self, value: &Value) -> Result<Value, String> {
        match self.kind(value) {
            Some(Kind::Structure(..)) => Err("range can't iterate over a structure".to_owned()),
            _ => Ok(value.clone()),
        }
    }

    /// A value as an action prints it: that of a pointer is what it points to.
    pub(super) fn shown(&self, value: &Value) -> String {
        let mut text = String::new();
        self.print(value, false, &mut text).expect("writing to a String cannot fail");
        text
    }

    /// Go's type of a field, which numbers, bools and what is not there do not tell themselves.
    pub(super) fn field_of(&self, value: &Value, name: &str) -> Option<String> {
        match self.kind(value) {
            Some(Kind::Structure(shape, _)) => shape.field(name).map(shape::Kind::name),
            _ => None,
        }
    }

    /// A value as Go's `fmt` has it; `name` is its type, if the value itself is not known.
    pub(super) fn go(&self, value: &Value, name: Option<&str>) -> GoValue {
        let noted = address(value).and_then(|address| self.types.get(&address)).copied();
        let of_kind = |kind: shape::Kind| kind.name();
        let name = || noted.map(of_kind).or_else(|| name.map(str::to_owned));
        match (self.kind(value), value) {
            (Some(Kind::Missing), _) => GoValue::nil(),
            (Some(Kind::Nil), _) => GoValue::new(name().unwrap_or_default(), Form::Pointer(None)),
            (Some(Kind::Structure(shape, pointer)), Value::Map(map)) => self.go_structure(shape, *pointer, map, noted),
            (_, Value::Map(map)) => match (name(), noted) {
                (Some(name), Some(kind)) => GoValue::new(name.clone(), self.go_map(value, map, kind, &name)),
                _ => GoValue::from(value),
            },
            (_, Value::List(items)) => match (name(), noted) {
                (Some(name), Some(kind)) => {
                    let inner = self.scalar_name(kind.inner());
                    let items = items.iter().map(|item| self.go(item, inner.as_deref()));
                    GoValue::new(name, Form::List((!self.is_null(value)).then(|| items.collect())))
                }
                _ => GoValue::from(value),
            },
            (_, Value::String(text)) => self.go_text(value, text, noted),
            _ => name().map_or_else(|| GoValue::from(value), |name| GoValue::scalar(value, &name)),
        }
    }

    fn is_null(&self, value: &Value) -> bool {
        address(value).and_then(|address| self.texts.get(&address)).is_some_and(|text| text == "null")
    }

    /// The type of what is in a list or a map, if that cannot tell it itself.
    fn scalar_name(&self, kind: shape::Kind) -> Option<String> {
        match kind.code {
            "x" => None,
            _ => Some(kind.name()),
        }
    }

    fn go_text(&self, value: &Value, text: &str, noted: Option<shape::Kind>) -> GoValue {
        let name = noted.map_or_else(|| "string".to_owned(), shape::Kind::name);
        let number = || self.json(value).parse().unwrap_or_default();
        let (form, words) = match noted.map(|kind| kind.code) {
            Some("d") => (Form::Int(number()), Some(text.to_owned())),
            Some("t") => (Form::Structure(Vec::new()), Some(text.to_owned())),
            _ => (Form::Text(text.to_owned()), None),
        };
        GoValue { words, ..GoValue::new(name, form) }
    }

    fn go_map(&self, value: &Value, map: &BTreeMap<Arc<str>, Value>, kind: shape::Kind, name: &str) -> Form {
        let key = match kind.code.starts_with('<') && !name.starts_with("map[string]") {
            true => "nat.Port",
            false => "string",
        };
        let inner = self.scalar_name(kind.inner());
        let item = |(name, value): (&Arc<str>, &Value)| {
            (GoValue::new(key, Form::Text(name.to_string())), self.go(value, inner.as_deref()))
        };
        Form::Map((!self.is_null(value)).then(|| map.iter().map(item).collect()))
    }

    fn go_structure(
        &self,
        shape: &Shape,
        pointer: bool,
        map: &BTreeMap<Arc<str>, Value>,
        noted: Option<shape::Kind>,
    ) -> GoValue {
        let nothing = Value::Nil;
        let field = |field: &shape::Field| {
            let value = map.get(field.name).unwrap_or(&nothing);
            (field.name, self.go(value, Some(&field.kind.name())))
        };
        let fields = Form::Structure(shape.fields.iter().map(field).collect());
        let words = spelled(shape, map);
        let name = noted.map_or_else(|| shape.name.to_owned(), shape::Kind::name);
        match pointer {
            true => {
                let target = Box::new(GoValue::new(name.trim_start_matches('*'), fields));
                GoValue { words, ..GoValue::new(name, Form::Pointer(Some(target))) }
            }
            false => GoValue::new(name, fields),
        }
    }

    /// A value for functions that print without a format: there, pointers are marked, and plain values stay what they are.
    pub(super) fn printable(&self, value: &Value) -> Value {
        match (self.kind(value), value) {
            (Some(Kind::Structure(_, true)), _) => Value::String(format!("&{}", self.shown(value)).into()),
            (_, Value::Map(_) | Value::List(_)) => Value::String(self.shown(value).into()),
            _ => value.clone(),
        }
    }

    fn print(&self, value: &Value, nested: bool, out: &mut String) -> fmt::Result {
        match (self.kind(value), value) {
            (Some(Kind::Missing), _) => out.write_str("<no value>"),
            (Some(Kind::Nil), _) => out.write_str("<nil>"),
            (Some(Kind::Structure(shape, pointer)), Value::Map(map)) => match spelled(shape, map) {
                Some(text) => out.write_str(&text),
                None if *pointer && nested => pointer_to(Arc::as_ptr(map).addr(), out),
                None => self.print_structure(shape, map, out),
            },
            (_, Value::Map(map)) => {
                let items = map.iter().map(|(key, value)| (Some(key.as_ref()), value));
                self.print_items("map[", items, out)
            }
            (_, Value::List(items)) => self.print_items("[", items.iter().map(|item| (None, item)), out),
            (_, other) => write!(out, "{other}"),
        }
    }

    fn print_items<'v>(
        &self,
        open: &str,
        items: impl Iterator<Item = (Option<&'v str>, &'v Value)>,
        out: &mut String,
    ) -> fmt::Result {
        out.write_str(open)?;
        for (at, (key, value)) in items.enumerate() {
            out.write_str(if at > 0 { " " } else { "" })?;
            key.map_or(Ok(()), |key| write!(out, "{key}:"))?;
            self.print(value, true, out)?;
        }
        out.write_str("]")
    }

    fn print_structure(&self, shape: &Shape, map: &BTreeMap<Arc<str>, Value>, out: &mut String) -> fmt::Result {
        out.write_str("{")?;
        for (at, field) in shape.fields.iter().enumerate() {
            out.write_str(if at > 0 { " " } else { "" })?;
            let value = map.get(field.name).unwrap_or(&Value::Nil);
            match field.kind.code.starts_with('?') && !matches!(value, Value::Nil) {
                true => pointer_to(std::ptr::from_ref(value).addr(), out)?,
                false => self.print(value, true, out)?,
            }
        }
        out.write_str("}")
    }

    /// A value as JSON, in the order of the document.
    pub(super) fn json(&self, value: &Value) -> String {
        let known = address(value).and_then(|address| self.texts.get(&address));
        known.cloned().unwrap_or_else(|| encode(value))
    }
}

/// Types that have words of their own.
fn spelled(shape: &Shape, map: &BTreeMap<Arc<str>, Value>) -> Option<String> {
    let field = |name: &str| map.get(name).map(ToString::to_string).unwrap_or_default();
    match shape.name {
        "units.Ulimit" => Some(format!("{}={}:{}", field("Name"), field("Soft"), field("Hard"))),
        "blkiodev.WeightDevice" => Some(format!("{}:{}", field("Path"), field("Weight"))),
        "blkiodev.ThrottleDevice" => Some(format!("{}:{}", field("Path"), field("Rate"))),
        _ => None,
    }
}

/// An address as Go's heap has them.
fn pointer_to(address: usize, out: &mut String) -> fmt::Result {
    write!(out, "0xc{:09x}", address & 0xf_ffff_ffff)
}

fn address(value: &Value) -> Option<usize> {
    match value {
        Value::List(items) => Some(items.as_ptr().addr()),
        Value::Map(map) => Some(Arc::as_ptr(map).addr()),
        Value::String(text) => Some(text.as_ptr().addr()),
        _ => None,
    }
}

fn scalar(text: &str) -> serde_json::Result<Value> {
    Ok(match serde_json::from_str(text)? {
        serde_json::Value::Bool(value) => Value::Bool(value),
        serde_json::Value::String(text) => Value::String(text.into()),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(value), _) => Value::Int(value),
            (None, Some(value)) => Value::Uint(value),
            (None, None) => Value::Float(number.as_f64().unwrap_or_default()),
        },
        _ => Value::Nil,
    })
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
