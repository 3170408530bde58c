//! Sizes in bytes, in words and out of words, by the rules of Docker's `go-units`.

use super::general;

const DECIMAL: [&str; 9] = ["B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"];
const BINARY: [&str; 9] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"];

/// `1.982MB`: powers of 1000, four digits.
pub(crate) fn decimal(bytes: f64) -> String {
    scaled(bytes, 1000.0, 4, &DECIMAL)
}

/// `1.98MB`: powers of 1000, three digits.
pub(crate) fn decimal_3(bytes: f64) -> String {
    scaled(bytes, 1000.0, 3, &DECIMAL)
}

/// `23.54GiB`: powers of 1024, four digits.
pub(crate) fn binary(bytes: f64) -> String {
    scaled(bytes, 1024.0, 4, &BINARY)
}

fn scaled(mut value: f64, base: f64, digits: usize, units: &[&str]) -> String {
    let mut unit = 0;
    while value >= base && unit < units.len() - 1 {
        value /= base;
        unit += 1;
    }
    format!("{}{}", general(value, digits), units[unit])
}

/// Reads `512m`, `1.5gb`, `10 KiB`, `100`: always powers of 1024. The error is Docker's text.
pub(crate) fn parse_bytes(text: &str) -> Result<i64, String> {
    let invalid = || format!("invalid size: '{text}'");
    let last = text.rfind(|c: char| c.is_ascii_digit() || c == '.' || c == ' ').ok_or_else(invalid)?;
    let (number, suffix) = text.split_at(last + 1);
    let number = number.strip_suffix(' ').unwrap_or(number);
    let size: f64 = number
        .parse()
        .ok()
        .filter(|size: &f64| size.is_finite())
        .ok_or_else(|| format!("strconv.ParseFloat: parsing {number:?}: invalid syntax"))?;
    if size.is_sign_negative() {
        return Err(invalid());
    }
    let factor =
        factor(&suffix.to_lowercase()).ok_or_else(|| format!("invalid suffix: '{}'", suffix.to_lowercase()))?;
    // As Go's conversion does, whatever is too large is cut off at the largest number.
    #[allow(clippy::cast_possible_truncation, reason = "the fraction of a byte is dropped on purpose")]
    Ok((size * factor) as i64)
}

fn factor(suffix: &str) -> Option<f64> {
    let mut letters = suffix.chars();
    let power = match letters.next() {
        None => return Some(1.0),
        Some('b') => return letters.next().is_none().then_some(1.0),
        Some('k') => 1,
        Some('m') => 2,
        Some('g') => 3,
        Some('t') => 4,
        Some('p') => 5,
        Some(_) => return None,
    };
    matches!(letters.as_str(), "" | "b" | "ib").then(|| 1024_f64.powi(power))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_in_words() {
        assert_eq!(decimal(0.0), "0B");
        assert_eq!(decimal(1_982_000.0), "1.982MB");
        assert_eq!(decimal_3(1_982_000.0), "1.98MB");
        assert_eq!(decimal_3(999_900.0), "1e+03kB");
        assert_eq!(binary(25_275_576_320.0), "23.54GiB");
    }

    #[test]
    fn sizes_out_of_words() {
        for (text, bytes) in [
            ("32", 32),
            ("32b", 32),
            ("32k", 32 << 10),
            ("32K", 32 << 10),
            ("32kb", 32 << 10),
            ("32Kib", 32 << 10),
            ("1.5g", 3 << 29),
            ("32 MB", 32 << 20),
            ("1p", 1 << 50),
            ("0.3", 0),
        ] {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused_in_dockers_words() {
        assert_eq!(parse_bytes("abc").unwrap_err(), "invalid size: 'abc'");
        assert_eq!(parse_bytes("-1").unwrap_err(), "invalid size: '-1'");
        assert_eq!(parse_bytes("1mm").unwrap_err(), "invalid suffix: 'mm'");
        assert_eq!(parse_bytes("1bb").unwrap_err(), "invalid suffix: 'bb'");
        assert!(parse_bytes("1.2.3").is_err() && parse_bytes("").is_err());
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in ".{0,8}") {
            drop(parse_bytes(&text));
        }

        #[test]
        fn whole_numbers_come_back(bytes in 0..1_i64 << 50) {
            prop_assert_eq!(parse_bytes(&bytes.to_string()), Ok(bytes));
        }
    }
}
