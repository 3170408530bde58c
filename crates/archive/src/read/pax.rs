//! PAX records: `<length> <key>=<value>\n`, in place of header fields that are too small.

use dhow_errdefs::{Error, Result};

use super::entry::Time;
use super::sparse::{Extent, Map};

/// What the PAX records before an entry say of it.
#[derive(Debug, Default)]
pub(super) struct Pax {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u64>,
    pub(super) gid: Option<u64>,
    pub(super) mtime: Option<Time>,
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) sparse: Option<Sparse>,
}

/// Where the map of a sparse file is (GNU tar manual, "PAX Format, Versions 0.0, 0.1 and 1.0").
#[derive(Debug)]
pub(super) enum Sparse {
    /// In the records.
    Map(Map),
    /// Before the contents.
    InContents {
        /// The size of the file with its holes.
        size: u64,
    },
}

/// The sparse records as they come.
#[derive(Debug, Default)]
struct Gnu {
    version_1: bool,
    name: Option<Vec<u8>>,
    size: Option<u64>,
    numbers: Vec<u64>,
    seen: bool,
}

/// Reads the records of one extended header.
pub(super) fn parse(mut records: &[u8]) -> Result<Pax> {
    let mut pax = Pax::default();
    let mut gnu = Gnu::default();
    while !records.is_empty() {
        let (key, value, rest) = split(records).ok_or_else(|| bad("a malformed PAX record"))?;
        match key.strip_prefix(b"GNU.sparse.") {
            Some(key) => gnu.take(key, value)?,
            None => pax.take(key, value)?,
        }
        records = rest;
    }
    gnu.finish(&mut pax)?;
    Ok(pax)
}

impl Pax {
    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
            self.xattrs.push((name.to_vec(), value.to_vec()));
            return Ok(());
        }
        // An empty value takes an earlier record back.
        let some = (!value.is_empty()).then_some(value);
        match key {
            b"path" => self.path = some.map(nul_free).transpose()?,
            b"linkpath" => self.link = some.map(nul_free).transpose()?,
            b"size" => self.size = some.map(number).transpose()?,
            b"uid" => self.uid = some.map(number).transpose()?,
            b"gid" => self.gid = some.map(number).transpose()?,
            b"mtime" => self.mtime = some.map(time).transpose()?,
            _ => {}
        }
        Ok(())
    }
}

impl Gnu {
    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.seen = true;
        match key {
            b"major" => self.version_1 = number(value)? == 1,
            b"minor" if number(value)? != 0 => return Err(bad("a sparse file of an unknown version")),
            b"name" => self.name = Some(nul_free(value)?),
            b"size" | b"realsize" => self.size = Some(number(value)?),
            b"offset" | b"numbytes" => self.numbers.push(number(value)?),
            b"map" => self.numbers = value.split(|byte| *byte == b',').map(number).collect::<Result<_>>()?,
            _ => {}
        }
        Ok(())
    }

    fn finish(self, pax: &mut Pax) -> Result<()> {
        if !self.seen {
            return Ok(());
        }
        if self.name.is_some() {
            pax.path = self.name;
        }
        let size = self.size.ok_or_else(|| bad("a sparse file without a size"))?;
        pax.sparse = Some(if self.version_1 {
            Sparse::InContents { size }
        } else {
            if !self.numbers.len().is_multiple_of(2) {
                return Err(bad("a sparse map with half a pair"));
            }
            let pairs = self.numbers.chunks_exact(2);
            Sparse::Map(Map { size, extents: pairs.map(|pair| Extent { offset: pair[0], length: pair[1] }).collect() })
        });
        Ok(())
    }
}

/// The first record and the rest.
fn split(records: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = records.iter().take(20).position(|byte| *byte == b' ')?;
    let length: usize = std::str::from_utf8(&records[..space]).ok()?.parse().ok()?;
    let record = records.get(space + 1..length)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=')?;
    let (key, value) = (&record[..equals], &record[equals + 1..]);
    (!key.is_empty()).then_some((key, value, &records[length..]))
}

fn number(text: &[u8]) -> Result<u64> {
    std::str::from_utf8(text)
        .ok()
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| bad("a bad number in a PAX record"))
}

/// `[-]seconds[.fraction]`, the fraction counted towards later as in -1.5.
fn time(text: &[u8]) -> Result<Time> {
    let parse = || {
        let text = std::str::from_utf8(text).ok()?;
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let negative = whole.starts_with('-');
        let seconds: i64 = whole.parse().ok()?;
        if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let digits: String = fraction.chars().chain("000000000".chars()).take(9).collect();
        let nanoseconds: u32 = digits.parse().ok()?;
        Some(match (negative, nanoseconds) {
            (true, 1..) => Time { seconds: seconds.checked_sub(1)?, nanoseconds: 1_000_000_000 - nanoseconds },
            _ => Time { seconds, nanoseconds },
        })
    };
    parse().ok_or_else(|| bad("a bad time in a PAX record"))
}

fn nul_free(value: &[u8]) -> Result<Vec<u8>> {
    if value.contains(&0) { Err(bad("a name with a NUL in a PAX record")) } else { Ok(value.to_vec()) }
}

fn bad(what: &str) -> Error {
    Error::data_loss(format!("the archive has {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_may_hold_anything() {
        let pax = parse(b"12 path=a=b\n28 SCHILY.xattr.user.x=a\0\nb\n").unwrap();
        assert_eq!(pax.path.unwrap(), b"a=b");
        assert_eq!(pax.xattrs, [(b"user.x".to_vec(), b"a\0\nb".to_vec())]);
    }

    #[test]
    fn malformed_records_are_errors() {
        for bad in [
            &b"8 path=a\n"[..],
            b"11 path=a\n",
            b"x path=a\n",
            b"5 p\n",
            b"99999999999999999999 a=b\n",
            b"0 ",
            b"4 =\n\n",
        ] {
            assert!(parse(bad).is_err(), "{:?}", String::from_utf8_lossy(bad));
        }
    }

    #[test]
    fn times_before_1970() {
        for (text, seconds, nanoseconds) in
            [("1.5", 1, 500_000_000), ("-1.5", -2, 500_000_000), ("-0.25", -1, 750_000_000), ("7", 7, 0), ("-3", -3, 0)]
        {
            assert_eq!(time(text.as_bytes()).unwrap(), Time { seconds, nanoseconds }, "{text}");
        }
        assert!(time(b"1.5e3").is_err());
    }
}
