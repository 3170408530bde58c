//! What `images` shows.

use std::collections::{BTreeMap, HashSet};

use dhow_errdefs::Result;
use dhow_oci::{Digest, Reference};
use dhow_store::ImageRecord;

use crate::filter::{self, Filters, Properties};
use crate::images::Images;
use crate::name::{Names, familiar};

/// One image in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Its ID.
    pub id: Digest,
    /// Names with tags, as `busybox:latest`.
    pub tags: Vec<String>,
    /// Names with digests of manifests, as `busybox@sha256:…`.
    pub digests: Vec<String>,
    /// The image whose container it was made of.
    pub parent: Option<Digest>,
    /// When it was made, in seconds since 1970.
    pub created: i64,
    /// Bytes of all layers, unpacked.
    pub size: u64,
    /// Labels; none where the config has no list of them.
    pub labels: Option<BTreeMap<String, String>>,
}

impl Images {
    /// The images, newest first; with `all` also those without names that others were made of. Filters: `dangling`,
    /// `reference`, `label`, `before`, `since`, `until`.
    ///
    /// # Errors
    /// [`InvalidArgument`](dhow_errdefs::Class::InvalidArgument) for an unknown filter or value,
    /// [`NotFound`](dhow_errdefs::Class::NotFound) when `before` or `since` name no image.
    pub fn list(&self, filters: &Filters, all: bool) -> Result<Vec<Summary>> {
        filters.only(&["dangling", "label", "before", "since", "reference", "until"])?;
        let dangling = filters.flag("dangling")?;
        let properties = Properties::new(self, filters)?;
        let images = self.with_names()?;
        // An image that others were made of does not dangle, and is shown on demand only.
        let parents: HashSet<Digest> = images.iter().filter_map(|(image, _)| image.parent).collect();
        let mut found = Vec::new();
        for (image, names) in images {
            let between = names.is_empty() && parents.contains(&image.id);
            if between && (!all || dangling == Some(true)) {
                continue;
            }
            let config = self.config_or_empty(&image.id);
            if !properties.fit(&config) {
                continue;
            }
            let Some(names) = shown(names, dangling, filters.values("reference"))? else { continue };
            let created = filter::created(&config);
            let summary = Summary {
                id: image.id,
                tags: familiar(&names.tags),
                digests: familiar(&names.digests),
                parent: image.parent,
                created: created.as_second(),
                size: image.size,
                labels: config.config.labels.clone(),
            };
            found.push((created, summary));
        }
        found.sort_by(|(left, _), (right, _)| right.cmp(left));
        Ok(found.into_iter().map(|(_, summary)| summary).collect())
    }

    /// All images with all their names.
    pub(crate) fn with_names(&self) -> Result<Vec<(ImageRecord, Names)>> {
        let mut names: BTreeMap<Digest, Vec<_>> = BTreeMap::new();
        for tag in self.store().metadata().tags()? {
            names.entry(tag.image).or_default().push(tag);
        }
        let images = self.store().metadata().images()?;
        Ok(images
            .into_iter()
            .map(|image| {
                let names = Names::new(names.get(&image.id).map(Vec::as_slice).unwrap_or_default());
                (image, names)
            })
            .collect())
    }
}

/// Those names that fit, or nothing when the image does not.
fn shown(mut names: Names, dangling: Option<bool>, patterns: &[String]) -> Result<Option<Names>> {
    if !patterns.is_empty() {
        let keep = |references: Vec<Reference>| {
            let mut kept = Vec::new();
            for reference in references {
                if filter::fits_name(patterns, &reference)? {
                    kept.push(reference);
                }
            }
            Ok::<_, dhow_errdefs::Error>(kept)
        };
        names = Names { tags: keep(names.tags)?, digests: keep(names.digests)? };
    }
    let nameless = names.is_empty();
    let hidden = match dangling {
        Some(true) => !names.tags.is_empty(),
        Some(false) => nameless,
        None => nameless && !patterns.is_empty(),
    };
    Ok((!hidden).then_some(names))
}
