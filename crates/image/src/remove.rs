//! Taking names and images away, by Docker's rules.
//!
//! * A name takes that name away; with the last one the image goes, if nothing uses it.
//! * An ID takes the image away, with all its names if they are of one repository.
//! * An image that another was made of stays, and goes with the last of these unless it has a name or a container.
//! * A container that uses the image stands in the way: a stopped one gives way to force, a running one does not.

use dhow_errdefs::{Error, Result};
use dhow_oci::{Digest, Reference};
use dhow_store::{Durability, ImageRecord};

use crate::images::Images;
use crate::name::{Names, short};

/// A container that uses an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its ID.
    pub container: String,
    /// The image as it was named when the container was made.
    pub image: String,
    /// Whether it runs (or is paused).
    pub running: bool,
}

/// How to remove.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RemoveOptions {
    /// Also when several names or stopped containers refer to it.
    pub force: bool,
    /// Leave the images that it was made of, also where nothing else needs them.
    pub no_prune: bool,
}

/// What was taken away, in the order in which it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removed {
    /// A name, as Docker prints it.
    Untagged {
        /// The name.
        name: String,
        /// The image that had it.
        image: Digest,
    },
    /// An image.
    Image(Digest),
    /// A layer that no other image and no container stands on, by chain ID.
    Layer(Digest),
}

impl Images {
    /// Takes a name or an image away. `users` tells which containers use an image.
    ///
    /// # Errors
    /// As [`resolve`](Images::resolve); [`Conflict`](dhow_errdefs::Class::Conflict) in Docker's words when something
    /// stands in the way: then nothing has happened.
    pub fn remove(
        &self,
        text: &str,
        options: RemoveOptions,
        users: impl Fn(&Digest) -> Vec<User>,
    ) -> Result<Vec<Removed>> {
        let _names = self.lock_names();
        // A name is a name also where it happens to be the beginning of the image's own ID.
        let (image, name) = self.resolve_with_name(text)?;
        let (id, parent) = (image.id, image.parent);
        let removal = Removal { images: self, force: options.force, users: users(&id), image };
        let mut removed = match name {
            Some(name) => removal.by_name(text, &name)?,
            None => removal.by_id()?,
        };
        if !options.no_prune && removed.contains(&Removed::Image(id)) {
            removed.extend(self.remove_parents(parent, &users)?);
        }
        Ok(removed)
    }

    /// Takes away the image that a removed one was made of, and those that this was made of, up to the first that something
    /// needs: a name, a container, another image.
    pub(crate) fn remove_parents(
        &self,
        mut parent: Option<Digest>,
        users: &impl Fn(&Digest) -> Vec<User>,
    ) -> Result<Vec<Removed>> {
        let metadata = self.store().metadata();
        let mut removed = Vec::new();
        while let Some(id) = parent.take() {
            let Some(image) = metadata.image(&id)? else { break };
            if !metadata.tags_of(&id)?.is_empty() || self.is_used(&id, users)? {
                break;
            }
            parent = image.parent;
            removed.extend(Removal { images: self, image, force: false, users: Vec::new() }.delete(&[])?);
        }
        Ok(removed)
    }

    /// Whether a container or another image needs an image.
    pub(crate) fn is_used(&self, id: &Digest, users: &impl Fn(&Digest) -> Vec<User>) -> Result<bool> {
        Ok(!users(id).is_empty() || self.store().metadata().has_children(id)?)
    }
}

/// One removal, with everything that decides about it.
pub(crate) struct Removal<'a> {
    pub(crate) images: &'a Images,
    pub(crate) image: ImageRecord,
    pub(crate) force: bool,
    pub(crate) users: Vec<User>,
}

