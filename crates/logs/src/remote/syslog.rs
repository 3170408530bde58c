//! Messages for a syslog server, as Docker's driver lays them out.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};

use dhow_errdefs::{Error, Result, ResultExt, parse_bool};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::session::Secrecy;
use super::target::Address;
use crate::config::{DEFAULT_TAG, Subject};
use crate::{Stream, Timestamp};

/// How messages are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Syslog {
    /// Who speaks, by RFC 5424's number (0 to 23).
    pub facility: u8,
    /// The layout.
    pub format: Layout,
    /// Each message begins with its length in bytes (RFC 5425, section 4.3).
    #[serde(default)]
    pub counted: bool,
}

/// Layouts of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// What a host's own syslog takes: RFC 3164 without the host's name.
    Unix,
    /// RFC 3164.
    Rfc3164,
    /// RFC 5424, time in seconds.
    Rfc5424,
    /// RFC 5424, time in microseconds.
    Rfc5424Micro,
}

const DAEMON: u8 = 3;
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "", "", "",
    "", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];
const DEFAULT_PORT: u16 = 514;

const ERROR: u8 = 3;
const INFO: u8 = 6;

type Options = BTreeMap<String, String>;

impl Syslog {
    /// Reads `syslog-facility`, `syslog-format`, `syslog-address` and what is said of TLS.
    ///
    /// # Errors
    /// `InvalidArgument` in Docker's words.
    pub(crate) fn from_options(options: &Options) -> Result<(Self, Named)> {
        let get = |name: &str| options.get(name).map_or("", String::as_str);
        let address = Named::parse(get("syslog-address"), options)?;
        let (facility, format) = (facility(get("syslog-facility"))?, layout(get("syslog-format"))?);
        let counted = matches!(address, Named::Tls(..)) && matches!(format, Layout::Rfc5424 | Layout::Rfc5424Micro);
        Ok((Self { facility, format, counted }, address))
    }
}

pub(super) fn tag(options: &Options, subject: &Subject<'_>) -> Result<String> {
    Ok(subject.tag(options, Some(DEFAULT_TAG))?.unwrap_or_default())
}

fn facility(text: &str) -> Result<u8> {
    if text.is_empty() {
        return Ok(DAEMON);
    }
    let named = FACILITIES.iter().position(|name| *name == text).map(|number| number as u8);
    let number = named.or_else(|| text.parse().ok().filter(|number| *number <= 23));
    number.ok_or_else(|| Error::invalid("invalid syslog facility"))
}

fn layout(text: &str) -> Result<Layout> {
    match text {
        "" => Ok(Layout::Unix),
        "rfc3164" => Ok(Layout::Rfc3164),
        "rfc5424" => Ok(Layout::Rfc5424),
        "rfc5424micro" => Ok(Layout::Rfc5424Micro),
        _ => Err(Error::invalid("Invalid syslog format")),
    }
}

/// An address as it was given; the network's ones by name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Named {
    Host,
    Unix(PathBuf),
    Unixgram(PathBuf),
    Tcp(String),
    Tls(String, Secrecy),
    Udp(String),
}

impl Named {
    fn parse(text: &str, options: &Options) -> Result<Self> {
        if text.is_empty() {
            return Ok(Self::Host);
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(Error::invalid(format!("syslog-address should be in form proto://address, got {text}")));
        };
        match scheme {
            "unix" => existing(rest).map(Self::Unix),
            "unixgram" => existing(rest).map(Self::Unixgram),
            "tcp" => with_port(rest).map(Self::Tcp),
            "udp" => with_port(rest).map(Self::Udp),
            "tcp+tls" => {
                let place = with_port(rest)?;
                let secrecy = secrecy(&place, options)?;
                Ok(Self::Tls(place, secrecy))
            }
            other => Err(Error::invalid(format!("unsupported scheme: '{other}'"))),
        }
    }

    /// Looks names up.
    pub(super) fn resolve(self) -> Result<Address> {
        Ok(match self {
            Self::Host => Address::Host,
            Self::Unix(path) => Address::Unix(path),
            Self::Unixgram(path) => Address::Unixgram(path),
            Self::Tcp(name) => Address::Tcp(look_up("tcp", &name)?),
            Self::Tls(name, secrecy) => Address::Tls(look_up("tcp", &name)?, secrecy),
            Self::Udp(name) => Address::Udp(look_up("udp", &name)?),
        })
    }
}

