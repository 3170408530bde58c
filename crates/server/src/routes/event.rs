//! What happens, as it happens.

use std::time::Duration;

use bytes::Bytes;
use dhow_engine::{Event, Filters, Listener};
use dhow_errdefs::{Error, Result};
use jiff::Timestamp;
use tokio::sync::mpsc;

use super::route;
use crate::http::{Body, Call, Response, Route, json_stream};
use crate::wire::{event, time};

pub(crate) const ROUTES: &[Route] = &[route!(GET "/events" => events)];

async fn events(call: Call) -> Result<Response> {
    let filters = call.filters()?;
    let (since, until) = (moment(call.query.get("since"))?, moment(call.query.get("until"))?);
    if let (Some(since), Some(until)) = (since, until)
        && until < since
    {
        let [since, until] = ["since", "until"].map(|name| call.query.get(name).unwrap_or_default());
        return Err(Error::invalid(format!("`since` time ({since}) cannot be after `until` time ({until})")));
    }
    // As in Docker, who names only the end wants everything before it.
    let listener = call.engine().events(since.or(until.map(|_| Timestamp::UNIX_EPOCH)));
    let (pieces, body) = Body::pieces();
    tokio::spawn(async move {
        tokio::select! {
            () = forward(listener, &pieces, &filters, until) => {}
            () = pieces.closed() => {}
        }
    });
    Ok(json_stream(body))
}

/// A moment of the query. 0 is one, the beginning of 1970, and not no moment as it is for logs.
fn moment(value: Option<&str>) -> Result<Option<Timestamp>> {
    if value == Some("0") { Ok(Some(Timestamp::UNIX_EPOCH)) } else { time::from_query(value) }
}

async fn forward(
    mut events: Listener,
    pieces: &mpsc::Sender<Result<Bytes>>,
    filters: &Filters,
    until: Option<Timestamp>,
) {
    // As in Docker, what is kept is told whole to who wants the end in 1970.
    let last = until.filter(|until| *until > Timestamp::UNIX_EPOCH);
    while let Some(event) = events.recorded().await {
        if last.is_none_or(|last| event.time <= last) && !send(&event, pieces, filters).await {
            return;
        }
    }
    let end = tokio::time::sleep(until.map_or(Duration::MAX, |until| remaining(until, Timestamp::now())));
    tokio::pin!(end);
    loop {
        let event = tokio::select! {
            biased;
            event = events.next() => event,
            () = &mut end => return,
        };
        if until.is_some_and(|until| event.time > until) || !send(&event, pieces, filters).await {
            return;
        }
    }
}

fn remaining(until: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(until.duration_since(now)).unwrap_or_default()
}

/// Sends an event that passes; `false` when the client has gone. Waits while it is slow: the listener waits, too.
async fn send(event: &Event, pieces: &mpsc::Sender<Result<Bytes>>, filters: &Filters) -> bool {
    match line(event, filters) {
        Some(line) => pieces.send(Ok(line)).await.is_ok(),
        None => true,
    }
}

fn line(happened: &Event, filters: &Filters) -> Option<Bytes> {
    let wire = event::event(happened);
    if !event::passes(&wire, filters) {
        return None;
    }
    let mut text = serde_json::to_vec(&wire).expect("strings and numbers are JSON");
    text.push(b'\n');
    Some(text.into())
}
