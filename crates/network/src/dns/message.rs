//! Messages of the domain name system, as far as one who answers for a few names needs them (RFC 1035, section 4).

use std::net::IpAddr;

/// Types of questions.
pub(super) const A: u16 = 1;
pub(super) const PTR: u16 = 12;
pub(super) const AAAA: u16 = 28;
const INTERNET: u16 = 1;

/// Bytes before the question.
const HEADER: usize = 12;

/// How long an answer may be remembered, in seconds: names of containers move.
const TIME_TO_LIVE: u32 = 5;

/// What became of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Outcome {
    Found = 0,
    Failed = 2,
}

/// A question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Question<'a> {
    /// Without the dot at the end, in small letters.
    pub name: String,
    pub kind: u16,
    /// Header and question as they came.
    raw: &'a [u8],
}

/// Something that is found under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Record {
    Address(IpAddr),
    Name(String),
}

impl<'a> Question<'a> {
    /// Reads the first question of a query; `None` if it is none of the internet, or no query at all.
    pub(super) fn read(message: &'a [u8]) -> Option<Self> {
        let is_query = message.get(2)? & 0xf8 == 0;
        let count = u16::from_be_bytes(message.get(4..6)?.try_into().ok()?);
        if !is_query || count != 1 {
            return None;
        }
        let (name, end) = read_name(message, HEADER)?;
        let field = |at: usize| Some(u16::from_be_bytes(message.get(at..at + 2)?.try_into().ok()?));
        (field(end + 2)? == INTERNET).then_some(())?;
        Some(Self { name, kind: field(end)?, raw: &message[..end + 4] })
    }

    /// The answer to it.
    pub(super) fn answer(&self, outcome: Outcome, records: &[Record]) -> Vec<u8> {
        let mut message = self.raw.to_vec();
        // An answer, with recursion as far as it was wanted, and to be had.
        message[2] = 0x80 | message[2] & 0x01;
        message[3] = 0x80 | outcome as u8;
        let count = u16::try_from(records.len()).unwrap_or_default();
        message[6..8].copy_from_slice(&count.to_be_bytes());
        message[8..HEADER].fill(0);
        for record in records {
            let (kind, data) = match record {
                Record::Address(IpAddr::V4(address)) => (A, address.octets().to_vec()),
                Record::Address(IpAddr::V6(address)) => (AAAA, address.octets().to_vec()),
                Record::Name(name) => (PTR, written(name)),
            };
            // The name of the question, by its place.
            message.extend([0xc0, HEADER as u8]);
            message.extend(kind.to_be_bytes());
            message.extend(INTERNET.to_be_bytes());
            message.extend(TIME_TO_LIVE.to_be_bytes());
            message.extend(u16::try_from(data.len()).unwrap_or_default().to_be_bytes());
            message.extend(data);
        }
        message
    }
}

/// What a server says became of a question; `None` where it is not even an answer to it.
pub(super) fn outcome_of(answer: &[u8], query: &[u8]) -> Option<u8> {
    let asked = Question::read(query)?;
    let same = answer.get(..2)? == query.get(..2)? && answer.get(2)? & 0x80 != 0;
    let (name, end) = read_name(answer, HEADER)?;
    let kind = u16::from_be_bytes(answer.get(end..end + 2)?.try_into().ok()?);
    (same && name == asked.name && kind == asked.kind).then(|| answer[3] & 0x0f)
}

/// How long the records of an answer live.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Lifetimes {
    /// Where each is written, and what it is, in seconds.
    pub places: Vec<(usize, u32)>,
    /// The shortest of them; `None` where the answer is not to be remembered at all: it failed, was cut off, or says
    /// nothing. That a name or a record does not exist lives as long as the authority's record (RFC 2308, section 5).
    pub shortest: Option<u32>,
}

/// Types of records whose lifetime is none (`OPT`, RFC 6891), or counts together with a field of theirs (`SOA`).
const OPTIONS: u16 = 41;
const AUTHORITY: u16 = 6;

