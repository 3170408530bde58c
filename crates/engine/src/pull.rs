//! Getting images that are not here.

use dhow_errdefs::{Class, Error, Result};
use dhow_image::{Credentials, Embedded, PullEvent, PullOptions, Pulled, Registries};
use dhow_oci::Reference;

use crate::Engine;

impl Engine {
    /// Fetches an image from its registry; blocks. One that is embedded in the program is taken from there where it is
    /// not here yet and no mirror was named from which it should come: the first steps need no network.
    ///
    /// # Errors
    /// As [`Images::pull`](dhow_image::Images::pull).
    pub fn pull(
        &self,
        name: &Reference,
        options: &PullOptions<'_>,
        progress: &(dyn Fn(PullEvent) + Sync),
    ) -> Result<Pulled> {
        let core = &self.core;
        let alone = core.config.registries.mirrors.is_empty() && options.platform.is_none();
        if let Some(&make) = core.config.embedded.get(&name.familiar()).filter(|_| alone)
            && core.images.resolve(&name.canonical()).is_err()
        {
            core.images.allow_pull(name)?;
            return self.take_embedded(name, make);
        }
        let pulled = core.images.pull(&core.registries, name, options, progress);
        match (core.config.embedded.get(&name.familiar()), pulled) {
            // The one that is part of the program is better than none.
            (Some(&make), Err(error)) if error.class() == Class::Unavailable && options.platform.is_none() => {
                self.take_embedded(name, make)
            }
            (_, pulled) => {
                let pulled = pulled?;
                self.transferred("pull", &pulled.image, name);
                Ok(pulled)
            }
        }
    }

    fn take_embedded(&self, name: &Reference, make: fn() -> Embedded) -> Result<Pulled> {
        let images = &self.core.images;
        let fresh = images.resolve(&name.canonical()).is_err();
        let image = images.ensure_embedded(&name.canonical(), make)?;
        self.transferred("pull", &image, name);
        Ok(Pulled { image, name: name.clone(), fresh })
    }

    /// The tags that a repository has in its registry; blocks.
    ///
    /// # Errors
    /// As [`pull`](Self::pull).
    pub fn remote_tags(&self, name: &Reference, credentials: &Credentials) -> Result<Vec<Reference>> {
        let tags = self.core.registries.tags(name, credentials)?;
        if tags.is_empty() {
            return Err(Error::not_found(format!("repository {} has no tags", name.familiar_name())));
        }
        tags.iter().map(|tag| name.with_tag(tag)).collect()
    }

    /// The registries as this engine reaches them.
    #[must_use]
    pub fn registries(&self) -> &Registries {
        &self.core.registries
    }

    /// Asks a registry whether it knows who shows these credentials, and for what to show in place of the password; blocks.
    ///
    /// # Errors
    /// [`Unauthenticated`](dhow_errdefs::Class::Unauthenticated) when it does not.
    pub fn login(&self, registry: &str, credentials: &Credentials) -> Result<Option<String>> {
        self.core.registries.login(registry, credentials)
    }
}
