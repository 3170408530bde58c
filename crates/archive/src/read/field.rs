//! The numbers in a header block.

use dhow_errdefs::{Error, Result};
use tar::Header;

use super::BLOCK;

/// A number in octal text, or, with the top bit of the first byte set, in base 256 (two's complement, big endian).
pub(super) fn number(field: &[u8], what: &str) -> Result<i64> {
    let bad = || Error::data_loss(format!("the archive has a bad {what} in a header"));
    match field.first() {
        Some(first) if first & 0x80 != 0 => binary(field).ok_or_else(bad),
        _ => octal(field).ok_or_else(bad),
    }
}

fn octal(field: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(field).ok()?.trim_matches([' ', '\0']);
    if text.is_empty() {
        return Some(0);
    }
    // `from_str_radix` takes a sign, a header has none.
    text.bytes().all(|byte| (b'0'..=b'7').contains(&byte)).then(|| i64::from_str_radix(text, 8).ok())?
}

fn binary(field: &[u8]) -> Option<i64> {
    let negative = field[0] & 0x40 != 0;
    let fill = if negative { 0xff } else { 0x00 };
    let first = if negative { field[0] } else { field[0] & 0x7f };
    let mut bytes = [fill; 16];
    let start = 16 - field.len();
    bytes[start..].copy_from_slice(field);
    bytes[start] = first;
    i64::try_from(i128::from_be_bytes(bytes)).ok()
}

/// The size in a header.
pub(super) fn size(header: &Header) -> Result<u64> {
    unsigned(&header.as_old().size, "size")
}

/// A number that cannot be negative.
pub(super) fn unsigned(field: &[u8], what: &str) -> Result<u64> {
    u64::try_from(number(field, what)?).map_err(|_| Error::data_loss(format!("the archive has a negative {what}")))
}

/// The sum of all bytes with the checksum itself as spaces; some old writers added signed bytes.
pub(super) fn verify_checksum(block: &[u8; BLOCK]) -> Result<()> {
    const DOUBT: &str = "is it a tar archive?";
    let stated = number(&block[148..156], "checksum").map_err(|error| error.with_hint(DOUBT))?;
    let counted = || block.iter().enumerate().map(|(at, byte)| if (148..156).contains(&at) { b' ' } else { *byte });
    let unsigned: i64 = counted().map(i64::from).sum();
    let signed: i64 = counted().map(|byte| i64::from(byte.cast_signed())).sum();
    if stated == unsigned || stated == signed {
        return Ok(());
    }
    Err(Error::data_loss("the archive has a header with a wrong checksum").with_hint(DOUBT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octal_numbers() {
        for (field, value) in
            [(&b"0000644\0"[..], 0o644), (b"     12 ", 0o12), (b"\0\0\0\0", 0), (b"77777777", 0o77777777)]
        {
            assert_eq!(number(field, "x").unwrap(), value);
        }
        for bad in [&b"+7"[..], b"-7", b"8", b"1 1", b"0x1"] {
            assert!(number(bad, "x").is_err());
        }
    }

    #[test]
    fn base_256_numbers() {
        assert_eq!(number(&[0x80, 0, 0, 0, 0, 0x3f, 0xff, 0xff], "x").unwrap(), 0x3f_ffff);
        assert_eq!(number(&[0xff; 12], "x").unwrap(), -1);
        assert_eq!(number(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00], "x").unwrap(), -256);
        assert!(number(&[0xbf; 12], "x").is_err(), "wider than 64 bits");
    }
}
