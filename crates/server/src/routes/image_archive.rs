//! Images in and out: archives.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use dhow_api::stream::Message;
use dhow_engine::Engine;
use dhow_errdefs::{Class, Error, Result};
use dhow_image::{Images, ImportOptions, LoadEvent, LoadOptions};
use dhow_oci::Platform;
use hyper::header::{CONTENT_TYPE, HeaderValue};

use super::image::{blocking, reference};
use super::image_pull;
use super::route;
use crate::http::{Body, Call, ChunkWriter, PieceSender, Response, Route, Upload, json, json_stream};
use crate::wire;

pub(crate) const ROUTES: &[Route] = &[
    route!(POST "/images/create" => create),
    route!(POST "/images/load" => load),
    route!(GET "/images/get" => save_named),
    route!(GET "/images/{name..}/get" => save_one),
];

async fn create(call: Call) -> Result<Response> {
    match (call.query.text("fromImage"), call.query.text("fromSrc")) {
        (Some(image), _) => {
            let (image, platform) = (image.to_owned(), platform(&call)?);
            image_pull::pull(call, image, platform).await
        }
        (None, Some("-")) => import(call).await,
        (None, Some(address)) => {
            let address = address.to_owned();
            import_from(call, address).await
        }
        (None, None) => Err(Error::invalid("either fromImage or fromSrc is needed")),
    }
}

async fn import(call: Call) -> Result<Response> {
    let options = import_options(&call, "")?;
    let engine = Arc::clone(&call.context.engine);
    let turn = call.archive_turn().await;
    let upload = call.upload();
    let imported = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        engine.import_image(upload, &options)
    });
    let imported = imported.await;
    let id = imported.map_err(|cause| Error::internal("import an image").with_cause(cause))?;
    json(&status(id.map_err(of_the_upload)?.to_string()))
}

/// From a web server. What goes wrong before its first byte has a status; what comes later is said in the stream.
async fn import_from(call: Call, address: String) -> Result<Response> {
    let options = import_options(&call, &address)?;
    let engine = Arc::clone(&call.context.engine);
    let turn = call.archive_turn().await;
    let download = {
        let engine = Arc::clone(&engine);
        tokio::task::spawn_blocking(move || engine.registries().download(&address)).await
    };
    let download = download.map_err(|cause| Error::internal("fetch a file").with_cause(cause))??;
    let (pieces, body) = Body::pieces();
    tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let pieces = PieceSender::new(pieces);
        // A client that has gone does not stop it: the image has a name.
        let _ = pieces.send(line(&status(format!("Downloading from {}", download.url()))));
        let last = match engine.import_image(download, &options) {
            Ok(id) => status(id.to_string()),
            Err(error) => wire::image::failure(&error),
        };
        pieces.end(Ok(line(&last)));
    });
    Ok(json_stream(body))
}

fn import_options(call: &Call, source: &str) -> Result<ImportOptions> {
    Ok(ImportOptions {
        reference: call
            .query
            .text("repo")
            .map(|repository| reference(repository, call.query.text("tag")))
            .transpose()?,
        changes: call.query.all("changes").map(str::to_owned).collect(),
        message: call.query.text("message").unwrap_or_default().to_owned(),
        platform: platform(call)?,
        source: source.to_owned(),
    })
}

/// Damage in what a client has sent is the client's, not the engine's.
fn of_the_upload(error: Error) -> Error {
    if error.class() == Class::DataLoss { error.with_class(Class::InvalidArgument) } else { error }
}

/// `os/arch[/variant]`, or the JSON of a platform which clients send from 1.48 on.
pub(super) fn platform(call: &Call) -> Result<Option<Platform>> {
    call.query.text("platform").map(platform_of).transpose()
}

/// The same of a text.
pub(super) fn platform_of(text: &str) -> Result<Platform> {
    if text.starts_with('{') {
        return serde_json::from_str(text).map_err(|cause| Error::invalid("invalid platform").with_cause(cause));
    }
    text.parse()
}

fn status(text: String) -> Message {
    Message { status: text, ..Message::default() }
}

/// As dockerd does, a load that fails says so in the stream, whatever happened before, and the answer begins with its first
/// word: clients that listen no further know that a quiet load is over.
async fn load(call: Call) -> Result<Response> {
    let options = LoadOptions { platform: platform(&call)? };
    let quiet = call.query.flag("quiet");
    let engine = Arc::clone(&call.context.engine);
    let turn = call.archive_turn().await;
    let upload = call.upload();
    let (pieces, body) = Body::pieces();
    tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let pieces = PieceSender::new(pieces);
        let listens = AtomicBool::new(true);
        let progress = |event: LoadEvent| {
            // A client that has gone, or does not read, does not stop a load half way.
            if !(quiet && matches!(event, LoadEvent::Layer { .. })) && listens.load(Ordering::Relaxed) {
                let said = pieces.send(line(&wire::image::loading(&event)));
                listens.store(said.is_ok(), Ordering::Relaxed);
            }
        };
        if let Err(error) = load_all(&engine, upload, &options, &progress) {
            pieces.end(Ok(line(&wire::image::failure(&error))));
        }
    });
    Ok(json_stream(body.begun().await))
}

fn load_all(
    engine: &Engine,
    mut upload: Upload,
    options: &LoadOptions,
    progress: &(dyn Fn(LoadEvent) + Sync),
) -> Result<()> {
    engine.load_images(&mut upload, options, progress)?;
    // Archives are padded: what is left is read, so that the client can finish sending.
    drop(io::copy(&mut upload, &mut io::sink()));
    Ok(())
}

pub(super) fn line(message: &Message) -> Bytes {
    let mut text = serde_json::to_vec(message).expect("strings and numbers are JSON");
    text.extend_from_slice(b"\r\n");
    text.into()
}

async fn save_one(call: Call) -> Result<Response> {
    let names = vec![call.name.clone()];
    save(call, names).await
}

async fn save_named(call: Call) -> Result<Response> {
    let names: Vec<String> = call.query.all("names").map(str::to_owned).collect();
    save(call, names).await
}

async fn save(call: Call, names: Vec<String>) -> Result<Response> {
    if names.is_empty() {
        return Err(Error::invalid("no image was named"));
    }
    // What is not there is said with a status, which is possible only before the first byte.
    let (wanted, platform) = (names.clone(), platform(&call)?);
    let check = move |images: &Images| {
        images.can_save(&wanted)?;
        // Each image is for one platform here: it is that, or there is nothing to save.
        platform.iter().try_for_each(|platform| images.all_are_for(&wanted, platform))
    };
    blocking(&call, check).await?;
    let turn = call.archive_turn().await;
    let (pieces, body) = Body::pieces();
    let engine = Arc::clone(&call.context.engine);
    tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let mut writer = ChunkWriter::new(pieces);
        let saved = engine.save_images(&names, &mut writer);
        writer.finish(saved);
    });
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-tar"));
    Ok(response)
}