/// Reads them; `None` if this is no whole answer.
pub(super) fn lifetimes(answer: &[u8]) -> Option<Lifetimes> {
    let field = |at: usize| Some(u16::from_be_bytes(answer.get(at..at + 2)?.try_into().ok()?));
    let long = |at: usize| Some(u32::from_be_bytes(answer.get(at..at + 4)?.try_into().ok()?));
    let mut at = HEADER;
    for _ in 0..field(4)? {
        at = after_name(answer, at)? + 4;
    }
    let mut found = Lifetimes::default();
    for _ in 0..usize::from(field(6)?) + usize::from(field(8)?) + usize::from(field(10)?) {
        at = after_name(answer, at)?;
        let (kind, lifetime, length) = (field(at)?, long(at + 4)?, usize::from(field(at + 8)?));
        let end = at + 10 + length;
        if kind != OPTIONS {
            found.places.push((at + 4, lifetime));
            let least = if kind == AUTHORITY { lifetime.min(long(end.checked_sub(4)?)?) } else { lifetime };
            found.shortest = Some(found.shortest.unwrap_or(u32::MAX).min(least));
        }
        at = end;
    }
    let cut_off = answer.get(2)? & 0x02 != 0;
    let (found_out, no_such_name) = (0, 3);
    if cut_off || ![found_out, no_such_name].contains(&(answer.get(3)? & 0x0f)) {
        found.shortest = None;
    }
    (at <= answer.len()).then_some(found)
}

/// Where a name ends that may end with a pointer.
fn after_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match usize::from(*message.get(at)?) {
            0 => return Some(at + 1),
            length @ 1..=63 => at += 1 + length,
            0xc0.. => return Some(at + 2),
            _ => return None,
        }
    }
}

/// Labels without pointers, which questions do not have.
fn read_name(message: &[u8], mut at: usize) -> Option<(String, usize)> {
    let mut name = String::new();
    loop {
        let length = usize::from(*message.get(at)?);
        at += 1;
        if length == 0 {
            return Some((name, at));
        }
        if length > 63 || name.len() > 255 {
            return None;
        }
        let label = message.get(at..at + length)?;
        if !name.is_empty() {
            name.push('.');
        }
        name.extend(label.iter().map(|&byte| char::from(byte).to_ascii_lowercase()));
        at += length;
    }
}

fn written(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty() && label.len() < 64) {
        bytes.push(label.len() as u8);
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

/// The address that a name for a reverse look-up means.
pub(super) fn reverse(name: &str) -> Option<IpAddr> {
    if let Some(digits) = name.strip_suffix(".in-addr.arpa") {
        let mut parts: Vec<&str> = digits.split('.').collect();
        parts.reverse();
        return parts.join(".").parse().ok().map(IpAddr::V4);
    }
    let digits: Vec<u128> = name
        .strip_suffix(".ip6.arpa")?
        .split('.')
        .map(|digit| u128::from_str_radix(digit, 16).ok().filter(|digit| *digit < 16))
        .collect::<Option<_>>()?;
    (digits.len() == 32).then(|| {
        let bits = digits.iter().rev().fold(0_u128, |bits, digit| bits << 4 | digit);
        IpAddr::V6(bits.into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(name: &str, kind: u16) -> Vec<u8> {
        let mut message = vec![0xab, 0xcd, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0];
        message.extend(written(name));
        message.extend(kind.to_be_bytes());
        message.extend(INTERNET.to_be_bytes());
        message
    }

    #[test]
    fn a_question_and_its_answer() {
        let message = query("Web.Example", A);
        let question = Question::read(&message).unwrap();
        assert_eq!((question.name.as_str(), question.kind), ("web.example", A));
        let answer = question.answer(Outcome::Found, &[Record::Address("10.0.0.2".parse().unwrap())]);
        assert_eq!(outcome_of(&answer, &message), Some(0));
        assert_eq!(&answer[2..8], [0x81, 0x80, 0, 1, 0, 1]);
        assert_eq!(&answer[message.len()..], [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4, 10, 0, 0, 2]);
        assert_eq!(outcome_of(&answer, &query("other", A)), None, "an answer to something else");
    }

    #[test]
    fn nonsense_is_no_question() {
        let whole = query("web", A);
        (0..whole.len()).for_each(|length| assert_eq!(Question::read(&whole[..length]), None));
        let mut pointer = whole.clone();
        pointer[HEADER] = 0xc0;
        assert_eq!(Question::read(&pointer), None);
        let mut answer = whole;
        answer[2] |= 0x80;
        assert_eq!(Question::read(&answer), None);
    }

    #[test]
    fn names_of_addresses() {
        assert_eq!(reverse("2.0.0.10.in-addr.arpa"), Some("10.0.0.2".parse().unwrap()));
        let nibbles = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa";
        assert_eq!(reverse(nibbles), Some("fd00::1".parse().unwrap()));
        for bad in ["in-addr.arpa", "0.0.10.in-addr.arpa", "x.0.0.10.in-addr.arpa", "1.ip6.arpa", "web"] {
            assert_eq!(reverse(bad), None);
        }
    }
}
