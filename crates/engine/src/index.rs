//! From what people type to a container: id, name, prefix of an id.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use dhow_errdefs::{Error, Result, message};

/// Containers by id and by name.
///
/// Names are held from the moment somebody wants them, so that two creations of one name cannot both go on.
#[derive(Debug)]
pub(crate) struct Index<T> {
    entries: BTreeMap<Arc<str>, Arc<T>>,
    names: HashMap<String, Arc<str>>,
}

impl<T> Default for Index<T> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), names: HashMap::new() }
    }
}

impl<T> Index<T> {
    /// Holds a name for an id.
    ///
    /// # Errors
    /// Docker's conflict, naming the holder.
    pub(crate) fn reserve(&mut self, name: &str, id: &Arc<str>) -> Result<()> {
        match self.names.get(name) {
            Some(holder) if holder != id => Err(Error::conflict(message::name_in_use(name, holder))),
            _ => {
                self.names.insert(name.to_owned(), Arc::clone(id));
                Ok(())
            }
        }
    }

    /// Gives a name back, if that id holds it.
    pub(crate) fn release(&mut self, name: &str, id: &str) {
        if self.names.get(name).is_some_and(|holder| &**holder == id) {
            self.names.remove(name);
        }
    }

    pub(crate) fn is_taken(&self, name: &str) -> bool {
        self.names.contains_key(name)
    }

    pub(crate) fn insert(&mut self, id: Arc<str>, entry: Arc<T>) {
        self.entries.insert(id, entry);
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Forgets a container and every name it holds.
    pub(crate) fn remove(&mut self, id: &str) -> Option<Arc<T>> {
        self.names.retain(|_, holder| &**holder != id);
        self.entries.remove(id)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<T>> {
        self.entries.values()
    }

    /// Full id first, then full name, then prefix of an id: Docker's order.
    ///
    /// # Errors
    /// Docker's words for none and for several.
    pub(crate) fn find(&self, reference: &str) -> Result<Arc<T>> {
        let unknown = || Error::not_found(message::no_such_container(reference));
        if let Some(entry) = self.entries.get(reference) {
            return Ok(Arc::clone(entry));
        }
        let name = reference.strip_prefix('/').unwrap_or(reference);
        if let Some(entry) = self.names.get(name).and_then(|id| self.entries.get(id)) {
            return Ok(Arc::clone(entry));
        }
        if reference.is_empty() {
            return Err(unknown());
        }
        let mut matches = self
            .entries
            .range::<str, _>((Bound::Included(reference), Bound::Unbounded))
            .take_while(|(id, _)| id.starts_with(reference));
        match (matches.next(), matches.next()) {
            (Some((_, entry)), None) => Ok(Arc::clone(entry)),
            (Some(_), Some(_)) => Err(Error::invalid(message::ambiguous_prefix(reference))),
            (None, _) => Err(unknown()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dhow_errdefs::Class;

    fn index(containers: &[(&str, &str)]) -> Index<String> {
        let mut index = Index::default();
        for (id, name) in containers {
            let id: Arc<str> = Arc::from(*id);
            index.reserve(name, &id).unwrap();
            index.insert(Arc::clone(&id), Arc::new(id.to_string()));
        }
        index
    }

    #[test]
    fn a_full_name_wins_over_a_prefix_of_an_id() {
        let index = index(&[("ab12", "x"), ("cd34", "ab1")]);
        assert_eq!(*index.find("ab1").unwrap(), "cd34");
        assert_eq!(*index.find("/ab1").unwrap(), "cd34");
        assert_eq!(*index.find("ab").unwrap(), "ab12");
    }

    #[test]
    fn an_ambiguous_prefix_and_an_unknown_one_are_told_apart() {
        let index = index(&[("ab12", "x"), ("ab34", "y")]);
        let several = index.find("ab").unwrap_err();
        assert_eq!(several.to_string(), "multiple IDs found with provided prefix: ab");
        let none = index.find("zz").unwrap_err();
        assert_eq!((none.class(), none.to_string().as_str()), (Class::NotFound, "No such container: zz"));
        assert_eq!(index.find("").unwrap_err().class(), Class::NotFound);
    }

    #[test]
    fn a_name_is_held_until_its_holder_gives_it_back() {
        let mut index = index(&[("ab12", "x")]);
        let other: Arc<str> = Arc::from("cd34");
        assert_eq!(index.reserve("x", &other).unwrap_err().class(), Class::Conflict);
        index.release("x", "cd34");
        assert!(index.is_taken("x"));
        index.remove("ab12");
        index.reserve("x", &other).unwrap();
    }
}
