//! Images, without their archives.

use std::sync::Arc;

use dhow_api::image::{Inspect, PruneResponse, Summary};
use dhow_engine::Engine;
use dhow_errdefs::{Error, Result};
use dhow_image::{Filters, Images, RemoveOptions};
use dhow_oci::Reference;
use hyper::StatusCode;

use super::image_archive::{platform, platform_of};
use super::{route, system};
use crate::http::{Call, Response, Route, json, status_only};
use crate::wire::{self, image};

pub(crate) const ROUTES: &[Route] = &[
    route!(GET "/images/json" => list),
    route!(GET "/images/{name..}/json" => inspect),
    route!(GET "/images/{name..}/history" => history),
    route!(POST "/images/{name..}/tag" => tag),
    route!(DELETE "/images/{name..}" => remove),
    route!(POST "/images/prune" => prune),
    route!(POST "/system/check" => check),
];

async fn list(call: Call) -> Result<Response> {
    let mut filters = call.filters()?;
    // How clients before 1.25 filtered by name.
    if let Some(name) = call.query.text("filter") {
        filters.entry("reference".to_owned()).or_default().push(name.to_owned());
    }
    let (count, with_manifests) = (call.query.flag("shared-size"), call.query.flag("manifests"));
    let all = call.query.flag("all");
    let read = move |images: &Images| {
        let sizes = if count { Some(images.shared_bytes()?) } else { None };
        let list = images.list(&Filters(filters), all)?;
        let manifests = |summary: &dhow_image::Summary| images.manifests_of(&summary.id);
        let manifests = if with_manifests { list.iter().map(manifests).collect::<Result<_>>()? } else { Vec::new() };
        Ok((list, sizes, manifests))
    };
    let (images, sizes, manifests) = blocking(&call, read).await?;
    let mut manifests = manifests.into_iter();
    let summary = |summary: dhow_image::Summary| {
        let shared = sizes.as_ref().map_or(-1, |sizes| system::shared(&summary.id, sizes));
        let manifests = manifests.next().map(image::manifests);
        Summary { shared_size: shared, manifests, ..image::summary(summary, call.version) }
    };
    json(&images.into_iter().map(summary).collect::<Vec<_>>())
}

async fn inspect(call: Call) -> Result<Response> {
    let (name, platform) = (call.name.clone(), platform(&call)?);
    let with_manifests = call.query.flag("manifests");
    if with_manifests && platform.is_some() {
        return Err(Error::invalid("conflicting options: manifests and platform options cannot both be set"));
    }
    let read = move |images: &Images| {
        let record = images.resolve_for(&name, platform.as_ref())?;
        let manifests = if with_manifests { Some(images.manifests(&record)?) } else { None };
        Ok((images.inspect(&name)?, manifests))
    };
    let (details, manifests) = blocking(&call, read).await?;
    json(&Inspect { manifests: manifests.map(image::manifests), ..image::inspect(&details, call.version) })
}

async fn history(call: Call) -> Result<Response> {
    let (name, platform) = (call.name.clone(), platform(&call)?);
    let read = move |images: &Images| {
        images.resolve_for(&name, platform.as_ref())?;
        images.history(&name)
    };
    let steps = blocking(&call, read).await?;
    json(&steps.into_iter().map(image::history).collect::<Vec<_>>())
}

async fn tag(call: Call) -> Result<Response> {
    let repository = call.query.text("repo").ok_or_else(|| Error::invalid("invalid reference format"))?;
    let target = reference(repository, call.query.text("tag"))?;
    let source = call.name.clone();
    engine_blocking(&call, move |engine| engine.tag_image(&source, &target)).await?;
    Ok(status_only(StatusCode::CREATED))
}

/// A name from the two parameters in which clients send it. A tag in the name itself counts if there is no other.
pub(super) fn reference(repository: &str, tag: Option<&str>) -> Result<Reference> {
    let name = Reference::parse(repository)?;
    match tag {
        Some(tag) => name.with_tag(tag),
        None => Ok(name.with_default_tag()),
    }
}

async fn remove(call: Call) -> Result<Response> {
    if call.name.trim().is_empty() {
        return Err(Error::invalid("image name cannot be blank"));
    }
    let (name, options) =
        (call.name.clone(), RemoveOptions { force: call.query.flag("force"), no_prune: call.query.flag("noprune") });
    let platforms = call.query.all("platforms").map(platform_of).collect::<Result<Vec<_>>>()?;
    let remove = move |engine: &Engine| {
        // Each image is for one platform here: it is that, or there is nothing to remove.
        platforms.iter().try_for_each(|platform| engine.images().resolve_for(&name, Some(platform)).map(drop))?;
        engine.remove_image(&name, options)
    };
    let removed = engine_blocking(&call, remove).await?;
    json(&removed.into_iter().map(image::removed).collect::<Vec<_>>())
}

async fn prune(call: Call) -> Result<Response> {
    let filters = Filters(call.filters()?);
    let pruned = engine_blocking(&call, move |engine| engine.prune_images(&filters)).await?;
    let deleted = pruned.removed.into_iter().map(image::removed).collect();
    json(&PruneResponse { images_deleted: wire::null_if_empty(deleted), space_reclaimed: pruned.reclaimed })
}

/// Beyond Docker's API: whether everything that is recorded of images is on the disk and whole.
async fn check(call: Call) -> Result<Response> {
    let deep = call.query.flag("deep");
    let repair = call.query.flag("repair").then(|| call.credentials_by_registry()).transpose()?;
    let checked = engine_blocking(&call, move |engine| engine.check_images(deep, repair.as_ref())).await?;
    json(&image::checked(checked))
}

/// Does something with the images on a thread that may wait for the disk.
pub(super) async fn blocking<T: Send + 'static>(
    call: &Call,
    work: impl FnOnce(&Images) -> Result<T> + Send + 'static,
) -> Result<T> {
    engine_blocking(call, |engine| work(engine.images())).await
}

async fn engine_blocking<T: Send + 'static>(
    call: &Call,
    work: impl FnOnce(&Engine) -> Result<T> + Send + 'static,
) -> Result<T> {
    let engine = Arc::clone(&call.context.engine);
    let done = tokio::task::spawn_blocking(move || work(&engine)).await;
    done.map_err(|cause| Error::internal("work on images").with_cause(cause))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_comes_apart_or_in_the_name() {
        let familiar = |repository, tag| reference(repository, tag).map(|name| name.familiar());
        assert_eq!(familiar("bb", Some("1")).expect("good"), "bb:1");
        assert_eq!(familiar("bb:2", None).expect("good"), "bb:2");
        assert_eq!(familiar("host:5000/bb", None).expect("good"), "host:5000/bb:latest");
        assert!(familiar("UP", None).is_err() && familiar("bb", Some("-")).is_err());
    }
}
