//! One value under one verb.

use std::fmt::Write;
use std::iter::Peekable;
use std::str::Chars;

use super::go::{Form, GoValue};
use super::quote::{quoted, quoted_letter};

/// What stands between `%` and the verb.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Flags {
    pub(super) minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    /// `%+v`: with the names of fields.
    names: bool,
    /// `%#v`: as it stands in a program.
    source: bool,
    pub(super) width: Option<usize>,
    pub(super) precision: Option<usize>,
}

impl Flags {
    pub(super) fn read(rest: &mut Peekable<Chars<'_>>) -> Self {
        let mut flags = Self::default();
        while let Some(flag) = rest.next_if(|c| "-+# 0".contains(*c)) {
            match flag {
                '-' => flags.minus = true,
                '+' => flags.plus = true,
                '#' => flags.sharp = true,
                ' ' => flags.space = true,
                _ => flags.zero = true,
            }
        }
        flags
    }

    /// Two flags mean something else for `%v`.
    pub(super) fn settle(&mut self, verb: char) {
        if verb == 'v' {
            self.names = std::mem::take(&mut self.plus);
            self.source = std::mem::take(&mut self.sharp);
        }
    }
}

/// What is printed, and how the next value is to be.
#[derive(Default)]
pub(super) struct Printer {
    pub(super) text: String,
    pub(super) flags: Flags,
}

/// How deep a value stands in another one; pointers are followed at the top alone.
type Depth = usize;

impl Printer {
    /// A value as a directive asks for it.
    pub(super) fn value(&mut self, value: &GoValue, verb: char) {
        match (verb, &value.form) {
            ('T', _) => self.pad(&value.name),
            ('v', Form::Nil) => self.pad("<nil>"),
            ('p', Form::List(_) | Form::Map(_) | Form::Pointer(_)) => self.print_address(value),
            _ => self.print(value, verb, 0),
        }
    }

    /// `type=value`, as faults show it.
    pub(super) fn named(&mut self, value: &GoValue) {
        if !matches!(value.form, Form::Nil) {
            self.put(&value.name);
            self.put("=");
        }
        self.value(value, 'v');
    }

