//! What containers use.

use bytes::Bytes;
use dhow_engine::{Reading, StatsListener};
use dhow_errdefs::Result;
use tokio::sync::mpsc;

use super::route;
use crate::http::{Body, Call, Response, Route, json, json_stream};
use crate::wire::stats;

pub(crate) const ROUTES: &[Route] = &[route!(GET "/containers/{id..}/stats" => stats)];

async fn stats(call: Call) -> Result<Response> {
    // Whoever does not say otherwise gets a stream.
    let stream = call.query.get("stream").is_none() || call.query.flag("stream");
    if !stream && call.query.flag("one-shot") {
        return json(&stats::stats(&call.engine().stats_now(&call.name).await?));
    }
    let mut listener = call.engine().stats(&call.name).await?;
    if stream {
        let (pieces, body) = Body::pieces();
        tokio::spawn(async move { forward(listener, &pieces).await });
        return Ok(json_stream(body));
    }
    let first = listener.next().await.unwrap_or_default();
    if first.sample.is_none() {
        return json(&stats::stats(&first));
    }
    // A share of CPU needs two readings.
    json(&stats::stats(&listener.next().await.unwrap_or(first)))
}

async fn forward(mut listener: StatsListener, pieces: &mpsc::Sender<Result<Bytes>>) {
    loop {
        let reading = tokio::select! {
            reading = listener.next() => reading,
            () = pieces.closed() => None,
        };
        let Some(reading) = reading else { return };
        if pieces.send(Ok(line(&reading))).await.is_err() {
            return;
        }
    }
}

fn line(reading: &Reading) -> Bytes {
    let mut text = serde_json::to_vec(&stats::stats(reading)).expect("strings and numbers are JSON");
    text.push(b'\n');
    text.into()
}
