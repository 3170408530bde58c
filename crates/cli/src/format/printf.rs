//! `printf` with `%T`, which the template engine does not know.

use std::collections::BTreeMap;
use std::sync::Arc;

use gotmpl::{Result, Template, Value, ValueFunc};

/// `printf` for templates that ask for types.
pub(super) fn with_types() -> ValueFunc {
    Arc::new(|args: &[Value]| {
        let Some((format, values)) = args.split_first() else { return Ok(Value::String("".into())) };
        let mut values = values.to_vec();
        let format = spell_types(&format.to_string(), &mut values);
        print(format, values)
    })
}

/// What the engine's own function makes of it.
fn print(format: String, values: Vec<Value>) -> Result<Value> {
    let values = [vec![Value::String(format.into())], values].concat();
    let named = values.into_iter().enumerate().map(|(at, value)| (Arc::from(format!("v{at}")), value));
    let named: BTreeMap<Arc<str>, Value> = named.collect();
    let words: String = (0..named.len()).map(|at| format!(" .v{at}")).collect();
    let template = Template::new("").parse(&format!("{{{{printf{words}}}}}"))?;
    Ok(Value::String(template.execute_to_string(&Value::Map(Arc::new(named)))?.into()))
}

/// Each `%T` becomes a `%s`, and its value the name of its type.
fn spell_types(format: &str, values: &mut [Value]) -> String {
    let (mut spelled, mut next, mut inside) = (String::with_capacity(format.len()), 0, false);
    for c in format.chars() {
        let verb = inside && !matches!(c, '+' | '-' | '#' | ' ' | '.' | '*') && !c.is_ascii_digit();
        let type_wanted = verb && c == 'T';
        if type_wanted && let Some(value) = values.get_mut(next) {
            *value = Value::String(type_name(value).into());
        }
        spelled.push(if type_wanted { 's' } else { c });
        next += usize::from(inside && (c == '*' || (verb && c != '%')));
        inside = if inside { !verb } else { c == '%' };
    }
    spelled
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Nil => "<nil>",
        Value::Bool(_) => "bool",
        Value::Int(_) | Value::Uint(_) => "int",
        Value::Float(_) => "float64",
        Value::String(_) => "string",
        Value::List(_) => "[]string",
        Value::Map(_) => "map[string]string",
        Value::Function(_) => "func()",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_named_and_all_else_is_printed_as_ever() {
        let print = |format: &str, values: &[Value]| {
            let args = [&[Value::String(format.into())], values].concat();
            with_types()(&args).unwrap().to_string()
        };
        assert_eq!(print("%T %v", &[Value::String("a".into()), Value::Int(2)]), "string 2");
        assert_eq!(print("%% %*d|%-8T|", &[Value::Int(4), Value::Int(2), Value::Bool(true)]), "%    2|bool    |");
        assert_eq!(print("%5s %T", &[Value::String("x".into()), Value::List(Arc::from([]))]), "    x []string");
    }
}