    fn put(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// The verb is none for this value.
    fn bad(&mut self, value: &GoValue, verb: char) {
        self.text.push_str("%!");
        self.text.push(verb);
        self.text.push('(');
        self.named(value);
        self.text.push(')');
    }

    fn print(&mut self, value: &GoValue, verb: char, depth: Depth) {
        if let Some(words) = value.words.as_ref().filter(|_| "vsxXq".contains(verb) && !self.flags.source) {
            return self.print_text(words, value, verb);
        }
        match &value.form {
            Form::Nil if depth > 0 && verb == 'v' => self.put("<nil>"),
            Form::Nil => self.bad(value, verb),
            Form::Bool(truth) => match verb {
                't' | 'v' => self.pad(if *truth { "true" } else { "false" }),
                _ => self.bad(value, verb),
            },
            Form::Int(number) => self.print_number(value, verb, *number < 0, number.unsigned_abs()),
            Form::Uint(number) if self.flags.source => self.print_hexadecimal(*number),
            Form::Uint(number) => self.print_number(value, verb, false, *number),
            Form::Float(number) => self.print_float(value, verb, *number),
            Form::Text(text) => self.print_text(text, value, verb),
            Form::List(items) => self.print_list(value, items.as_deref(), verb, depth),
            Form::Map(items) => self.print_map(value, items.as_deref(), verb, depth),
            Form::Structure(fields) => self.print_structure(value, fields, verb, depth),
            Form::Pointer(target) => self.print_pointer(value, target.as_deref(), verb, depth),
        }
    }

    fn print_list(&mut self, value: &GoValue, items: Option<&[GoValue]>, verb: char, depth: Depth) {
        let (open, between, close) = match (self.flags.source, items) {
            (true, None) => return self.put(&format!("{}(nil)", value.name)),
            (true, _) => (format!("{}{{", value.name), ", ", "}"),
            _ => ("[".to_owned(), " ", "]"),
        };
        self.put(&open);
        for (at, item) in items.unwrap_or_default().iter().enumerate() {
            self.put(if at > 0 { between } else { "" });
            self.print(item, verb, depth + 1);
        }
        self.put(close);
    }

    fn print_map(&mut self, value: &GoValue, items: Option<&[(GoValue, GoValue)]>, verb: char, depth: Depth) {
        let (open, between, close) = match (self.flags.source, items) {
            (true, None) => return self.put(&format!("{}(nil)", value.name)),
            (true, _) => (format!("{}{{", value.name), ", ", "}"),
            _ => ("map[".to_owned(), " ", "]"),
        };
        self.put(&open);
        for (at, (key, item)) in items.unwrap_or_default().iter().enumerate() {
            self.put(if at > 0 { between } else { "" });
            self.print(key, verb, depth + 1);
            self.put(":");
            self.print(item, verb, depth + 1);
        }
        self.put(close);
    }

    fn print_structure(&mut self, value: &GoValue, fields: &[(&'static str, GoValue)], verb: char, depth: Depth) {
        let source = self.flags.source;
        let named = source || self.flags.names;
        self.put(if source { &value.name } else { "" });
        self.put("{");
        for (at, (name, field)) in fields.iter().enumerate() {
            self.put(match (at, source) {
                (0, _) => "",
                (_, true) => ", ",
                _ => " ",
            });
            if named {
                self.put(name);
                self.put(":");
            }
            self.print(field, verb, depth + 1);
        }
        self.put("}");
    }

    fn print_pointer(&mut self, value: &GoValue, target: Option<&GoValue>, verb: char, depth: Depth) {
        let followed =
            |target: &&GoValue| depth == 0 && matches!(target.form, Form::Structure(_) | Form::List(_) | Form::Map(_));
        if let Some(target) = target.filter(followed) {
            self.put("&");
            return self.print(target, verb, depth + 1);
        }
        let address = target.map_or(0, address);
        match verb {
            'v' if self.flags.source && address == 0 => self.put(&format!("({})(nil)", value.name)),
            'v' if self.flags.source => self.put(&format!("({})({address:#x})", value.name)),
            'v' if address == 0 => self.pad("<nil>"),
            'v' => self.print_hexadecimal(address),
            'b' | 'o' | 'd' | 'x' | 'X' => self.print_number(value, verb, false, address),
            _ => {
                let shown = if address == 0 { "<nil>".to_owned() } else { format!("{address:#x}") };
                self.put(&format!("%!{verb}({}={shown})", value.name));
            }
        }
    }

    /// Where a list, a map or what a pointer leads to is; with `#` without `0x` in front.
    fn print_address(&mut self, value: &GoValue) {
        let address = match &value.form {
            Form::List(None) | Form::Map(None) | Form::Pointer(None) => 0,
            Form::Pointer(Some(target)) => address(target),
            _ => address(value),
        };
        self.flags.sharp = !self.flags.sharp;
        self.print_number(value, 'x', false, address);
    }

    fn print_text(&mut self, text: &str, value: &GoValue, verb: char) {
        let cut = || match self.flags.precision {
            Some(length) => text.chars().take(length).collect(),
            None => text.to_owned(),
        };
        match verb {
            'v' if self.flags.source => self.pad(&quoted(&cut(), false)),
            'v' | 's' => self.pad(&cut()),
            'x' | 'X' => self.pad(&self.hexadecimal(text, verb == 'X')),
            'q' => {
                let cut = cut();
                let bare = |c: char| c == '\t' || !(c.is_control() || c == '`' || c == '\u{feff}');
                match self.flags.sharp && cut.chars().all(bare) {
                    true => self.pad(&format!("`{cut}`")),
                    false => self.pad(&quoted(&cut, self.flags.plus)),
                }
            }
            _ => self.bad(value, verb),
        }
    }

    /// The bytes of a text.
    fn hexadecimal(&self, text: &str, upper: bool) -> String {
        let bytes = &text.as_bytes()[..self.flags.precision.unwrap_or(usize::MAX).min(text.len())];
        let (prefix, spaced) = (if upper { "0X" } else { "0x" }, self.flags.space);
        let mut out = String::new();
        for (at, byte) in bytes.iter().enumerate() {
            let prefix = if self.flags.sharp && (at == 0 || spaced) { prefix } else { "" };
            let space = if at > 0 && spaced { " " } else { "" };
            let byte = if upper { format!("{byte:02X}") } else { format!("{byte:02x}") };
            write!(out, "{space}{prefix}{byte}").expect("writing to a String cannot fail");
        }
        out
    }

    /// An unsigned number as `%#v` and pointers have it.
    fn print_hexadecimal(&mut self, number: u64) {
        let text = format!("{number:#x}");
        self.pad(&text);
    }

    fn print_number(&mut self, value: &GoValue, verb: char, negative: bool, number: u64) {
        let letter = u32::try_from(number).ok().filter(|_| !negative).and_then(char::from_u32).unwrap_or('\u{fffd}');
        let (prefix, digits) = match verb {
            'v' | 'd' => ("", number.to_string()),
            'b' => ("0b", format!("{number:b}")),
            'o' => ("", format!("{number:o}")),
            'O' => ("0o", format!("{number:o}")),
            'x' => ("0x", format!("{number:x}")),
            'X' => ("0X", format!("{number:X}")),
            'c' => return self.pad(&letter.to_string()),
            'q' => return self.pad(&quoted_letter(letter, self.flags.plus)),
            // As the machine has them: a negative number is a very large one.
            'U' if negative => return self.print_code(number.wrapping_neg(), letter),
            'U' => return self.print_code(number, letter),
            _ => return self.bad(value, verb),
        };
        if self.flags.precision == Some(0) && number == 0 {
            return self.pad_with("", false);
        }
        let signed = negative || self.flags.plus || self.flags.space;
        let filled = self.flags.zero && !self.flags.minus;
        let least = match (self.flags.precision, self.flags.width) {
            (Some(precision), _) => precision,
            (None, Some(width)) if filled => width - usize::from(signed && width > 0),
            _ => 0,
        };
        let sign = match (negative, self.flags.plus, self.flags.space) {
            (true, ..) => "-",
            (_, true, _) => "+",
            (.., true) => " ",
            _ => "",
        };
        let filled = format!("{digits:0>least$}");
        // An octal number that begins with a zero needs no other one.
        let octal = self.flags.sharp && matches!(verb, 'o' | 'O') && !filled.starts_with('0');
        let prefix = if self.flags.sharp || verb == 'O' { prefix } else { "" };
        let zero = if octal { "0" } else { "" };
        self.pad_with(&format!("{sign}{prefix}{zero}{filled}"), false);
    }

    /// `U+0041`, and the letter itself with `#`.
    fn print_code(&mut self, number: u64, letter: char) {
        let digits = self.flags.precision.unwrap_or(4).max(4);
        let mut text = format!("U+{number:0digits$X}");
        // What cannot be shown is not, and neither what is no letter (Go's strconv.IsPrint).
        let is_one = u64::from(u32::from(letter)) == number && !matches!(letter, '\u{ad}');
        if self.flags.sharp && is_one && !letter.is_control() {
            write!(text, " '{letter}'").expect("writing to a String cannot fail");
        }
        self.pad_with(&text, false);
    }

    fn print_float(&mut self, value: &GoValue, verb: char, number: f64) {
        let precision = self.flags.precision;
        let magnitude = number.abs();
        let digits = match verb {
            'e' | 'E' => exponential(magnitude, Some(precision.unwrap_or(6))),
            'f' | 'F' => format!("{magnitude:.*}", precision.unwrap_or(6)),
            'v' | 'g' | 'G' => general(magnitude, precision),
            _ => return self.bad(value, verb),
        };
        let digits = if verb.is_ascii_uppercase() { digits.to_uppercase() } else { digits };
        let sign = match (number.is_sign_negative(), self.flags.plus, self.flags.space) {
            (true, ..) => "-",
            (_, true, _) => "+",
            (.., true) => " ",
            _ => "",
        };
        let width = self.flags.width.unwrap_or(0).saturating_sub(sign.len());
        match self.flags.zero && !self.flags.minus {
            true => self.put(&format!("{sign}{digits:0>width$}")),
            false => self.pad_with(&format!("{sign}{digits}"), false),
        }
    }

    fn pad(&mut self, text: &str) {
        self.pad_with(text, self.flags.zero && !self.flags.minus);
    }

    fn pad_with(&mut self, text: &str, zeros: bool) {
        let missing = self.flags.width.unwrap_or(0).saturating_sub(text.chars().count());
        let padding = if zeros { "0" } else { " " }.repeat(missing);
        match self.flags.minus {
            true => self.put(&format!("{text}{padding}")),
            false => self.put(&format!("{padding}{text}")),
        }
    }
}

/// Where a value is, as Go's heap has them.
fn address(value: &GoValue) -> u64 {
    let address = u64::try_from(std::ptr::from_ref(value).addr()).unwrap_or(0);
    0xc0_0000_0000 | (address & 0xf_ffff_ffff)
}

/// `1.5e+06`, with so many digits behind the point or as many as it takes.
fn exponential(number: f64, digits: Option<usize>) -> String {
    let text = match digits {
        Some(digits) => format!("{number:.digits$e}"),
        None => format!("{number:e}"),
    };
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
    format!("{mantissa}e{sign}{exponent:0>2}")
}

/// `%g`: with an exponent where the number is very small, or has more digits than are asked for.
fn general(number: f64, digits: Option<usize>) -> String {
    if let Some(digits) = digits {
        return crate::format::general(number, digits.max(1));
    }
    let exponent = format!("{number:e}").split_once('e').and_then(|(_, exponent)| exponent.parse().ok()).unwrap_or(0);
    if (-4..SHORTEST).contains(&exponent) { number.to_string() } else { exponential(number, None) }
}

/// From that exponent on, `%v` and `%g` write one where nobody says how many digits there are to be.
const SHORTEST: i32 = 6;

#[cfg(test)]
mod tests {
    use super::*;

    fn print(directive: &str, value: &GoValue) -> String {
        super::super::printf(&[text(directive), value.clone()])
    }

    fn text(text: &str) -> GoValue {
        GoValue::new("string", Form::Text(text.to_owned()))
    }

    fn int(number: i64) -> GoValue {
        GoValue::new("int", Form::Int(number))
    }

    fn all(value: &GoValue, cases: &[(&str, &str)]) {
        for (directive, printed) in cases {
            assert_eq!(print(directive, value), *printed, "{directive}");
        }
    }

    #[test]
    fn numbers() {
        all(&int(5), &[("%+d", "+5"), ("% d", " 5"), ("%05d", "00005"), ("%-5d|", "5    |"), ("%+05d", "+0005")]);
        all(
            &int(255),
            &[("%x", "ff"), ("%#x", "0xff"), ("%X", "FF"), ("%08b", "11111111"), ("%5.2f", "%!f(int=  255)")],
        );
        all(
            &int(8),
            &[("%o", "10"), ("%#o", "010"), ("%O", "0o10"), ("%#b", "0b1000"), ("%.3d", "008"), ("%08.3d", "     008")],
        );
        all(&int(65), &[("%c", "A"), ("%q", "'A'"), ("%U", "U+0041"), ("%#U", "U+0041 'A'"), ("%s", "%!s(int=65)")]);
        all(&int(-5), &[("%U", "U+FFFFFFFFFFFFFFFB"), ("%#U", "U+FFFFFFFFFFFFFFFB"), ("%20U", "  U+FFFFFFFFFFFFFFFB")]);
        for (number, cases) in [
            (8, [("%#O", "0o010"), ("%#.5O", "0o00010"), ("%#010O", "0o0000000010"), ("%#.0O", "0o010")]),
            (0, [("%#O", "0o0"), ("%+O", "+0o0"), ("%#.0O|", "|"), ("%.3O", "0o000")]),
            (-8, [("%#O", "-0o010"), ("%O", "-0o10"), ("%#.3O", "-0o010"), ("%#o", "-010")]),
        ] {
            all(&int(number), &cases);
        }
        all(&int(5), &[("%p", "%!p(int=5)"), ("%#U", "U+0005"), ("%#.3o", "005")]);
        all(&int(0xad), &[("%#U", "U+00AD")]);
        all(&int(-5), &[("%d", "-5"), ("%x", "-5"), ("%05d", "-0005"), ("%v", "-5")]);
        all(&int(0), &[("%q", "'\\x00'"), ("%5.2f", "%!f(int=   00)"), ("%.0d|", "|")]);
        let memory = GoValue::new("uint16", Form::Uint(10));
        all(&memory, &[("%v %[1]T", "10 uint16"), ("%#v", "0xa"), ("%s", "%!s(uint16=10)")]);
    }

    #[test]
    fn fractions() {
        let half = GoValue::new("float64", Form::Float(1.5));
        all(&half, &[("%f", "1.500000"), ("%8.2f", "    1.50"), ("%08.2f", "00001.50"), ("%-8.2f|", "1.50    |")]);
        all(&half, &[("%+.1f", "+1.5"), ("%e", "1.500000e+00"), ("%g", "1.5"), ("%d", "%!d(float64=1.5)")]);
        for (number, printed) in
            [(1_234_567.0, "1.234567e+06"), (100_000.0, "100000"), (1e21, "1e+21"), (1e-5, "1e-05")]
        {
            assert_eq!(print("%v", &GoValue::new("float64", Form::Float(number))), printed);
        }
    }

    #[test]
    fn texts() {
        all(&text("/box"), &[("%q", "\"/box\""), ("%x", "2f626f78"), ("%X", "2F626F78"), ("% x", "2f 62 6f 78")]);
        all(
            &text("/box"),
            &[("%#x", "0x2f626f78"), ("% #x", "0x2f 0x62 0x6f 0x78"), ("%6s", "  /box"), ("%-6s|", "/box  |")],
        );
        all(
            &text("/box"),
            &[("%.2s", "/b"), ("%5.2f", "%!f(string=   /b)"), ("%d", "%!d(string=/box)"), ("%#v", "\"/box\"")],
        );
        all(&text("ab"), &[("%05s", "000ab"), ("%#q", "`ab`"), ("%v", "ab"), ("%t", "%!t(string=ab)")]);
        assert_eq!(print("%#q %+[1]q", &text("a`é")), "\"a`é\" \"a`\\u00e9\"");
    }

    #[test]
    fn lists_and_maps_hand_the_verb_on() {
        let list = GoValue::new("strslice.StrSlice", Form::List(Some(vec![text("a"), text("b")])));
        all(&list, &[("%v", "[a b]"), ("%q", "[\"a\" \"b\"]"), ("%x", "[61 62]"), ("%3s", "[  a   b]")]);
        all(&list, &[("%d", "[%!d(string=a) %!d(string=b)]"), ("%#v", "strslice.StrSlice{\"a\", \"b\"}")]);
        let port = GoValue::new("nat.Port", Form::Text("80/tcp".to_owned()));
        let map = GoValue::new(
            "nat.PortSet",
            Form::Map(Some(vec![(port, GoValue::new("struct {}", Form::Structure(Vec::new())))])),
        );
        all(&map, &[("%v", "map[80/tcp:{}]"), ("%d", "map[%!d(nat.Port=80/tcp):{}]")]);
        all(&map, &[("%#v", "nat.PortSet{\"80/tcp\":struct {}{}}")]);
        assert!(print("%p", &map).starts_with("0xc") && print("%#p", &list).starts_with('c'));
        assert_eq!(print("%20p", &list).len(), 20);
        let nobody = GoValue::new("[]string", Form::List(None));
        all(&nobody, &[("%p", "0x0"), ("%#p", "0"), ("%6p|", "   0x0|"), ("%06p", "0x000000"), ("%+p", "+0x0")]);
        all(&nobody, &[("%v", "[]"), ("%#v", "[]string(nil)")]);
    }

    #[test]
    fn structures_and_pointers() {
        let policy =
            GoValue::new("container.RestartPolicy", Form::Structure(vec![("Name", text("no")), ("Count", int(0))]));
        all(
            &policy,
            &[("%v", "{no 0}"), ("%+v", "{Name:no Count:0}"), ("%s", "{no %!s(int=0)}"), ("%q", "{\"no\" '\\x00'}")],
        );
        all(&policy, &[("%#v", "container.RestartPolicy{Name:\"no\", Count:0}")]);
        let pointer = GoValue::new("*container.RestartPolicy", Form::Pointer(Some(Box::new(policy))));
        all(&pointer, &[("%v", "&{no 0}"), ("%+v", "&{Name:no Count:0}"), ("%T", "*container.RestartPolicy")]);
        let nested = print("%v", &GoValue::new("[]x", Form::List(Some(vec![pointer]))));
        assert!(nested.starts_with("[0xc"), "{nested}");
        let nil = GoValue::new("*bool", Form::Pointer(None));
        all(
            &nil,
            &[("%v", "<nil>"), ("%s", "%!s(*bool=<nil>)"), ("%d", "0"), ("%#v", "(*bool)(nil)"), ("%T", "*bool")],
        );
    }

    #[test]
    fn words_of_a_type_stand_for_it_where_words_are_asked_for() {
        let mut hour = GoValue::new("time.Duration", Form::Int(3_600_000_000_000));
        hour.words = Some("1h0m0s".to_owned());
        all(&hour, &[("%v", "1h0m0s"), ("%s", "1h0m0s"), ("%q", "\"1h0m0s\""), ("%d", "3600000000000")]);
    }
}
