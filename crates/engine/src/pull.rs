//! Getting images that are not here.
//!
//! There is no registry client yet: an image that is embedded in the program is had from there, any other is refused.

use std::sync::Arc;

use dhow_errdefs::{Error, Result};
use dhow_oci::{Digest, Reference};

use crate::Engine;
use crate::engine::blocking;

/// What came of a pull.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    /// The image's ID.
    pub image: Digest,
    /// The name it has now.
    pub name: Reference,
    /// It was not here before.
    pub fresh: bool,
}

impl Engine {
    /// Makes an image available that another program would fetch from a registry.
    ///
    /// # Errors
    /// `InvalidArgument` for a name that is none; `NotImplemented` for an image that would have to come from a registry.
    pub async fn pull(&self, reference: &str) -> Result<Pulled> {
        let name = Reference::parse(reference)?.with_default_tag();
        let Some(&make) = self.config().embedded.get(&name.familiar()) else {
            let message = format!("pull {}: dhow does not pull from registries yet", name.familiar());
            let hint = "bring the image with `dhow load` or `dhow import`";
            return Err(Error::not_implemented(format!("{message}; {hint}")).with_hint(hint));
        };
        let core = Arc::clone(&self.core);
        blocking(move || {
            let fresh = core.images.resolve(&name.canonical()).is_err();
            let image = core.images.ensure_embedded(&name.canonical(), make)?;
            Ok(Pulled { image, name, fresh })
        })
        .await
    }
}
