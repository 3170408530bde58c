//! `docker container prune`, and what prunes of other things have in common with it.

use std::collections::BTreeMap;
use std::sync::Arc;

use dhow_errdefs::{Error, Result};
use jiff::Timestamp;

use crate::container::{Command, Container};
use crate::core::Core;
use crate::labels::has_label;
use crate::{Filters, RemoveOptions, Status};

/// Which of the things that nobody needs (containers that do not run, networks that nobody is in) are to be removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PruneOptions {
    /// Only those that were made before.
    pub until: Option<Timestamp>,
    /// Only those with all of these labels, `name` or `name=value`.
    pub labels: Vec<String>,
    /// Only those with none of these.
    pub not_labels: Vec<String>,
}

/// What was removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Ids of the containers.
    pub containers: Vec<String>,
    /// Bytes they had written.
    pub reclaimed: u64,
}

/// Refuses the filters that nobody has taken out: they mean nothing here.
///
/// # Errors
/// `InvalidArgument` in Docker's words.
pub fn none_left(filters: &Filters) -> Result<()> {
    filters.keys().next().map_or(Ok(()), |key| Err(Error::invalid(format!("invalid filter '{key}'"))))
}

impl PruneOptions {
    fn fits(&self, container: &Container) -> bool {
        let view = container.view();
        let ended = matches!(view.state().status, Status::Created | Status::Exited | Status::Dead);
        ended && self.until.is_none_or(|until| container.created < until) && self.fits_labels(&view.spec.labels)
    }

    pub(crate) fn fits_labels(&self, labels: &BTreeMap<String, String>) -> bool {
        self.labels.iter().all(|label| has_label(labels, label))
            && !self.not_labels.iter().any(|label| has_label(labels, label))
    }
}

impl Core {
    /// Removes what does not run. One that cannot be removed does not keep the others.
    pub(crate) async fn prune(self: Arc<Self>, options: PruneOptions) -> Result<Pruned> {
        let found: Vec<Arc<Container>> =
            self.containers().all().filter(|container| options.fits(container)).cloned().collect();
        let mut pruned = Pruned::default();
        for container in found {
            let written = self.written(&container).await;
            match container.ask(|reply| Command::Remove(RemoveOptions::default(), reply)).await {
                Ok(()) => {
                    pruned.reclaimed += written;
                    pruned.containers.push(container.id.to_string());
                }
                // Somebody started or removed it meanwhile, which is their right.
                Err(error) => tracing::warn!(id = %container.id, %error, "not pruned"),
            }
        }
        Ok(pruned)
    }

    /// Bytes a container has written; none where they cannot be counted.
    async fn written(self: &Arc<Self>, container: &Arc<Container>) -> u64 {
        let (core, container) = (Arc::clone(self), Arc::clone(container));
        let counted = tokio::task::spawn_blocking(move || core.size(&container)).await;
        let counted = counted.map_err(|cause| Error::internal("count what is written").with_cause(cause));
        counted.and_then(|size| size).map_or(0, |size| size.rw)
    }
}