fn secrecy(place: &str, options: &Options) -> Result<Secrecy> {
    let path = |name: &str| options.get(name).filter(|path| !path.is_empty()).map(PathBuf::from);
    let wrong = |any: &str| Error::invalid(format!("invalid boolean value for syslog-tls-skip-verify: {any:?}"));
    let (host, _) = place.rsplit_once(':').unwrap_or((place, ""));
    Ok(Secrecy {
        name: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
        authority: path("syslog-tls-ca-cert"),
        identity: match (path("syslog-tls-cert"), path("syslog-tls-key")) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => return Err(Error::invalid("syslog-tls-cert and syslog-tls-key belong together")),
        },
        any: match options.get("syslog-tls-skip-verify").map(String::as_str) {
            None => false,
            Some("") => true,
            Some(any) => parse_bool(any).ok_or_else(|| wrong(any))?,
        },
    })
}

fn existing(path: &str) -> Result<PathBuf> {
    let path = Path::new(path);
    path.metadata().context(|| format!("stat {}", path.display()))?;
    Ok(path.to_owned())
}

fn with_port(address: &str) -> Result<String> {
    let host = address.split('/').next().unwrap_or_default();
    let ported = host.rsplit_once(':').is_some_and(|(name, _)| !name.contains(':') || name.ends_with(']'));
    if host.is_empty() {
        return Err(Error::invalid("syslog-address names no host"));
    }
    if !ported {
        return Ok(format!("{host}:{DEFAULT_PORT}"));
    }
    let (_, port) = host.rsplit_once(':').unwrap_or_default();
    match port.parse::<u16>() {
        Ok(_) => Ok(host.to_owned()),
        Err(_) => Err(Error::invalid(format!("parse {address:?}: invalid port \":{port}\" after host"))),
    }
}

fn look_up(network: &str, name: &str) -> Result<Vec<SocketAddr>> {
    let found: Vec<SocketAddr> = name.to_socket_addrs().context(|| format!("dial {network}: lookup {name}"))?.collect();
    Ok(found)
}

/// Lays messages out.
#[derive(Debug)]
pub(super) struct Encoder {
    layout: Syslog,
    hostname: String,
    tag: String,
    pid: i32,
    zone: TimeZone,
}

impl Encoder {
    pub(super) fn new(layout: Syslog, tag: String, hostname: String) -> Self {
        let pid = rustix::process::getpid().as_raw_pid();
        // A tag is one word of the header; RFC 5424 has a dash where a field is empty.
        let tag = if tag.is_empty() { "-".to_owned() } else { tag };
        Self { layout, hostname, tag, pid, zone: TimeZone::system() }
    }

    /// Appends a message. The line comes without its newline; the message ends with one, as Docker's do.
    pub(super) fn encode(&self, out: &mut Vec<u8>, stream: Stream, time: Timestamp, line: &[u8]) {
        let begin = out.len();
        self.lay_out(out, stream, time, line);
        if self.layout.counted {
            let length = format!("{} ", out.len() - begin);
            out.splice(begin..begin, length.into_bytes());
        }
    }

    fn lay_out(&self, out: &mut Vec<u8>, stream: Stream, time: Timestamp, line: &[u8]) {
        let severity = if stream == Stream::Stderr { ERROR } else { INFO };
        let priority = self.layout.facility << 3 | severity;
        let Self { hostname, tag, pid, .. } = self;
        let stamp = &mut [0; Timestamp::MAX_LEN];
        // Writing to memory does not fail.
        let _ = match self.layout.format {
            Layout::Unix => write!(out, "<{priority}>{} {tag}[{pid}]: ", self.local(time, stamp)),
            Layout::Rfc3164 => write!(out, "<{priority}>{} {hostname} {tag}[{pid}]: ", self.local(time, stamp)),
            Layout::Rfc5424 => {
                write!(out, "<{priority}>1 {} {hostname} {tag} {pid} {tag} - ", seconds(time).format(stamp))
            }
            Layout::Rfc5424Micro => {
                write!(out, "<{priority}>1 {} {hostname} {tag} {pid} {tag} - ", time.format_micros(stamp))
            }
        };
        out.extend_from_slice(line);
        out.push(b'\n');
    }

    /// `Jan _2 15:04:05` of this host's time zone, which is what RFC 3164 asks for.
    fn local<'a>(&self, time: Timestamp, buffer: &'a mut [u8; Timestamp::MAX_LEN]) -> &'a str {
        let offset = jiff::Timestamp::from_nanosecond(i128::from(time.0))
            .map_or(0, |time| i64::from(self.zone.to_offset(time).seconds()));
        Timestamp(time.0.saturating_add(offset * 1_000_000_000)).format_stamp(buffer)
    }
}

