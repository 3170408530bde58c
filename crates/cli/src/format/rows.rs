//! Lists of things: a table, JSON lines or a template per row.

use std::collections::BTreeMap;
use std::sync::Arc;

use dhow_errdefs::Result;
use gotmpl::{Template, Value};

use super::template::{execute, header_functions, parse, row_functions};
use super::{Table, quote};

/// A field of a row and the head of its column.
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) header: &'static str,
}

/// A thing in a list.
pub(crate) trait Row {
    /// What Docker's Go code calls the type; errors name it.
    const KIND: &'static str;
    /// What stands before the errors of templates that cannot be parsed, and of those that cannot be executed.
    const FAULTS: [&'static str; 2] = ["template parsing error", "template parsing error"];
    /// The template that the word `raw` means.
    const RAW: Option<&'static str> = None;
    /// All fields, in any order.
    const COLUMNS: &'static [Column];
    /// Fields of our own, for templates: JSON has those of Docker's client.
    const OWN: &'static [Column] = &[];

    /// A field in words.
    fn field(&self, name: &str) -> String;

    /// Appends a field in words: long lists need no text of its own for each cell.
    fn put(&self, name: &str, text: &mut String) {
        text.push_str(&self.field(name));
    }

    /// What JSON shows for a field that is no text: `true`, `false`, or `null` for what is nothing at all to templates.
    fn json(&self, _name: &str) -> Option<&'static str> {
        None
    }

    /// A method of templates that takes an argument: `{{.Label "x"}}`.
    fn labels(&self) -> Option<&BTreeMap<String, String>> {
        None
    }
}

