//! What containers wrote.

use bytes::{BufMut, Bytes, BytesMut};
use dhow_api::stream::Channel;
use dhow_engine::{LogEntry, LogOptions};
use dhow_errdefs::{Error, Result};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use tokio::sync::mpsc;

use super::container_attach::content_type;
use super::route;
use crate::http::{Body, Call, Response, Route};
use crate::wire::time;

pub(crate) const ROUTES: &[Route] = &[route!(GET "/containers/{id..}/logs" => logs)];

/// Entries that go out together when many are ready.
const BATCH: usize = 256;

async fn logs(call: Call) -> Result<Response> {
    let options = options(&call)?;
    if !options.stdout && !options.stderr {
        return Err(Error::invalid("Bad parameters: you must choose at least one stream"));
    }
    let terminal = call.engine().inspect(&call.name, false).await?.spec.tty;
    let shape = Shape { multiplexed: !terminal, timestamps: call.query.flag("timestamps"), details: options.details };
    let entries = call.engine().logs(&call.name, options).await?;
    let (pieces, body) = Body::pieces();
    tokio::spawn(forward(entries, pieces, shape));
    let mut response = Response::new(body);
    let kind = HeaderValue::from_static(content_type(call.version, terminal));
    response.headers_mut().insert(CONTENT_TYPE, kind);
    Ok(response)
}

fn options(call: &Call) -> Result<LogOptions> {
    let query = &call.query;
    Ok(LogOptions {
        stdout: query.flag("stdout"),
        stderr: query.flag("stderr"),
        follow: query.flag("follow"),
        // Docker takes everything that is no number, "all" above all, for all lines.
        tail: query.text("tail").and_then(|lines| lines.parse().ok()),
        since: time::from_query(query.get("since"))?,
        until: time::from_query(query.get("until"))?,
        details: query.flag("details"),
    })
}

/// How lines are written.
#[derive(Debug, Clone, Copy)]
struct Shape {
    multiplexed: bool,
    timestamps: bool,
    details: bool,
}

/// Sends entries as they come, many in a piece when they come fast, and stops when the client has gone.
async fn forward(mut entries: mpsc::Receiver<Result<LogEntry>>, pieces: mpsc::Sender<Result<Bytes>>, shape: Shape) {
    let mut batch = Vec::with_capacity(BATCH);
    let mut piece = BytesMut::new();
    loop {
        let count = tokio::select! {
            count = entries.recv_many(&mut batch, BATCH) => count,
            () = pieces.closed() => return,
        };
        if count == 0 {
            return;
        }
        let mut failed = None;
        for entry in batch.drain(..) {
            match entry {
                Ok(entry) => shape.write(&entry, &mut piece),
                Err(error) => failed = Some(error),
            }
        }
        if !piece.is_empty() && pieces.send(Ok(piece.split().freeze())).await.is_err() {
            return;
        }
        if let Some(error) = failed {
            tracing::warn!("read a log: {error}");
            drop(pieces.send(Err(error)).await);
            return;
        }
    }
}

impl Shape {
    fn write(self, entry: &LogEntry, out: &mut BytesMut) {
        let start = out.len();
        if self.multiplexed {
            out.put_bytes(0, 8);
        }
        if self.timestamps {
            out.extend_from_slice(time::fixed_nanos(entry.time).as_bytes());
            out.put_u8(b' ');
        }
        if self.details {
            out.extend_from_slice(entry.details.as_deref().unwrap_or_default().as_bytes());
            out.put_u8(b' ');
        }
        out.extend_from_slice(&entry.line);
        if self.multiplexed {
            let channel = if entry.stderr { Channel::Stderr } else { Channel::Stdout };
            let length = u32::try_from(out.len() - start - 8).expect("a log entry is far below 4 GiB");
            out[start..start + 8].copy_from_slice(&channel.header(length));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(shape: Shape) -> Vec<u8> {
        let time = "2026-11-23T21:04:13.5Z".parse().expect("a time");
        let entry = LogEntry { stderr: true, time, line: b"x\n".to_vec(), details: Some("a=b".into()) };
        let mut out = BytesMut::new();
        shape.write(&entry, &mut out);
        out.to_vec()
    }

    #[test]
    fn a_terminal_gives_bare_lines() {
        assert_eq!(written(Shape { multiplexed: false, timestamps: false, details: false }), b"x\n");
    }

    #[test]
    fn frames_count_everything_in_them() {
        let out = written(Shape { multiplexed: true, timestamps: true, details: true });
        assert_eq!(out[..8], Channel::Stderr.header(u32::try_from(out.len()).expect("short") - 8));
        assert_eq!(&out[8..], b"2026-11-23T21:04:13.500000000Z a=b x\n");
    }

    #[tokio::test]
    async fn a_failure_ends_the_stream() {
        let (sender, entries) = mpsc::channel(1);
        let (pieces, mut received) = mpsc::channel(4);
        sender.send(Err(Error::data_loss("bad record"))).await.expect("room");
        forward(entries, pieces, Shape { multiplexed: true, timestamps: false, details: false }).await;
        assert!(received.recv().await.expect("one piece").is_err());
        assert!(received.recv().await.is_none());
    }
}