fn seconds(time: Timestamp) -> Timestamp {
    Timestamp(time.0 - time.0.rem_euclid(1_000_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(format: Layout) -> String {
        encoded_as(format, false)
    }

    fn encoded_as(format: Layout, counted: bool) -> String {
        let layout = Syslog { facility: DAEMON, format, counted };
        let mut encoder = Encoder::new(layout, "box".to_owned(), "host".to_owned());
        encoder.pid = 7;
        encoder.zone = TimeZone::fixed(jiff::tz::offset(2));
        let mut out = Vec::new();
        encoder.encode(&mut out, Stream::Stdout, Timestamp(1_709_164_799_123_456_789), b"hello");
        encoder.encode(&mut out, Stream::Stderr, Timestamp(1_709_164_799_100_000_000), b"oh");
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn messages_are_dockers() {
        assert_eq!(encoded(Layout::Unix), "<30>Feb 29 01:59:59 box[7]: hello\n<27>Feb 29 01:59:59 box[7]: oh\n");
        assert!(encoded(Layout::Rfc3164).starts_with("<30>Feb 29 01:59:59 host box[7]: hello\n"));
        assert!(encoded(Layout::Rfc5424).starts_with("<30>1 2024-02-28T23:59:59Z host box 7 box - hello\n"));
        assert_eq!(
            encoded(Layout::Rfc5424Micro).lines().last().unwrap(),
            "<27>1 2024-02-28T23:59:59.100000Z host box 7 box - oh"
        );
        let counted = encoded_as(Layout::Rfc5424, true);
        let (length, message) = counted.split_once(' ').unwrap();
        assert_eq!(&message[length.parse().unwrap()..], "47 <27>1 2024-02-28T23:59:59Z host box 7 box - oh\n");
    }

    #[test]
    fn addresses_are_read_as_docker_reads_them() {
        let parse = |text| Named::parse(text, &Options::new());
        assert_eq!(parse("").unwrap(), Named::Host);
        assert_eq!(parse("tcp://h").unwrap(), Named::Tcp("h:514".to_owned()));
        assert_eq!(parse("udp://[::1]:6514").unwrap(), Named::Udp("[::1]:6514".to_owned()));
        assert_eq!(parse("udp://[::1]").unwrap(), Named::Udp("[::1]:514".to_owned()));
        let refused = |text| parse(text).unwrap_err().to_string();
        assert_eq!(refused("host:514"), "syslog-address should be in form proto://address, got host:514");
        assert_eq!(refused("http://h"), "unsupported scheme: 'http'");
        assert!(refused("unix:///nowhere").starts_with("stat /nowhere: "));
    }

    #[test]
    fn secrecy_is_as_the_options_say() {
        let parse = |text: &str, pairs: &[(&str, &str)]| {
            let options =
                pairs.iter().map(|(name, value)| (format!("syslog-tls-{name}"), (*value).to_owned())).collect();
            match Named::parse(text, &options) {
                Ok(Named::Tls(place, secrecy)) => Ok((place, secrecy)),
                Ok(other) => panic!("{other:?}"),
                Err(error) => Err(error.to_string()),
            }
        };
        let plain = parse("tcp+tls://logs.example", &[]).unwrap();
        assert_eq!(
            plain,
            ("logs.example:514".to_owned(), Secrecy { name: "logs.example".to_owned(), ..Secrecy::default() })
        );
        let (_, all) = parse(
            "tcp+tls://[::1]:6514",
            &[("ca-cert", "/ca"), ("cert", "/cert"), ("key", "/key"), ("skip-verify", "true")],
        )
        .unwrap();
        assert_eq!((all.name.as_str(), all.authority, all.any), ("::1", Some(PathBuf::from("/ca")), true));
        assert_eq!(all.identity, Some((PathBuf::from("/cert"), PathBuf::from("/key"))));
        assert!(!parse("tcp+tls://h", &[("skip-verify", "false")]).unwrap().1.any);
        assert!(parse("tcp+tls://h", &[("cert", "/cert")]).unwrap_err().contains("belong together"));
        assert!(parse("tcp+tls://h", &[("skip-verify", "so")]).unwrap_err().contains("invalid boolean"));
    }

    #[test]
    fn facilities_have_names_and_numbers() {
        assert_eq!([facility("").unwrap(), facility("local7").unwrap(), facility("16").unwrap()], [3, 23, 16]);
        assert!(facility("24").is_err() && facility("x").is_err());
        assert!(layout("rfc1").is_err());
    }
}
