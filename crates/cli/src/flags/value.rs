//! The plain kinds of values, with Go's grammar and Go's words.

use super::{Flag, Kind, parse_bool};

/// Go's `strconv.ParseInt(text, 0, 64)`: decimal, `0x`, `0o`, `0b`, and `0` for octal.
pub(crate) fn parse_int(text: &str) -> Result<i64, &'static str> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return Err("invalid syntax");
    }
    let magnitude = i128::from_str_radix(digits, radix).map_err(|_| "value out of range")?;
    i64::try_from(sign * magnitude).map_err(|_| "value out of range")
}

/// Whether the value is of the flag's kind; the error is Go's text.
pub(super) fn check(flag: &Flag, value: &str) -> Result<(), String> {
    let plain = match flag.kind {
        Kind::Bool => match parse_bool(value) {
            Some(_) => Ok(()),
            None => Err(format!("strconv.ParseBool: parsing {value:?}: invalid syntax")),
        },
        Kind::Int => parse_int(value).map(drop).map_err(|why| format!("strconv.ParseInt: parsing {value:?}: {why}")),
        Kind::Uint => match parse_int(value) {
            Ok(0..) => Ok(()),
            Err("value out of range") => Err(format!("strconv.ParseUint: parsing {value:?}: value out of range")),
            _ => Err(format!("strconv.ParseUint: parsing {value:?}: invalid syntax")),
        },
        Kind::Text | Kind::List => Ok(()),
    };
    plain.and_then(|()| flag.check.map_or(Ok(()), |check| check(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_gos_notations() {
        assert_eq!(parse_int("-10"), Ok(-10));
        assert_eq!(parse_int("0x1F"), Ok(31));
        assert_eq!(parse_int("010"), Ok(8));
        assert_eq!(parse_int("0"), Ok(0));
        assert_eq!(parse_int("9223372036854775807"), Ok(i64::MAX));
        assert_eq!(parse_int("9223372036854775808"), Err("value out of range"));
        for wrong in ["", "-", "1x", "0x", "٣", "1 "] {
            assert_eq!(parse_int(wrong), Err("invalid syntax"), "{wrong}");
        }
    }
}
