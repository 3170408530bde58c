//! Sizes as Docker's options have them (go-units).

use dhow_errdefs::{Error, Result};

/// In powers of 1000 (`FromHumanSize`): `max-size`.
pub(super) fn human(text: &str) -> Result<u64> {
    parse(text, 1000.0)
}

/// In powers of 1024 (`RAMInBytes`): `max-buffer-size`.
pub(super) fn memory(text: &str) -> Result<u64> {
    parse(text, 1024.0)
}

/// `10m`, `1.5g`, `512k`, `2KB`, `3 MiB`, `100`.
fn parse(text: &str, base: f64) -> Result<u64> {
    let invalid = || Error::invalid(format!("invalid size: '{text}'"));
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let suffix = text[digits.len()..].to_ascii_lowercase();
    let exponent = match suffix.strip_suffix("ib").or(suffix.strip_suffix('b')).unwrap_or(&suffix) {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return Err(Error::invalid(format!("invalid suffix: '{suffix}'"))),
    };
    let digits = digits.strip_suffix(' ').unwrap_or(digits);
    let number: f64 = digits.parse().map_err(|_| invalid())?;
    if !number.is_finite() || number < 0.0 || digits.starts_with('+') {
        return Err(invalid());
    }
    Ok((number * f64::powi(base, exponent)) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_docker_reads_them() {
        for (text, bytes) in
            [("100", 100), ("10k", 10_000), ("2KB", 2_000), ("1g", 1_000_000_000), ("1.5 m", 1_500_000)]
        {
            assert_eq!(human(text).unwrap(), bytes);
        }
        assert_eq!(memory("4m").unwrap(), 4 << 20);
        assert_eq!(memory("2KiB").unwrap(), 2048);
        for text in ["", "many", "-1", "1x", "m"] {
            assert!(human(text).is_err(), "{text}");
        }
    }
}
