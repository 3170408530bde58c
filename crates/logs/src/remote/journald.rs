//! Messages for systemd's journal: its native protocol (systemd.io, "Native Journal Protocol"), Docker's field names.

use std::collections::BTreeMap;
use std::io::Write;

use dhow_errdefs::Result;

use crate::config::{DEFAULT_TAG, Subject, short};
use crate::queue::Waiting;
use crate::{Stream, Timestamp};

/// Where the journal takes messages.
pub(super) const SOCKET: &str = "/run/systemd/journal/socket";

/// Fields that are the same in every message of a container.
pub(super) fn fields(options: &BTreeMap<String, String>, subject: &Subject<'_>) -> Result<BTreeMap<String, String>> {
    let tag = subject.tag(options, Some(DEFAULT_TAG))?.unwrap_or_default();
    let mut fields: BTreeMap<String, String> = [
        ("CONTAINER_ID", short(subject.id)),
        ("CONTAINER_ID_FULL", subject.id),
        ("CONTAINER_NAME", subject.name),
        ("CONTAINER_TAG", &tag),
        ("IMAGE_NAME", subject.image_name),
        ("SYSLOG_IDENTIFIER", &tag),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect();
    fields.extend(subject.picked(options)?.into_iter().map(|(name, value)| (field_name(&name), value)));
    fields.remove("");
    Ok(fields)
}

/// A name the journal takes: upper-case letters, digits and underscores, not beginning with one.
fn field_name(name: &str) -> String {
    let upper =
        name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter.to_ascii_uppercase() } else { '_' });
    upper.skip_while(|letter| *letter == '_').collect()
}

/// Lays messages out.
#[derive(Debug)]
pub(super) struct Encoder {
    /// The fields that never change, laid out.
    fixed: Vec<u8>,
    /// Random; tells this run of the container from others.
    epoch: u128,
    messages: u64,
    parts: [Part; 2],
}

/// Of a long line that is sent in parts.
#[derive(Debug, Default, Clone, Copy)]
struct Part {
    id: u128,
    ordinal: u32,
}

impl Encoder {
    pub(super) fn new(fields: &BTreeMap<String, String>) -> Self {
        let epoch = random();
        let mut fixed = Vec::new();
        for (name, value) in fields {
            field(&mut fixed, name, value.as_bytes());
        }
        field(&mut fixed, "CONTAINER_LOG_EPOCH", format!("{epoch:032x}").as_bytes());
        Self { fixed, epoch, messages: 0, parts: [Part::default(); 2] }
    }

    /// Appends a message.
    pub(super) fn encode(&mut self, out: &mut Vec<u8>, waiting: &Waiting<'_>) {
        let Waiting { stream, time, more, line } = *waiting;
        self.messages += 1;
        out.extend_from_slice(&self.fixed);
        field(out, "MESSAGE", line);
        // Writing to memory does not fail.
        let _ = writeln!(out, "PRIORITY={}", if stream == Stream::Stderr { 3 } else { 6 });
        let _ = writeln!(out, "SYSLOG_TIMESTAMP={}", time.format(&mut [0; Timestamp::MAX_LEN]));
        let _ = writeln!(out, "CONTAINER_LOG_ORDINAL={}", self.messages);
        let part = &mut self.parts[usize::from(stream == Stream::Stderr)];
        if !more && part.ordinal == 0 {
            return;
        }
        if part.ordinal == 0 {
            part.id = self.epoch.wrapping_add(u128::from(self.messages));
        }
        part.ordinal += 1;
        let Part { id, ordinal } = *part;
        let _ = write!(out, "CONTAINER_PARTIAL_ID={id:032x}\nCONTAINER_PARTIAL_ORDINAL={ordinal}\n");
        if more {
            out.extend_from_slice(b"CONTAINER_PARTIAL_LAST=false\nCONTAINER_PARTIAL_MESSAGE=true\n");
        } else {
            out.extend_from_slice(b"CONTAINER_PARTIAL_LAST=true\n");
            part.ordinal = 0;
        }
    }
}

/// A text without newlines is written behind `=`, anything else with its length.
fn field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    if memchr::memchr(b'\n', value).is_none() {
        out.push(b'=');
    } else {
        out.push(b'\n');
        out.extend_from_slice(&(value.len() as u64).to_le_bytes());
    }
    out.extend_from_slice(value);
    out.push(b'\n');
}

fn random() -> u128 {
    let mut bytes = [0; 16];
    // It tells runs apart and keeps no secret: where there is no randomness, the time does.
    match rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::NONBLOCK) {
        Ok(16) => u128::from_le_bytes(bytes),
        _ => Timestamp::now().0 as u128,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_dockers() {
        let labels = [("my.label".to_owned(), "x".to_owned()), ("_hidden".to_owned(), "y".to_owned())].into();
        let subject = Subject {
            id: "0123456789abcdef",
            name: "box",
            command: &[],
            image_id: "",
            image_name: "busybox",
            env: &[],
            labels: &labels,
        };
        let options = [("labels".to_owned(), "my.label,_hidden".to_owned())].into();
        let fields = fields(&options, &subject).unwrap();
        for (name, value) in [
            ("CONTAINER_ID", "0123456789ab"),
            ("CONTAINER_ID_FULL", "0123456789abcdef"),
            ("CONTAINER_NAME", "box"),
            ("CONTAINER_TAG", "0123456789ab"),
            ("SYSLOG_IDENTIFIER", "0123456789ab"),
            ("MY_LABEL", "x"),
            ("HIDDEN", "y"),
        ] {
            assert_eq!(fields[name], value);
        }
    }

    #[test]
    fn a_message_is_laid_out_in_the_native_protocol() {
        let mut encoder = Encoder::new(&[("CONTAINER_NAME".to_owned(), "box".to_owned())].into());
        let mut out = Vec::new();
        let line = b"two\nlines";
        encoder.encode(&mut out, &Waiting { stream: Stream::Stderr, time: Timestamp(0), more: false, line });
        let wanted = [
            &b"CONTAINER_NAME=box\nCONTAINER_LOG_EPOCH="[..],
            format!("{:032x}", encoder.epoch).as_bytes(),
            b"\nMESSAGE\n\x09\0\0\0\0\0\0\0two\nlines\nPRIORITY=3\nSYSLOG_TIMESTAMP=1970-01-01T00:00:00Z\n",
            b"CONTAINER_LOG_ORDINAL=1\n",
        ]
        .concat();
        assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(&wanted));
    }

    #[test]
    fn parts_of_a_line_are_marked() {
        let mut encoder = Encoder::new(&BTreeMap::new());
        let mut message = |more| {
            let mut out = Vec::new();
            encoder.encode(&mut out, &Waiting { stream: Stream::Stdout, time: Timestamp(0), more, line: b"x" });
            let text = String::from_utf8(out).unwrap();
            text.lines().filter(|line| line.starts_with("CONTAINER_PARTIAL")).map(str::to_owned).collect::<Vec<_>>()
        };
        let (first, second, last, other) = (message(true), message(true), message(false), message(false));
        assert_eq!(first[0], last[0]);
        assert_eq!(
            first[1..],
            ["CONTAINER_PARTIAL_ORDINAL=1", "CONTAINER_PARTIAL_LAST=false", "CONTAINER_PARTIAL_MESSAGE=true"]
        );
        assert_eq!(second[1], "CONTAINER_PARTIAL_ORDINAL=2");
        assert_eq!(last[1..], ["CONTAINER_PARTIAL_ORDINAL=3", "CONTAINER_PARTIAL_LAST=true"]);
        assert!(other.is_empty());
    }
}
