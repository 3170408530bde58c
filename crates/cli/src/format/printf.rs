//! Go's `printf`, whose words for a value that does not fit its verb people know, too.

mod go;
mod quote;
mod verb;

use std::iter::Peekable;
use std::str::Chars;
use std::sync::Arc;

use gotmpl::{Value, ValueFunc};

pub(super) use go::{Form, GoValue};
use verb::{Flags, Printer};

/// Wider than that, nobody's terminal is. Go's limit is 1,000,000; what Rust formats for us ends at 65,534.
const WIDEST: i64 = 65_000;

/// `printf` for templates whose values are no more than what they look like.
pub(super) fn of_plain_values() -> ValueFunc {
    Arc::new(|args: &[Value]| {
        let args: Vec<GoValue> = args.iter().map(GoValue::from).collect();
        Ok(Value::String(printf(&args).into()))
    })
}

/// What Go's function makes of a format and its values.
pub(super) fn printf(args: &[GoValue]) -> String {
    let Some((format, values)) = args.split_first() else { return String::new() };
    let mut directives = Directives { values, next: 0, reordered: false, good: true, out: Printer::default() };
    let mut rest = format.text().chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '%' => directives.one(&mut rest),
            c => directives.out.text.push(c),
        }
    }
    directives.extra();
    directives.out.text
}

/// What Go's `print` makes of values: blanks stand between those of which none is a text.
pub(super) fn print(args: &[GoValue]) -> String {
    let mut out = Printer::default();
    for (at, value) in args.iter().enumerate() {
        let between = at > 0 && args[at - 1..=at].iter().all(|value| !matches!(value.form, Form::Text(_)));
        out.text.push_str(if between { " " } else { "" });
        out.value(value, 'v');
    }
    out.text
}

/// The same for `println`: blanks stand between all of them.
pub(super) fn println(args: &[GoValue]) -> String {
    let mut out = Printer::default();
    for (at, value) in args.iter().enumerate() {
        out.text.push_str(if at > 0 { " " } else { "" });
        out.value(value, 'v');
    }
    out.text + "\n"
}

/// A format on its way through its values.
struct Directives<'a> {
    values: &'a [GoValue],
    next: usize,
    /// Somebody has chosen a value by its number: then it is no fault if others are left.
    reordered: bool,
    /// Whether the number that was chosen is one.
    good: bool,
    out: Printer,
}

type Rest<'a> = Peekable<Chars<'a>>;

impl<'a> Directives<'a> {
    /// What stands behind a `%`.
    fn one(&mut self, rest: &mut Rest<'_>) {
        self.good = true;
        self.out.flags = Flags::read(rest);
        let mut chosen = self.chosen(rest);
        if rest.next_if_eq(&'*').is_some() {
            self.width();
            chosen = false;
        } else {
            self.out.flags.width = digits(rest);
            // A number in front of the width is none for the value.
            self.good &= !(chosen && self.out.flags.width.is_some());
        }
        if rest.next_if_eq(&'.').is_some() {
            self.good &= !chosen;
            chosen = self.chosen(rest);
            if rest.next_if_eq(&'*').is_some() {
                self.precision();
                chosen = false;
            } else {
                self.out.flags.precision = Some(digits(rest).unwrap_or(0));
            }
        }
        if !chosen {
            self.chosen(rest);
        }
        match rest.next() {
            None => self.out.text.push_str("%!(NOVERB)"),
            Some('%') => self.out.text.push('%'),
            Some(verb) if !self.good => self.fault(verb, "BADINDEX"),
            Some(verb) => match self.take() {
                None => self.fault(verb, "MISSING"),
                Some(value) => {
                    self.out.flags.settle(verb);
                    self.out.value(value, verb);
                }
            },
        }
    }

    fn fault(&mut self, verb: char, why: &str) {
        self.out.text.push_str(&format!("%!{verb}({why})"));
    }

