//! Pulling images.

use std::sync::{Arc, Mutex, PoisonError};

use dhow_api::stream::Message;
use dhow_engine::Engine;
use dhow_errdefs::{Error, Result};
use dhow_image::{Cancelled, Credentials, LayerNews, PullEvent, PullOptions};
use dhow_oci::{Platform, Reference};
use tokio::sync::oneshot;

use super::image::reference;
use super::image_archive::line;
use crate::http::{Body, Call, PieceSender, Response, json_stream};
use crate::wire::image;

/// Everything about one request to pull.
struct Request {
    engine: Arc<Engine>,
    name: Reference,
    /// Every tag of the repository.
    all: bool,
    platform: Option<Platform>,
    credentials: Credentials,
}

/// Pulls, and tells how far it is. What goes wrong before anything was told is told with a status.
pub(super) async fn pull(call: Call, image: String, platform: Option<Platform>) -> Result<Response> {
    let tag = call.query.text("tag");
    let bare = Reference::parse(&image)?;
    let all = tag.is_none() && bare.tag().is_none() && bare.digest().is_none();
    let request = Request {
        engine: Arc::clone(&call.context.engine),
        name: if all { bare } else { pulled_name(&image, tag)? },
        all,
        platform,
        credentials: call.credentials()?,
    };
    let (pieces, body) = Body::pieces();
    let (began, beginning) = oneshot::channel();
    tokio::task::spawn_blocking(move || Teller::new(PieceSender::new(pieces), began).tell(&request));
    match beginning.await {
        Ok(Err(error)) => Err(error),
        Ok(Ok(())) => Ok(json_stream(body)),
        Err(cause) => Err(Error::internal("pull an image").with_cause(cause)),
    }
}

fn pulled_name(image: &str, tag: Option<&str>) -> Result<Reference> {
    match tag {
        Some(digest) if digest.contains(':') => Reference::parse(&format!("{image}@{digest}")),
        tag => reference(image, tag),
    }
}

/// Tells a client about a pull, as long as it listens.
struct Teller {
    pieces: PieceSender,
    /// Who waits for the first word, or for the failure that comes in its place.
    began: Mutex<Option<oneshot::Sender<Result<()>>>>,
}

impl Teller {
    fn new(pieces: PieceSender, began: oneshot::Sender<Result<()>>) -> Self {
        Self { pieces, began: Mutex::new(Some(began)) }
    }

    fn tell(&self, request: &Request) {
        if let Err(error) = self.all(request) {
            match self.beginning() {
                Some(began) => drop(began.send(Err(error))),
                None => self.say(&image::failure(&error)),
            }
        }
    }

    fn all(&self, request: &Request) -> Result<()> {
        if !request.all {
            return self.one(request, &request.name);
        }
        let names = request.engine.remote_tags(&request.name, &request.credentials)?;
        names.iter().try_for_each(|name| self.one(request, name))
    }

    fn one(&self, request: &Request, name: &Reference) -> Result<()> {
        let gone = || self.pieces.is_closed();
        let options = PullOptions {
            platform: request.platform.clone(),
            credentials: request.credentials.clone(),
            cancelled: Cancelled::when(&gone),
        };
        let pulled = request.engine.pull(name, &options, &|event| self.event(&event))?;
        self.say(&image::pulled(&pulled));
        Ok(())
    }

    /// How far a layer is need not be told to a client that is slow to listen; everything else is.
    fn event(&self, event: &PullEvent) {
        let message = image::pulling(event);
        if matches!(event, PullEvent::Layer { news: LayerNews::Downloading(..), .. }) {
            self.pieces.offer(line(&message));
        } else {
            self.say(&message);
        }
    }

    fn say(&self, message: &Message) {
        if let Some(began) = self.beginning() {
            drop(began.send(Ok(())));
        }
        // A client that has gone is noticed by the pull; one that has stopped reading must not hold others up, who may
        // wait for the same layer.
        drop(self.pieces.send(line(message)));
    }

    fn beginning(&self) -> Option<oneshot::Sender<Result<()>>> {
        self.began.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_or_a_digest_comes_apart_or_in_the_name() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let familiar = |image, tag| pulled_name(image, tag).map(|name| name.familiar());
        assert_eq!(familiar("busybox", Some("1")).expect("good"), "busybox:1");
        assert_eq!(familiar("busybox", Some(&digest)).expect("good"), format!("busybox@{digest}"));
        assert_eq!(familiar("busybox:2", None).expect("good"), "busybox:2");
    }
}
