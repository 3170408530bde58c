//! A data root for fuzzing, with a guard beside it.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use dhow_store::Store;
use tempfile::TempDir;

/// A data root in a folder of its own. Whoever escapes from it changes the folder, which is looked at.
pub struct World {
    pub store: Arc<Store>,
    folder: TempDir,
}

const GUARD: &str = "nobody may touch this";

impl World {
    /// In memory where there is such a place: a fuzzer has no use for a disk. Fuzzers never end well, so it stays.
    pub fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let place = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let folder = tempfile::Builder::new().prefix("dhow-fuzz-").tempdir_in(place).expect("a folder");
        fs::write(folder.path().join("guard"), GUARD).expect("a guard");
        let store = Arc::new(Store::open(&folder.path().join("root")).expect("a data root"));
        Self { store, folder }
    }

    /// Nothing beside the data root was touched, and nothing in it stayed.
    pub fn check(&self) {
        let names: Vec<_> = fs::read_dir(self.folder.path()).expect("the folder").flatten().collect();
        assert_eq!(names.len(), 2, "something was made outside: {names:?}");
        assert_eq!(fs::read_to_string(self.folder.path().join("guard")).expect("the guard"), GUARD);
    }

    /// After a refusal: no blob, no layer, no image.
    pub fn check_empty(&self) {
        assert!(self.store.content().list().expect("blobs").is_empty());
        assert!(self.store.metadata().layers().expect("layers").is_empty());
        assert!(self.store.metadata().images().expect("images").is_empty());
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}
