//! Templates for the rows of lists.

use std::sync::Arc;

use dhow_errdefs::{Error, Result};
use gotmpl::{FuncMap, MissingKey, Template, TemplateError, Value};

use super::functions::{encode, for_headers, for_values};
use super::printf;
use super::rewrite::unbalanced;

/// Parses a template for rows. `\t` and `\n` may be written as two characters.
pub(super) fn parse(source: &str, mut functions: FuncMap, faults: [&str; 2]) -> Result<Template> {
    // A method with an argument is a function in a field here, which has to be called by name.
    let source = unescaped(source).replace(".Label ", "call .Label ");
    functions.insert("printf".into(), printf::of_plain_values());
    let parsed = Template::new("").missing_key(MissingKey::Error).funcs(functions).parse(&source);
    if let (Ok(_), Some(why)) = (&parsed, unbalanced(&source)) {
        return Err(Error::invalid(format!("{}: template: :1: {why}", faults[0])));
    }
    parsed.map_err(|error| Error::invalid(format!("{}: {}", faults[0], syntax(&source, &error))))
}

/// With the characters that may be written as two.
fn unescaped(source: &str) -> String {
    source.replace("\\t", "\t").replace("\\n", "\n")
}

pub(super) fn row_functions() -> FuncMap {
    for_values(Arc::new(encode))
}

pub(super) fn header_functions() -> FuncMap {
    for_headers()
}

/// Go's words for a template that is none: `template: :1: unclosed action`.
pub(super) fn syntax(source: &str, error: &TemplateError) -> String {
    match error {
        TemplateError::Parse { line, message, .. } | TemplateError::Lex { line, message, .. } => {
            format!("template: :{line}: {}", in_gos_words(source, message))
        }
        TemplateError::UndefinedFunction(name) => format!("template: :1: function {name:?} not defined"),
        other => format!("template: :1: {other}"),
    }
}

/// Where the parser has other words than Go's.
fn in_gos_words(source: &str, message: &str) -> String {
    if let Some(strange) = message.strip_prefix("unexpected character: ") {
        let code = strange.trim_matches('\'').chars().next().map_or(0, u32::from);
        return format!("bad character U+{code:04X} {strange}");
    }
    match message {
        "unterminated string" => "unterminated quoted string".to_owned(),
        "empty command" => {
            let keyword = ["if", "range", "with"].into_iter().find(|word| source.contains(&format!("{{{{{word}}}}}")));
            format!("missing value for {}", keyword.unwrap_or("command"))
        }
        other => other.to_owned(),
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
            TemplateError::UndefinedFunction(_) => format!("{}: {}", faults[0], syntax(source, &error)),
            error => format!("{}: {}", faults[1], failure(&unescaped(source), &error, kind)),
        })
    })
}
