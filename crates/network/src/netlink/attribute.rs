//! Attributes of messages that the kernel sends (`struct nlattr`).

use std::net::IpAddr;

use super::aligned;

/// Bits above the number of an attribute: nested, and in network byte order.
const FLAGS: u16 = 0xc000;

/// The attributes in a stretch of bytes, number and value; ends where they make no sense.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attributes<'a>(pub &'a [u8]);

impl<'a> Attributes<'a> {
    /// The value of the first one with that number.
    pub(crate) fn get(mut self, number: u16) -> Option<&'a [u8]> {
        self.find(|(candidate, _)| *candidate == number).map(|(_, value)| value)
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let length = usize::from(u16::from_ne_bytes(self.0.get(..2)?.try_into().ok()?));
        let number = u16::from_ne_bytes(self.0.get(2..4)?.try_into().ok()?) & !FLAGS;
        let value = self.0.get(4..length)?;
        self.0 = self.0.get(aligned(length)..).unwrap_or_default();
        Some((number, value))
    }
}

/// A number in the host's byte order.
pub(crate) fn u32_of(value: &[u8]) -> Option<u32> {
    Some(u32::from_ne_bytes(value.try_into().ok()?))
}

/// A text that ends with a zero byte.
pub(crate) fn string(value: &[u8]) -> String {
    String::from_utf8_lossy(value).trim_end_matches('\0').to_owned()
}

/// An address of four or sixteen bytes.
pub(crate) fn address(value: &[u8]) -> Option<IpAddr> {
    match value.len() {
        4 => Some(IpAddr::from(<[u8; 4]>::try_from(value).ok()?)),
        16 => Some(IpAddr::from(<[u8; 16]>::try_from(value).ok()?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_sense_ends_the_list() {
        let bytes = [8, 0, 3, 0, 1, 2, 3, 4, 5, 0, 0x04, 0x80, b'x', 0, 0, 0, 200, 0, 9, 0];
        let found: Vec<(u16, &[u8])> = Attributes(&bytes).collect();
        assert_eq!(found, [(3, &[1, 2, 3, 4][..]), (4, &b"x"[..])]);
        assert_eq!(Attributes(&[3, 0, 1, 0]).next(), None, "shorter than its own head");
    }
}
