//! Questions and answers of DNS (RFC 1035 section 4).

use std::net::IpAddr;

/// A kind of address record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    A = 1,
    Aaaa = 28,
}

/// What a server said.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Addresses; none if there is no such name or it has none of the kind.
    Addresses(Vec<IpAddr>),
    /// Too long for a datagram: to be asked over TCP.
    Truncated,
    /// The server could not or would not.
    Failed,
}

const HEADER: usize = 12;
const CLASS_IN: u16 = 1;
const NAME_ERROR: u8 = 3;

/// A question; `None` if the name is none.
pub(super) fn question(id: u16, name: &str, kind: Kind) -> Option<Vec<u8>> {
    let mut message = Vec::with_capacity(HEADER + name.len() + 6);
    message.extend(id.to_be_bytes());
    // One question, recursion desired.
    message.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..=63).contains(length))?;
        message.push(length);
        message.extend(label.bytes());
    }
    message.push(0);
    message.extend((kind as u16).to_be_bytes());
    message.extend(CLASS_IN.to_be_bytes());
    (name.len() <= 253).then_some(message)
}

/// Reads the answer to a question; `None` if it is the answer to something else, or broken.
pub(super) fn read(message: &[u8], question: &[u8], kind: Kind) -> Option<Answer> {
    let asked = &question[HEADER..];
    let same_question = message.get(HEADER..HEADER + asked.len())?.eq_ignore_ascii_case(asked);
    if message[..2] != question[..2] || message[2] & 0x80 == 0 || !same_question {
        return None;
    }
    match (message[3] & 0x0f, message[2] & 2 != 0) {
        (0, true) => return Some(Answer::Truncated),
        (NAME_ERROR, _) => return Some(Answer::Addresses(Vec::new())),
        (0, false) => {}
        _ => return Some(Answer::Failed),
    }
    let records = u16::from_be_bytes([message[6], message[7]]);
    let (mut at, mut addresses) = (HEADER + asked.len(), Vec::new());
    for _ in 0..records {
        at = after_name(message, at)?;
        let head = message.get(at..at + 10)?;
        let length = usize::from(u16::from_be_bytes([head[8], head[9]]));
        let data = message.get(at + 10..at + 10 + length)?;
        // Names that stand for others (CNAME) come with the addresses of those.
        if u16::from_be_bytes([head[0], head[1]]) == kind as u16 {
            addresses.push(address(data)?);
        }
        at += 10 + length;
    }
    Some(Answer::Addresses(addresses))
}

fn address(data: &[u8]) -> Option<IpAddr> {
    let of_four = |data: [u8; 4]| IpAddr::from(data);
    let of_sixteen = |data: [u8; 16]| IpAddr::from(data);
    data.try_into().map(of_four).ok().or_else(|| data.try_into().map(of_sixteen).ok())
}

/// Where a name ends: at its zero label, or behind a pointer to the rest.
fn after_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            pointer if pointer & 0xc0 == 0xc0 => return Some(at + 2),
            length if length & 0xc0 == 0 => at += 1 + usize::from(length),
            _ => return None,
        }
    }
}

/// What a server says that knows one address of one name.
#[cfg(test)]
pub(super) fn answer_for_tests(query: &[u8], known: &str, address: std::net::Ipv4Addr) -> Vec<u8> {
    let is = |kind| question(0, known, kind).is_some_and(|asked| asked[HEADER..] == query[HEADER..]);
    let mut message = query.to_vec();
    message[2] |= 0x80;
    if is(Kind::A) {
        message[7] = 1;
        message.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4]);
        message.extend(address.octets());
    } else if !is(Kind::Aaaa) {
        message[3] |= NAME_ERROR;
    }
    message
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_question_and_its_answer() {
        let asked = question(7, "ship.example", Kind::A).expect("a name");
        assert_eq!(&asked[HEADER..], b"\x04ship\x07example\0\0\x01\0\x01");
        let answer = answer_for_tests(&asked, "ship.example", [10, 0, 0, 1].into());
        assert_eq!(read(&answer, &asked, Kind::A), Some(Answer::Addresses(vec![[10, 0, 0, 1].into()])));
        let other = question(8, "ship.example", Kind::A).expect("a name");
        assert_eq!(read(&answer, &other, Kind::A), None, "the answer to another question");
        let unknown = answer_for_tests(&asked, "boat.example", [10, 0, 0, 1].into());
        assert_eq!(read(&unknown, &asked, Kind::A), Some(Answer::Addresses(Vec::new())));
        let mut cut = answer.clone();
        cut[2] |= 2;
        assert_eq!(read(&cut, &asked, Kind::A), Some(Answer::Truncated));
        for name in ["", "a..b", &"x".repeat(64)] {
            assert_eq!(question(1, name, Kind::A), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(tail: Vec<u8>, flags: u16, count: u16) {
            let asked = question(7, "ship.example", Kind::A).expect("a name");
            let mut answer = asked.clone();
            answer[2..4].copy_from_slice(&flags.to_be_bytes());
            answer[6..8].copy_from_slice(&count.to_be_bytes());
            answer.extend(&tail);
            read(&answer, &asked, Kind::A);
            read(&tail, &asked, Kind::A);
        }
    }
}