    fn take(&mut self) -> Option<&'a GoValue> {
        let value = self.values.get(self.next)?;
        self.next += 1;
        Some(value)
    }

    fn number(&mut self) -> Option<i64> {
        match self.take()?.form {
            Form::Int(number) if (-WIDEST..=WIDEST).contains(&number) => Some(number),
            _ => None,
        }
    }

    fn width(&mut self) {
        match self.number() {
            None => self.out.text.push_str("%!(BADWIDTH)"),
            Some(width) => {
                self.out.flags.width = usize::try_from(width.unsigned_abs()).ok();
                self.out.flags.minus |= width < 0;
            }
        }
    }

    fn precision(&mut self) {
        self.out.flags.precision = self.number().and_then(|precision| usize::try_from(precision).ok());
        if self.out.flags.precision.is_none() {
            self.out.text.push_str("%!(BADPREC)");
        }
    }

    /// `[n]`: the number of the next value.
    fn chosen(&mut self, rest: &mut Rest<'_>) -> bool {
        if rest.peek() != Some(&'[') {
            return false;
        }
        self.reordered = true;
        let ahead: String = rest.clone().skip(1).take_while(|c| *c != ']').collect();
        if rest.clone().nth(ahead.chars().count() + 1) != Some(']') {
            self.good = false;
            rest.next();
            return false;
        }
        rest.by_ref().take(ahead.chars().count() + 2).for_each(drop);
        match ahead.parse::<usize>() {
            Ok(number @ 1..) if number <= self.values.len() => {
                self.next = number - 1;
                true
            }
            _ => {
                self.good = false;
                true
            }
        }
    }

    /// Values that nobody asked for.
    fn extra(&mut self) {
        if self.reordered || self.next >= self.values.len() {
            return;
        }
        self.out.flags = Flags::default();
        self.out.text.push_str("%!(EXTRA ");
        for (at, value) in self.values[self.next..].iter().enumerate() {
            self.out.text.push_str(if at > 0 { ", " } else { "" });
            self.out.named(value);
        }
        self.out.text.push(')');
    }
}

fn digits(rest: &mut Rest<'_>) -> Option<usize> {
    let mut text = String::new();
    while let Some(digit) = rest.next_if(char::is_ascii_digit) {
        text.push(digit);
    }
    text.parse().ok().filter(|number| i64::try_from(*number).is_ok_and(|number| number <= WIDEST))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn printed(format: &str, values: &[Value]) -> String {
        let args = [&[Value::String(format.into())], values].concat();
        of_plain_values()(&args).unwrap().to_string()
    }

    fn text(text: &str) -> Value {
        Value::String(text.into())
    }

    #[test]
    fn types_are_named() {
        assert_eq!(printed("%T %v", &[text("a"), Value::Int(2)]), "string 2");
        assert_eq!(printed("%% %*d|%-8T|", &[Value::Int(4), Value::Int(2), Value::Bool(true)]), "%    2|bool    |");
        assert_eq!(printed("%5s %T", &[text("x"), Value::List(Arc::from([]))]), "    x []string");
        assert_eq!(printed("%T %v|%5v", &[Value::Nil, Value::Nil, Value::Nil]), "<nil> <nil>|<nil>");
    }

    #[test]
    fn values_are_chosen_by_their_numbers() {
        let (one, a) = (Value::Int(1), text("a"));
        assert_eq!(
            printed("%[1]d %[1]s %[3]d %[x]d %[2]", &[one, a]),
            "1 %!s(int=1) %!d(BADINDEX) %!d(BADINDEX) %!(NOVERB)"
        );
        assert_eq!(printed("%[2]d", &[Value::Int(1), Value::Int(2)]), "2");
        assert_eq!(printed("%[2]*[1]d|%.[3]d", &[Value::Int(5), Value::Int(3)]), "  5|%!d(BADINDEX)");
    }

    #[test]
    fn too_many_and_too_few_values_are_told() {
        assert_eq!(printed("%d %d", &[Value::Int(1)]), "1 %!d(MISSING)");
        assert_eq!(
            printed("%d", &[Value::Int(1), Value::Int(2), text("x"), Value::Nil]),
            "1%!(EXTRA int=2, string=x, <nil>)"
        );
        assert_eq!(
            printed("%*d %.*d", &[text("a"), Value::Int(1), Value::Int(-1), Value::Int(2)]),
            "%!(BADWIDTH)1 %!(BADPREC)2"
        );
        assert_eq!(printed("%-", &[]), "%!(NOVERB)");
    }

    #[test]
    fn blanks_stand_between_what_is_no_text() {
        let values = [Value::Int(1), text("a"), Value::Int(2), Value::Bool(true), Value::Nil];
        let values: Vec<GoValue> = values.iter().map(GoValue::from).collect();
        assert_eq!(print(&values), "1a2 true <nil>");
        assert_eq!(println(&values), "1 a 2 true <nil>\n");
    }

    #[test]
    fn what_is_wider_than_anything_is_not_made() {
        for format in ["%070000d", "%.70000f", "%.65535e", "%070000X", "%1000001s"] {
            let told = printed(format, &[Value::Int(1)]);
            assert!(told.len() < 100, "{format}: {told:.40}");
        }
        assert_eq!(printed("%065000d", &[Value::Int(1)]).len(), 65_000);
        assert_eq!(printed("%.65000f", &[Value::Float(1.5)]).len(), 65_002);
        assert!(printed("%.65000e", &[Value::Float(1.5)]).len() > 65_000);
    }

    proptest! {
        #[test]
        fn no_format_makes_it_panic(format in "([%a-zA-Z0-9.*+# \\[\\]-]|%[.0]?[0-9]{5,7}){0,12}", number: i64, word in "\\PC{0,4}") {
            printed(&format, &[Value::Int(number), text(&word), Value::Float(1.5), Value::Nil, Value::Bool(true)]);
        }
    }
}