/// How to show a list.
pub(crate) enum Format<'a> {
    /// The columns of these fields.
    Columns(&'a [&'a str]),
    /// `table TEMPLATE`.
    Table(&'a str),
    /// `json`.
    Json,
    /// A template.
    Template(&'a str),
}

impl<'a> Format<'a> {
    /// What `--format` asks for; `columns` where it asks for the usual table.
    pub(crate) fn new(asked: &'a str, columns: &'a [&'a str]) -> Self {
        match asked {
            "" | "table" => Self::Columns(columns),
            "json" | "{{json .}}" => Self::Json,
            template => match template.strip_prefix("table") {
                Some(rest) => Self::Table(rest.trim_matches(' ')),
                None => Self::Template(template.trim_matches(' ')),
            },
        }
    }
}

/// The text of a list of which only the names are wanted (`--quiet`), which are in that field; but a format of the person's
/// own counts, as in Docker.
pub(crate) fn show_names<T: Row>(rows: &[T], asked: Option<&str>, field: &str) -> Result<String> {
    let named = format!("{{{{.{field}}}}}");
    match asked {
        None | Some("" | "table") => Ok(rows.iter().map(|row| row.field(field) + "\n").collect()),
        Some("raw") => {
            let line = T::RAW.and_then(|raw| raw.lines().find(|line| line.ends_with(&named)));
            show(rows, &Format::Template(line.unwrap_or(&named)))
        }
        Some(format) => show(rows, &Format::new(format, &[])),
    }
}

/// The text of a list.
pub(crate) fn show<T: Row>(rows: &[T], format: &Format<'_>) -> Result<String> {
    match format {
        Format::Columns(fields) => Ok(columns(rows, fields)),
        Format::Json => Ok(rows.iter().map(|row| json(row) + "\n").collect()),
        Format::Template(source) => {
            let source: &str = T::RAW.filter(|_| *source == "raw").unwrap_or(source);
            let template = parse(source, row_functions(), T::FAULTS)?;
            let lines = rows.iter().map(|row| fill::<T>(&template, source, &value(row)).map(|line| line + "\n"));
            lines.collect()
        }
        Format::Table(source) => table(rows, source),
    }
}

/// Executes a template on a row or a header.
fn fill<T: Row>(template: &Template, source: &str, value: &Value) -> Result<String> {
    let text = execute(template, source, value, Some(T::KIND), T::FAULTS)?;
    // What is nothing in a row is a pointer in Go, and no interface.
    Ok(text.replace("<no value>", "<nil>"))
}

fn columns<T: Row>(rows: &[T], fields: &[&str]) -> String {
    let mut table = Table::new();
    table.row(fields.iter().map(|field| header::<T>(field)));
    for row in rows {
        table.row_with(fields, |field, text| row.put(field, text));
    }
    table.finish()
}

fn header<T: Row>(name: &str) -> &'static str {
    T::COLUMNS.iter().find(|column| column.name == name).map_or("", |column| column.header)
}

fn table<T: Row>(rows: &[T], source: &str) -> Result<String> {
    let mut table = Table::new();
    let heads =
        T::COLUMNS.iter().chain(T::OWN).map(|column| (Arc::from(column.name), Value::String(column.header.into())));
    let mut heads: BTreeMap<Arc<str>, Value> = heads.collect();
    let label: gotmpl::ValueFunc = Arc::new(|args| {
        let name = args.first().map(ToString::to_string).unwrap_or_default();
        let last = name.rsplit('.').next().unwrap_or_default();
        Ok(Value::String(last.into()))
    });
    heads.insert(Arc::from("Label"), Value::Function(label));
    let header = parse(source, header_functions(), T::FAULTS)?;
    table.line(&fill::<T>(&header, source, &Value::Map(Arc::new(heads)))?);
    let template = parse(source, row_functions(), T::FAULTS)?;
    for row in rows {
        table.line(&fill::<T>(&template, source, &value(row))?);
    }
    Ok(table.finish())
}

fn value<T: Row>(row: &T) -> Value {
    let text = |name: &str| match row.json(name) {
        Some("true") => Value::Bool(true),
        Some("false") => Value::Bool(false),
        Some(_) => Value::Nil,
        None => Value::String(row.field(name).into()),
    };
    let fields = T::COLUMNS.iter().chain(T::OWN).map(|column| (Arc::from(column.name), text(column.name)));
    let mut fields: BTreeMap<Arc<str>, Value> = fields.collect();
    if let Some(labels) = row.labels() {
        let labels = labels.clone();
        let label: gotmpl::ValueFunc = Arc::new(move |args| {
            let name = args.first().map(ToString::to_string).unwrap_or_default();
            Ok(Value::String(labels.get(&name).cloned().unwrap_or_default().into()))
        });
        fields.insert(Arc::from("Label"), Value::Function(label));
    }
    Value::Map(Arc::new(fields))
}

/// A row as a JSON object of all its fields.
pub(crate) fn json<T: Row>(row: &T) -> String {
    let mut names: Vec<&str> = T::COLUMNS.iter().map(|column| column.name).collect();
    names.sort_unstable();
    let fields = names.iter().map(|name| {
        let value = row.json(name).map_or_else(|| quote(&row.field(name)), str::to_owned);
        format!("\"{name}\":{value}")
    });
    format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Ship(&'static str, BTreeMap<String, String>);

    impl Row for Ship {
        const KIND: &'static str = "*formatter.Ship";
        const COLUMNS: &'static [Column] =
            &[Column { name: "Name", header: "SHIP" }, Column { name: "Masts", header: "MASTS" }];
        const OWN: &'static [Column] = &[Column { name: "Crew", header: "CREW" }];

        fn field(&self, name: &str) -> String {
            if name == "Name" { self.0.to_owned() } else { "1".to_owned() }
        }

        fn labels(&self) -> Option<&BTreeMap<String, String>> {
            Some(&self.1)
        }
    }

    fn shown(format: &str) -> String {
        let ships =
            [Ship("<dhow>", BTreeMap::from([("a.port".into(), "Zanzibar".into())])), Ship("b", BTreeMap::new())];
        show(&ships, &Format::new(format, &["Name", "Masts"])).unwrap_or_else(|error| error.to_string())
    }

    #[test]
    fn every_kind_of_format() {
        assert_eq!(shown("table"), "SHIP      MASTS\n<dhow>    1\nb         1\n");
        assert_eq!(shown("table {{.Masts}}\\t{{upper .Name}}"), "MASTS     SHIP\n1         <DHOW>\n1         B\n");
        assert_eq!(shown("{{.Name}}:{{.Masts}}"), "<dhow>:1\nb:1\n");
        assert_eq!(shown("table {{.Crew}}"), "CREW\n1\n1\n");
        assert_eq!(
            shown("json"),
            "{\"Masts\":\"1\",\"Name\":\"\\u003cdhow\\u003e\"}\n{\"Masts\":\"1\",\"Name\":\"b\"}\n"
        );
        assert_eq!(shown("table {{pad .Masts 1 1}}|"), " MASTS |\n 1 |\n 1 |\n");
        assert_eq!(shown("{{range split .Name \"\"}}{{.}}.{{end}}").lines().last(), Some("b."));
        assert_eq!(shown("table {{.Label \"a.port\"}}"), "port\nZanzibar\n\n");
    }

    #[test]
    fn unknown_fields_are_named() {
        assert_eq!(
            shown("{{.Foo}}"),
            "template parsing error: template: :1:2: executing \"\" at <.Foo>: can't evaluate field Foo in type *formatter.Ship"
        );
        assert_eq!(shown("{{.Foo"), "template parsing error: template: :1: unclosed action");
        assert_eq!(shown("{{foo .Name}}"), "template parsing error: template: :1: function \"foo\" not defined");
        assert_eq!(
            shown("{{.Name.Foo}}"),
            "template parsing error: template: :1:7: executing \"\" at <.Name.Foo>: can't evaluate field Foo in type string"
        );
    }
}
