//! `docker ps`: answered from memory.

mod filter;

use std::collections::HashMap;
use std::sync::Arc;

use dhow_errdefs::Result;
use dhow_oci::{Digest, Reference};

use crate::container::{Container, View};
use crate::core::Core;
use crate::create::command;
use crate::{ListOptions, Size, Summary};

use filter::Filter;

impl Core {
    /// Containers, newest first.
    pub(crate) fn list(&self, options: &ListOptions) -> Result<Vec<Summary>> {
        let filter = Filter::new(&options.filters, self)?;
        let mut found: Vec<(Arc<Container>, Arc<View>)> =
            self.containers().all().map(|container| (Arc::clone(container), container.view())).collect();
        found.sort_by(|(one, _), (other, _)| (other.created, &other.id).cmp(&(one.created, &one.id)));
        let everything = options.all || options.limit > 0 || filter.wants_stopped();
        let limit = if options.limit == 0 { usize::MAX } else { options.limit };
        let mut names = HashMap::new();
        found
            .into_iter()
            .filter(|(_, view)| everything || view.state().is_running())
            .filter(|(container, view)| filter.matches(container, view))
            .take(limit)
            .map(|(container, view)| self.summary(&container, &view, options.size, &mut names))
            .collect()
    }

    fn summary(
        &self,
        container: &Container,
        view: &View,
        size: bool,
        names: &mut HashMap<String, Option<Digest>>,
    ) -> Result<Summary> {
        let image_id = container.image.map(|image| image.to_string()).unwrap_or_default();
        let asked = &view.spec.image;
        if !names.contains_key(asked) {
            names.insert(asked.clone(), self.named(asked)?);
        }
        // A name that means another image by now would mislead.
        let same = container.image.is_none() || names[asked].is_none_or(|named| Some(named) == container.image);
        Ok(Summary {
            id: container.id.to_string(),
            name: view.name.clone(),
            image: if same { asked.clone() } else { image_id.clone() },
            image_id,
            command: command_line(view),
            created: container.created,
            state: view.state(),
            spec: Arc::clone(&view.spec),
            mounts: Arc::clone(&view.points),
            size: size.then(|| self.size(container)).transpose()?,
        })
    }

    /// The image that a name means now, if it is a name.
    fn named(&self, text: &str) -> Result<Option<Digest>> {
        match Reference::parse(text) {
            Ok(reference) => self.store.metadata().tag(&reference.with_default_tag().canonical()),
            Err(_) => Ok(None),
        }
    }

    /// Walks what the container has written.
    pub(crate) fn size(&self, container: &Container) -> Result<Size> {
        let snapshots = self.store.snapshots();
        let rw = snapshots.usage(&container.id)?.bytes;
        let image = container.layer.as_ref().map_or(Ok(0), |layer| snapshots.chain_size(layer))?;
        Ok(Size { rw, root_fs: rw + image })
    }
}

/// Program and arguments as Docker writes them in one line.
fn command_line(view: &View) -> String {
    let quoted = |(index, word): (usize, &String)| {
        if index > 0 && word.contains(' ') { format!("'{word}'") } else { word.clone() }
    };
    command(&view.spec).enumerate().map(quoted).collect::<Vec<_>>().join(" ")
}
