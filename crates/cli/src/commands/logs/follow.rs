//! `logs --follow`, which outlives the engine: the next one is asked for what came since.
//!
//! To know where it is, the time of each line is asked for and, unless somebody wants to see it, taken off again.

use std::io::{self, Write, stderr, stdout};
use std::time::SystemTime;

use dhow_api::stream::Channel;
use dhow_client::{Client, Logs};
use dhow_errdefs::Class;

use crate::failure::{Failure, Outcome};
use crate::format::timestamp;
use crate::session::Session;

/// Bytes of a frame's header.
const HEADER: usize = 8;
/// Characters of a time in a log: `2026-11-23T21:04:13.500000000Z`, and a blank.
const TIME: usize = 30;

/// Prints a log until the container ends.
pub(super) async fn follow(session: &Session, name: &str, logs: Logs) -> Outcome {
    let mut client = session.client().await?;
    let container = client.container_inspect(name).await?;
    let mut printer: Box<dyn Printer> = match container.config.tty {
        true => Box::new(Terminal::default()),
        false => Box::new(Lines { times: logs.timestamps, ..Lines::default() }),
    };
    loop {
        match print(client, &container.id, &printer.rest(&logs), printer.as_mut()).await {
            Err(Failure::Error(gone)) if gone.class() == Class::Unavailable => {
                client = session.client_again().await.map_err(|_| gone)?;
            }
            outcome => return outcome,
        }
    }
}

async fn print(client: &Client, id: &str, logs: &Logs, printer: &mut dyn Printer) -> Outcome {
    let mut stream = client.container_logs(id, logs).await?;
    let (mut out, mut err) = (stdout().lock(), stderr().lock());
    while let Some(piece) = stream.next().await? {
        printer.feed(&piece, &mut out, &mut err)?;
        out.flush()?;
    }
    Ok(0)
}

/// What knows how far it has got.
trait Printer {
    fn feed(&mut self, piece: &[u8], out: &mut dyn Write, err: &mut dyn Write) -> io::Result<()>;

    /// What is to be asked for, after what was printed already. A stream that broke has no end: what was not printed of it
    /// comes again.
    fn rest(&mut self, logs: &Logs) -> Logs;
}

fn after(logs: &Logs, since: String) -> Logs {
    Logs { since, tail: "all".to_owned(), ..logs.clone() }
}

/// The log of a terminal has no marks between its lines; what counts is when the last piece of it came.
#[derive(Default)]
struct Terminal {
    last: Option<SystemTime>,
}

impl Printer for Terminal {
    fn feed(&mut self, piece: &[u8], out: &mut dyn Write, _: &mut dyn Write) -> io::Result<()> {
        self.last = Some(SystemTime::now());
        out.write_all(piece)
    }

    fn rest(&mut self, logs: &Logs) -> Logs {
        let passed = self.last.and_then(|last| last.duration_since(SystemTime::UNIX_EPOCH).ok());
        passed.map_or_else(
            || logs.clone(),
            |passed| after(logs, format!("{}.{:09}", passed.as_secs(), passed.subsec_nanos())),
        )
    }
}

/// A log in frames, one for each line, each with its time in front.
#[derive(Default)]
struct Lines {
    /// Whether the times are to be seen.
    times: bool,
    /// What has come of a frame.
    buffer: Vec<u8>,
    /// The time of the last line that was printed, and how many of that time there were.
    last: Vec<u8>,
    count: usize,
    /// How many lines of the last time come a second time.
    again: usize,
}

impl Lines {
    /// What is to be seen of a line; nothing if it was seen before.
    fn fresh<'l>(&mut self, line: &'l [u8]) -> &'l [u8] {
        let time = line.get(..TIME).filter(|time| line.get(TIME) == Some(&b' ') && time.ends_with(b"Z"));
        let Some(time) = time else { return line };
        if time == self.last && self.again > 0 {
            self.again -= 1;
            return &[];
        }
        self.count = if time == self.last { self.count + 1 } else { 1 };
        self.again = 0;
        time.clone_into(&mut self.last);
        if self.times { line } else { &line[TIME + 1..] }
    }
}

