//! What happens, as it happens.

use std::time::Duration;

use bytes::Bytes;
use dhow_engine::{Event, Filters};
use dhow_errdefs::Result;
use jiff::Timestamp;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;

use super::route;
use crate::http::{Body, Call, Response, Route, json_stream};
use crate::wire::{event, time};

pub(crate) const ROUTES: &[Route] = &[route!(GET "/events" => events)];

async fn events(call: Call) -> Result<Response> {
    let filters = call.filters()?;
    event::check(&filters)?;
    let since = time::from_query(call.query.get("since"))?;
    let until = time::from_query(call.query.get("until"))?;
    let events = call.engine().events();
    let (pieces, body) = Body::pieces();
    tokio::spawn(async move {
        let left = until.map_or(Duration::MAX, |until| remaining(until, Timestamp::now()));
        let forwarded = forward(events, &pieces, &filters, since);
        tokio::select! {
            () = forwarded => {}
            () = pieces.closed() => {}
            () = tokio::time::sleep(left) => {}
        }
    });
    Ok(json_stream(body))
}

fn remaining(until: Timestamp, now: Timestamp) -> Duration {
    // In the past: no events are kept, so the answer is an empty stream.
    Duration::try_from(until.duration_since(now)).unwrap_or_default()
}

async fn forward(
    mut events: Receiver<Event>,
    pieces: &mpsc::Sender<Result<Bytes>>,
    filters: &Filters,
    since: Option<Timestamp>,
) {
    loop {
        match events.recv().await {
            Ok(event) if since.is_some_and(|since| event.time < since) => {}
            Ok(event) => {
                if let Some(line) = line(event, filters)
                    && pieces.send(Ok(line)).await.is_err()
                {
                    return;
                }
            }
            Err(RecvError::Lagged(lost)) => tracing::warn!("a slow listener lost {lost} events"),
            Err(RecvError::Closed) => return,
        }
    }
}

fn line(happened: Event, filters: &Filters) -> Option<Bytes> {
    let wire = event::event(happened);
    if !event::passes(&wire, filters) {
        return None;
    }
    let mut text = serde_json::to_vec(&wire).expect("strings and numbers are JSON");
    text.push(b'\n');
    Some(text.into())
}
