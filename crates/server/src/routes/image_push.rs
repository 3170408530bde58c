//! Pushing images.

use std::sync::Arc;

use dhow_api::stream::Message;
use dhow_engine::Engine;
use dhow_errdefs::Result;
use dhow_image::{Cancelled, PushEvent, PushNews, PushOptions};
use dhow_oci::Reference;

use super::image_archive::{line, platform};
use super::route;
use crate::http::{Body, Call, PieceSender, Response, Route, json_stream};
use crate::wire::image;

pub(crate) const ROUTES: &[Route] = &[route!(POST "/images/{name..}/push" => push)];

/// Pushes one tag, or all of a repository, and tells how far it is. As dockerd does, a push that fails says so in the
/// stream.
async fn push(call: Call) -> Result<Response> {
    let bare = Reference::parse(&call.name)?;
    let name = match call.query.text("tag") {
        Some(tag) => bare.with_tag(tag)?,
        None => bare,
    };
    let (platform, credentials) = (platform(&call)?, call.credentials()?);
    // Beyond Docker's API: how to compress what lies here uncompressed.
    let compression = call.query.text("compression").map_or_else(|| Ok(Default::default()), str::parse)?;
    let engine = Arc::clone(&call.context.engine);
    let (pieces, body) = Body::pieces();
    tokio::task::spawn_blocking(move || {
        let teller = Teller { pieces: PieceSender::new(pieces) };
        let gone = || teller.pieces.is_closed();
        let options = PushOptions { platform, compression, credentials, cancelled: Cancelled::when(&gone) };
        teller.say(&image::push_begins(&name));
        if let Err(error) = teller.push(&engine, &name, &options) {
            teller.say(&image::failure(&error));
        }
    });
    Ok(json_stream(body))
}

/// Tells a client about a push, as long as it listens.
struct Teller {
    pieces: PieceSender,
}

impl Teller {
    fn push(&self, engine: &Engine, name: &Reference, options: &PushOptions<'_>) -> Result<()> {
        let names = engine.images().to_push(name)?;
        names.iter().try_for_each(|name| engine.push(name, options, &|event| self.event(&event)))
    }

    /// How far a layer is need not be told to a client that is slow to listen; everything else is.
    fn event(&self, event: &PushEvent) {
        for message in image::pushing(event) {
            if matches!(event, PushEvent::Layer { news: PushNews::Pushing(..), .. }) {
                self.pieces.offer(line(&message));
            } else {
                self.say(&message);
            }
        }
    }

    fn say(&self, message: &Message) {
        // A client that has gone is noticed by the push; one that has stopped reading must not hold others up, who may
        // wait for the same layer.
        drop(self.pieces.send(line(message)));
    }
}