/// Writes what came on a channel.
fn emit(channel: Channel, text: &[u8], out: &mut dyn Write, err: &mut dyn Write) -> io::Result<()> {
    match channel {
        _ if text.is_empty() => Ok(()),
        Channel::Stderr => err.write_all(text),
        Channel::Stdout | Channel::Stdin => out.write_all(text),
        Channel::System => {
            Err(io::Error::other(format!("error from daemon in stream: {}", String::from_utf8_lossy(text))))
        }
    }
}

impl Printer for Lines {
    fn feed(&mut self, piece: &[u8], out: &mut dyn Write, err: &mut dyn Write) -> io::Result<()> {
        self.buffer.extend_from_slice(piece);
        let buffer = std::mem::take(&mut self.buffer);
        let mut rest = buffer.as_slice();
        // Lines of one channel go out together: each write is a call of the kernel.
        let (mut together, mut of) = (Vec::new(), Channel::Stdout);
        while let Some((header, body)) = rest.split_first_chunk::<HEADER>() {
            let unknown = || io::Error::other(format!("unrecognized stream: {}", header[0]));
            let (channel, length) = Channel::from_header(*header).ok_or_else(unknown)?;
            let Some((line, behind)) = body.split_at_checked(usize::try_from(length).unwrap_or(usize::MAX)) else {
                break;
            };
            if channel != of {
                emit(of, &together, out, err)?;
                together.clear();
                of = channel;
            }
            together.extend_from_slice(self.fresh(line));
            rest = behind;
        }
        emit(of, &together, out, err)?;
        rest.clone_into(&mut self.buffer);
        Ok(())
    }

    fn rest(&mut self, logs: &Logs) -> Logs {
        self.buffer.clear();
        self.again = self.count;
        let logs = Logs { timestamps: true, ..logs.clone() };
        match timestamp(&String::from_utf8_lossy(&self.last)) {
            Ok(since) if !since.is_empty() => after(&logs, since),
            _ => logs,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(text: &str) -> Vec<u8> {
        let mut frame = Channel::Stdout.header(u32::try_from(text.len()).unwrap()).to_vec();
        frame.extend_from_slice(text.as_bytes());
        frame
    }

    fn fed(lines: &mut Lines, wire: &[u8]) -> String {
        let mut out = Vec::new();
        for piece in wire.chunks(7) {
            lines.feed(piece, &mut out, &mut Vec::new()).unwrap();
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn nothing_is_lost_and_nothing_comes_twice() {
        let [first, second] = ["2026-11-23T21:04:13.500000000Z", "2026-11-23T21:04:13.500000001Z"];
        let [one, two] = [format!("{first} one\n"), format!("{first} two\n")];
        let (three, four) = (format!("{first} three\n"), format!("{second} four\n"));
        let mut lines = Lines::default();
        let cut = &frame(&three)[..20];
        assert_eq!(fed(&mut lines, &[&frame(&one)[..], &frame(&two), cut].concat()), "one\ntwo\n");
        let asked = Logs { tail: "5".into(), follow: true, ..Logs::default() };
        let rest = lines.rest(&asked);
        assert_eq!((rest.since.as_str(), rest.tail.as_str(), rest.timestamps), ("1795467853.500000000", "all", true));
        let again = [frame(&one), frame(&two), frame(&three), frame(&four)].concat();
        assert_eq!(fed(&mut lines, &again), "three\nfour\n");
        lines.times = true;
        lines.rest(&asked);
        assert_eq!(fed(&mut lines, &[frame(&four), frame(&four)].concat()), four);
    }

    #[test]
    fn before_the_first_line_all_is_asked_for_again() {
        let asked = Logs { tail: "5".into(), since: "7".into(), ..Logs::default() };
        let rest = Lines::default().rest(&asked);
        assert_eq!((rest.since.as_str(), rest.tail.as_str()), ("7", "5"));
        let rest = Terminal::default().rest(&asked);
        assert_eq!((rest.since.as_str(), rest.tail.as_str(), rest.timestamps), ("7", "5", false));
    }
}
