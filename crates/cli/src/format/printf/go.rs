//! Values as Go's `fmt` sees them.

use gotmpl::Value;

/// A value, and what Go calls its type.
#[derive(Debug, Clone)]
pub(in crate::format) struct GoValue {
    pub(in crate::format) form: Form,
    pub(in crate::format) name: String,
    /// What its method `String` says, for types that have one.
    pub(in crate::format) words: Option<String>,
}

/// What a value is made of. Lists and maps that nobody made are nil.
#[derive(Debug, Clone)]
pub(in crate::format) enum Form {
    Nil,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    Text(String),
    List(Option<Vec<GoValue>>),
    Map(Option<Vec<(GoValue, GoValue)>>),
    Structure(Vec<(&'static str, GoValue)>),
    Pointer(Option<Box<GoValue>>),
}

impl GoValue {
    pub(in crate::format) fn new(name: impl Into<String>, form: Form) -> Self {
        Self { form, name: name.into(), words: None }
    }

    pub(in crate::format) fn nil() -> Self {
        Self::new("<nil>", Form::Nil)
    }

    /// A number, a bool or nothing of that type, which may be a pointer's.
    pub(in crate::format) fn scalar(value: &Value, name: &str) -> Self {
        let plain = Self::from(value);
        let (inner, pointer) = name.strip_prefix('*').map_or((name, false), |inner| (inner, true));
        let form = match plain.form {
            Form::Nil if pointer => return Self::new(name, Form::Pointer(None)),
            Form::Int(number) if inner.starts_with("uint") || inner == "fs.FileMode" => {
                Form::Uint(number.cast_unsigned())
            }
            form => form,
        };
        let value = Self::new(inner, form);
        match pointer {
            true => Self::new(name, Form::Pointer(Some(Box::new(value)))),
            false => value,
        }
    }

    /// The text it is, or nothing.
    pub(super) fn text(&self) -> &str {
        match &self.form {
            Form::Text(text) => text,
            _ => "",
        }
    }
}

/// A value that is no more than what it looks like.
impl From<&Value> for GoValue {
    fn from(value: &Value) -> Self {
        match value {
            Value::Nil => Self::nil(),
            Value::Bool(value) => Self::new("bool", Form::Bool(*value)),
            Value::Int(number) => Self::new("int", Form::Int(*number)),
            Value::Uint(number) => Self::new("uint64", Form::Uint(*number)),
            Value::Float(number) => Self::new("float64", Form::Float(*number)),
            Value::String(text) => Self::new("string", Form::Text(text.to_string())),
            Value::List(items) => Self::new("[]string", Form::List(Some(items.iter().map(Self::from).collect()))),
            Value::Map(map) => {
                let key = |key: &str| Self::new("string", Form::Text(key.to_owned()));
                let items = map.iter().map(|(name, value)| (key(name), Self::from(value)));
                Self::new("map[string]string", Form::Map(Some(items.collect())))
            }
            Value::Function(_) => Self::new("func()", Form::Nil),
        }
    }
}
