//! `docker ps`: answered from memory.

mod filter;

use std::collections::HashMap;
use std::sync::Arc;

use dhow_errdefs::{Class, Result};
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
        let networks = self.networks.all();
        let networks = networks.iter().map(|network| (network.spec.name.clone(), network.id.clone()));
        let networks = Arc::new(networks.collect());
        let mut links = self.link_names();
        let mut images = ImageNames { core: self, named: HashMap::new(), ids: HashMap::new() };
        found
            .into_iter()
            .filter(|(_, view)| everything || view.state().is_running())
            .filter(|(container, view)| filter.matches(container, view))
            .take(limit)
            .map(|(container, view)| {
                let networks = Arc::clone(&networks);
                let link_names = links.remove(&*container.id).unwrap_or_default();
                let summary = self.summary(&container, &view, options.size, (&mut images, networks))?;
                Ok(Summary { link_names, ..summary })
            })
            .collect()
    }

    fn summary(
        &self,
        container: &Container,
        view: &View,
        size: bool,
        (images, networks): (&mut ImageNames<'_>, Arc<HashMap<String, String>>),
    ) -> Result<Summary> {
        let (image, image_id) = images.of(&view.spec.image, container.image)?;
        Ok(Summary {
            id: Arc::clone(&container.id),
            name: view.name.clone(),
            link_names: Vec::new(),
            image,
            image_id,
            command: command_line(view),
            created: container.created,
            state: view.state(),
            spec: Arc::clone(&view.spec),
            mounts: Arc::clone(&view.points),
            size: size.then(|| self.size(container)).transpose()?,
            attached: view.condition.attached.clone(),
            networks,
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
        let rw = match snapshots.usage(&container.id) {
            // Its folder was destroyed; that is no reason to say nothing of all the others.
            Err(error) if error.class() == Class::NotFound => 0,
            usage => usage?.bytes,
        };
        let image = container.layer.as_ref().map_or(Ok(0), |layer| snapshots.chain_size(layer))?;
        Ok(Size { rw, root_fs: rw + image })
    }
}

/// What images are called: asked once for all containers of a list.
struct ImageNames<'a> {
    core: &'a Core,
    named: HashMap<Arc<str>, Option<Digest>>,
    ids: HashMap<Digest, Arc<str>>,
}

impl ImageNames<'_> {
    /// Name and id to show of an image that was asked for by a name.
    fn of(&mut self, asked: &str, image: Option<Digest>) -> Result<(Arc<str>, Arc<str>)> {
        if !self.named.contains_key(asked) {
            self.named.insert(asked.into(), self.core.named(asked)?);
        }
        let (name, named) = self.named.get_key_value(asked).expect("it was looked up");
        let Some(image) = image else { return Ok((Arc::clone(name), "".into())) };
        let id = self.ids.entry(image).or_insert_with(|| image.to_string().into());
        // A name that means another image by now, or none, would mislead.
        let same = named.map_or_else(|| is_id_of(asked, id), |named| named == image);
        Ok((Arc::clone(if same { name } else { id }), Arc::clone(id)))
    }
}

/// Whether the image was asked for by its ID, a part of that, or its digest, which no tag takes away.
fn is_id_of(asked: &str, id: &str) -> bool {
    asked.contains('@') || id.starts_with(asked) || id.strip_prefix("sha256:").is_some_and(|hex| hex.starts_with(asked))
}

/// Program and arguments as Docker writes them in one line.
fn command_line(view: &View) -> String {
    let mut line = String::new();
    for (index, word) in command(&view.spec).enumerate() {
        match index {
            0 => line.push_str(word),
            _ if word.contains(' ') => line.extend([" '", word.as_str(), "'"]),
            _ => line.extend([" ", word.as_str()]),
        }
    }
    line
}
