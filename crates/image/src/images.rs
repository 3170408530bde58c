//! The images of a store.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dhow_errdefs::{Result, ResultExt};
use dhow_oci::{Digest, ImageConfig, Reference};
use dhow_store::{ImageRecord, Store};

use crate::name;
use crate::policy::Policy;

/// The images of a store. Share it in an [`Arc`]; all methods take `&self`, may be called at once, and block.
#[derive(Debug)]
pub struct Images {
    store: Arc<Store>,
    /// Held while names or images are taken away or moved.
    names: Mutex<()>,
    /// Which images may be used; replaced whole.
    policy: Mutex<Arc<Policy>>,
    /// Parsed configs: they never change, and list and create look at them all the time.
    configs: Mutex<HashMap<Digest, Arc<ImageConfig>>>,
}

impl Images {
    /// The images of this store.
    #[must_use]
    pub fn open(store: Arc<Store>) -> Self {
        Self { store, names: Mutex::default(), policy: Mutex::default(), configs: Mutex::default() }
    }

    /// The same under rules about which of them may be used.
    #[must_use]
    pub fn under(self, policy: Arc<Policy>) -> Self {
        self.obey(policy);
        self
    }

    /// Other rules count from now on, also for what goes on already and has not been asked about yet.
    pub fn obey(&self, policy: Arc<Policy>) {
        *self.policy.lock().unwrap_or_else(PoisonError::into_inner) = policy;
    }

    /// The rules that count now.
    pub(crate) fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.policy.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The store they are in.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// How many images there are.
    ///
    /// # Errors
    /// What the database says.
    pub fn count(&self) -> Result<usize> {
        Ok(self.store.metadata().images()?.len())
    }

    /// The config of an image by its ID, also of one that is not recorded any more but whose blob is still there.
    ///
    /// # Errors
    /// [`NotFound`](dhow_errdefs::Class::NotFound) when its blob is not there, or what is wrong with it.
    pub fn config(&self, id: &Digest) -> Result<Arc<ImageConfig>> {
        if let Some(config) = self.configs().get(id) {
            return Ok(Arc::clone(config));
        }
        let bytes = self.store.content().read(id).context(|| format!("read the config of image {id}"))?;
        let config = Arc::new(ImageConfig::parse(&bytes)?);
        self.configs().insert(*id, Arc::clone(&config));
        Ok(config)
    }

    /// As [`config`](Self::config); an empty one where the blob is damaged or lost, so that one such image does not keep
    /// the others from being listed, nor itself from being removed.
    pub(crate) fn config_or_empty(&self, id: &Digest) -> Arc<ImageConfig> {
        self.config(id).unwrap_or_default()
    }

    /// Gives an image another name, taking it away from the image that had it.
    ///
    /// # Errors
    /// [`NotFound`](dhow_errdefs::Class::NotFound) when there is no such image,
    /// [`InvalidArgument`](dhow_errdefs::Class::InvalidArgument) when the name has a digest.
    pub fn tag(&self, source: &str, target: &Reference) -> Result<ImageRecord> {
        let target = name::taggable(target)?;
        let _names = self.lock_names();
        let image = self.resolve(source)?;
        self.store.metadata().set_tag(&target.canonical(), &image.id)?;
        Ok(image)
    }

    pub(crate) fn lock_names(&self) -> MutexGuard<'_, ()> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn forget_config(&self, id: &Digest) {
        self.configs().remove(id);
    }

    fn configs(&self) -> MutexGuard<'_, HashMap<Digest, Arc<ImageConfig>>> {
        self.configs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