impl Removal<'_> {
    fn by_name(&self, text: &str, reference: &Reference) -> Result<Vec<Removed>> {
        let names = self.names()?;
        if !self.force
            && is_single(&names)
            && let Some(user) = self.users.first()
        {
            return Err(Error::conflict(format!(
                "conflict: unable to remove repository reference {text:?} (must force) - container {} is using its \
                 referenced image {}",
                user.short(),
                short(&self.image.id)
            )));
        }
        let doomed = named_with(&names, reference);
        let others = names.all().iter().any(|name| !doomed.contains(name));
        // The image stays for its other names, or for those who use it.
        if others || self.parent()?.or_else(|| self.running()).or_else(|| self.stopped()).is_some() {
            return self.untag(&doomed);
        }
        self.delete(&doomed)
    }

    fn by_id(&self) -> Result<Vec<Removed>> {
        let names = self.names()?;
        let several = !is_single(&names) && !self.force;
        let refusal = self.parent()?.or_else(|| self.running());
        match refusal.or_else(|| several.then(|| self.several())).or_else(|| self.stopped()) {
            Some(refusal) => Err(refusal),
            None => self.delete(&names.all()),
        }
    }

    fn names(&self) -> Result<Names> {
        Ok(Names::new(&self.images.store().metadata().tags_of(&self.image.id)?))
    }

    /// An image that was made of it stands in the way, whatever is asked.
    fn parent(&self) -> Result<Option<Error>> {
        let is_parent = self.images.store().metadata().has_children(&self.image.id)?;
        Ok(is_parent.then(|| self.refusal("cannot be forced", "image has dependent child images")))
    }

    /// A running container stands in the way, whatever is asked.
    fn running(&self) -> Option<Error> {
        let user = self.users.iter().find(|user| user.running)?;
        let reason = format!("image is being used by running container {}", user.short());
        Some(self.refusal("cannot be forced", &reason))
    }

    fn several(&self) -> Error {
        self.refusal("must be forced", "image is referenced in multiple repositories")
    }

    /// A container that does not run stands in the way, unless forced.
    fn stopped(&self) -> Option<Error> {
        let user = self.users.iter().find(|user| !user.running && !self.force)?;
        let reason = format!("image is being used by stopped container {}", user.short());
        Some(self.refusal("must be forced", &reason))
    }

    fn refusal(&self, how: &str, reason: &str) -> Error {
        Error::conflict(format!("conflict: unable to delete {} ({how}) - {reason}", short(&self.image.id)))
    }

    /// Takes away one of several names.
    pub(crate) fn untag_one(&self, name: &Reference) -> Result<Vec<Removed>> {
        self.untag(&named_with(&self.names()?, name))
    }

    fn untag(&self, doomed: &[Reference]) -> Result<Vec<Removed>> {
        self.images.store().metadata().transaction(Durability::Full, |transaction| {
            doomed.iter().try_for_each(|name| transaction.delete_tag(&name.canonical()).map(drop))
        })?;
        Ok(self.untagged(doomed))
    }

    fn untagged(&self, names: &[Reference]) -> Vec<Removed> {
        let image = self.image.id;
        names.iter().map(|name| Removed::Untagged { name: name.familiar(), image }).collect()
    }

    /// Forgets the image with its names, and frees what nobody else needs.
    pub(crate) fn delete(&self, names: &[Reference]) -> Result<Vec<Removed>> {
        let store = self.images.store();
        store.metadata().delete_image(&self.image.id)?;
        self.images.forget_config(&self.image.id);
        store.collect()?;
        let mut removed = self.untagged(names);
        removed.push(Removed::Image(self.image.id));
        for layer in self.image.layers.iter().rev() {
            if store.metadata().layer(&layer.chain_id)?.is_none() {
                removed.push(Removed::Layer(layer.chain_id));
            }
        }
        Ok(removed)
    }
}

impl User {
    fn short(&self) -> &str {
        self.container.get(..12).unwrap_or(&self.container)
    }
}

/// At most one name with a tag, and names with digests only of the same repository: then an ID means all of them.
fn is_single(names: &Names) -> bool {
    let mut repositories: Vec<String> = names.digests.iter().chain(&names.tags).map(Reference::name).collect();
    repositories.dedup();
    names.tags.len() < 2 && repositories.len() < 2
}

/// The name itself; with the last tag of a repository also the repository's names with digests. A digest that is no name
/// was found as the manifest of the repository's tags: it means them.
fn named_with(names: &Names, reference: &Reference) -> Vec<Reference> {
    if let Some(digest) = reference.digest() {
        let exact = reference.with_digest(*digest);
        let of_repository = |tag: &&Reference| tag.name() == reference.name();
        let recorded = names.digests.contains(&exact);
        return if recorded { vec![exact] } else { names.tags.iter().filter(of_repository).cloned().collect() };
    }
    let mut doomed = vec![reference.clone()];
    let others = names.tags.iter().any(|tag| tag != reference && tag.name() == reference.name());
    if !others {
        doomed.extend(names.digests.iter().filter(|digest| digest.name() == reference.name()).cloned());
    }
    doomed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(tags: &[&str], digests: &[&str]) -> Names {
        let parse = |texts: &[&str]| texts.iter().map(|text| Reference::parse(text).unwrap()).collect();
        let digest = Digest::of(b"");
        let digests: Vec<String> = digests.iter().map(|name| format!("{name}@{digest}")).collect();
        Names { tags: parse(tags), digests: parse(&digests.iter().map(String::as_str).collect::<Vec<_>>()) }
    }

    #[test]
    fn one_tag_with_digests_of_its_repository_is_single() {
        assert!(is_single(&names(&[], &[])));
        assert!(is_single(&names(&["a:1"], &[])));
        assert!(is_single(&names(&["a:1"], &["a"])));
        assert!(!is_single(&names(&["a:1", "a:2"], &[])));
        assert!(!is_single(&names(&["a:1"], &["b"])));
        assert!(!is_single(&names(&[], &["a", "b"])));
    }

    #[test]
    fn digests_go_with_the_last_tag_of_their_repository() {
        let doomed = |names: &Names, text: &str| {
            let reference = Reference::parse(text).unwrap().with_default_tag();
            named_with(names, &reference).iter().map(Reference::familiar).collect::<Vec<_>>().len()
        };
        assert_eq!(doomed(&names(&["a:1", "a:2"], &["a"]), "a:1"), 1);
        assert_eq!(doomed(&names(&["a:1", "b:2"], &["a", "b"]), "a:1"), 2);
        let by_digest = format!("a@{}", Digest::of(b""));
        assert_eq!(doomed(&names(&["a:1"], &["a"]), &by_digest), 1);
        assert_eq!(doomed(&names(&["a:1", "a:2", "b:1"], &[]), &by_digest), 2);
    }
}
