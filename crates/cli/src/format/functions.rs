//! The functions Docker adds to Go's templates.

use std::sync::Arc;

use gotmpl::{FuncMap, Result, TemplateError, Value};

/// Writes a value as JSON.
pub(crate) type Encode = Arc<dyn Fn(&Value) -> String + Send + Sync>;

type Function = fn(&[Value]) -> Result<Value>;

/// A function of that name with so many arguments, in Go's words where there are more or fewer.
fn of(
    name: &'static str,
    count: usize,
    function: impl Fn(&[Value]) -> Result<Value> + Send + Sync + 'static,
) -> gotmpl::ValueFunc {
    Arc::new(move |args: &[Value]| {
        if args.len() == count {
            return function(args);
        }
        Err(wrong(&format!("wrong number of args for {name}: want {count} got {}", args.len())))
    })
}

fn wrong(why: &str) -> TemplateError {
    TemplateError::Exec(why.to_owned())
}

fn string(text: impl Into<String>) -> Value {
    Value::String(text.into().into())
}

fn text(args: &[Value], at: usize) -> Result<String> {
    args.get(at).map(ToString::to_string).ok_or_else(|| wrong("wrong number of args"))
}

fn number(args: &[Value], at: usize) -> Result<usize> {
    let value = args.get(at).and_then(Value::as_int).ok_or_else(|| wrong("wrong type for value; expected int"))?;
    usize::try_from(value).map_err(|_| wrong(&format!("no number of characters: {value}")))
}

fn join(args: &[Value]) -> Result<Value> {
    let separator = text(args, 1)?;
    match &args[0] {
        Value::List(items) => Ok(string(items.iter().map(ToString::to_string).collect::<Vec<_>>().join(&separator))),
        Value::Nil => Ok(string("")),
        other => Err(wrong(&format!("wrong type for value; expected []string; got {}", other.type_name()))),
    }
}

fn split(args: &[Value]) -> Result<Value> {
    let (whole, separator) = (text(args, 0)?, text(args, 1)?);
    // Go splits by nothing into characters, without empty strings at the ends.
    let parts: Vec<Value> = match separator.is_empty() {
        true => whole.chars().map(string).collect(),
        false => whole.split(separator.as_str()).map(string).collect(),
    };
    Ok(Value::List(parts.into()))
}

fn title(args: &[Value]) -> Result<Value> {
    let (words, mut up) = (text(args, 0)?, true);
    let titled = words.chars().map(|c| {
        let c = if up { c.to_ascii_uppercase() } else { c };
        up = !c.is_alphanumeric() && c != '_' && c != '\'';
        c
    });
    Ok(string(titled.collect::<String>()))
}

/// Most spaces on one side: nobody's terminal is wider, and memory has an end.
const WIDEST: usize = 1 << 20;

fn pad(args: &[Value]) -> Result<Value> {
    let source = text(args, 0)?;
    let (before, after) = (number(args, 1)?, number(args, 2)?);
    match source.as_str() {
        "" => Ok(string("")),
        _ if before.max(after) > WIDEST => Err(wrong(&format!("pad: at most {WIDEST} spaces on a side"))),
        _ => Ok(string([&" ".repeat(before), source.as_str(), &" ".repeat(after)].concat())),
    }
}

fn truncate(args: &[Value]) -> Result<Value> {
    Ok(string(text(args, 0)?.chars().take(number(args, 1)?).collect::<String>()))
}

fn first(args: &[Value]) -> Result<Value> {
    args.first().cloned().ok_or_else(|| wrong("wrong number of args"))
}

/// The functions for values; `json` is the caller's, who knows the order of fields.
pub(super) fn for_values(encode: Encode) -> FuncMap {
    let mut functions = FuncMap::new();
    let plain: [(&str, usize, Function); 7] = [
        ("join", 2, join),
        ("split", 2, split),
        ("title", 1, title),
        ("pad", 3, pad),
        ("truncate", 2, truncate),
        ("lower", 1, |args| Ok(string(text(args, 0)?.to_lowercase()))),
        ("upper", 1, |args| Ok(string(text(args, 0)?.to_uppercase()))),
    ];
    for (name, count, function) in plain {
        functions.insert(name.into(), of(name, count, function));
    }
    functions.insert("json".into(), of("json", 1, move |args| Ok(string(encode(&args[0])))));
    functions
}

/// The same names for the header of a table, where all but `pad` leave the words as they are.
pub(super) fn for_headers() -> FuncMap {
    let mut functions: FuncMap = ["json", "join", "split", "title", "lower", "upper", "truncate", "index"]
        .into_iter()
        .map(|name| (name.to_owned(), Arc::new(first) as gotmpl::ValueFunc))
        .collect();
    functions.insert("pad".into(), Arc::new(pad));
    functions
}

/// A value as Go's encoder writes it without escaping for HTML; maps in the order of their keys.
pub(super) fn encode(value: &Value) -> String {
    match value {
        Value::Nil | Value::Function(_) => "null".into(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Uint(value) => value.to_string(),
        Value::Float(value) => serde_json::to_string(value).unwrap_or_else(|_| "null".into()),
        Value::String(text) => serde_json::to_string(text.as_ref()).expect("strings are JSON"),
        Value::List(items) => format!("[{}]", items.iter().map(encode).collect::<Vec<_>>().join(",")),
        Value::Map(map) => {
            let fields = map.iter().filter(|(_, value)| !matches!(value, Value::Function(_)));
            let fields = fields.map(|(key, value)| format!("{}:{}", serde_json::json!(key.as_ref()), encode(value)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
        }
    }
}
