//! Compiled filters kept: most containers have the same.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use dhow_errdefs::Result;

use super::{Environment, Profile, Program, compile};

/// More different filters than this are in use on no host; then the cache starts again.
const CAPACITY: usize = 64;

/// Programs by profile and capabilities. One belongs to an engine; it may be asked from many threads.
#[derive(Debug, Default)]
pub struct Cache {
    programs: Mutex<HashMap<Key, Arc<Program>>>,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    /// The profile's text; `None` for the default profile.
    profile: Option<String>,
    capabilities: Vec<String>,
}

impl Cache {
    /// The filter for a container with these capabilities (its bounding set: `CAP_SYS_ADMIN`), from the JSON text of a
    /// profile or, without one, from the default profile.
    ///
    /// # Errors
    /// Those of [`Profile::parse`] and [`compile`].
    pub fn program(&self, profile: Option<&str>, capabilities: &[String]) -> Result<Arc<Program>> {
        let mut sorted = capabilities.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        let key = Key { profile: profile.map(str::to_owned), capabilities: sorted };
        if let Some(program) = self.lock().get(&key) {
            return Ok(Arc::clone(program));
        }
        let parsed = profile.map_or_else(|| Ok(Profile::standard()), Profile::parse)?;
        // Compiled without the lock: two threads may do it twice, none waits for another's profile.
        let program = Arc::new(compile(&parsed.resolve(&Environment::host(&key.capabilities)))?);
        let mut programs = self.lock();
        if programs.len() >= CAPACITY {
            programs.clear();
        }
        programs.insert(key, Arc::clone(&program));
        Ok(program)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Arc<Program>>> {
        // The map is whole after each statement, also when a thread panicked between them.
        self.programs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_request_is_compiled_once() {
        let cache = Cache::default();
        let capabilities = ["CAP_CHOWN".to_owned(), "CAP_KILL".to_owned()];
        let first = cache.program(None, &capabilities).unwrap();
        let turned: Vec<String> = capabilities.iter().rev().cloned().collect();
        assert!(Arc::ptr_eq(&first, &cache.program(None, &turned).unwrap()));
        let admin = cache.program(None, &["CAP_SYS_ADMIN".to_owned()]).unwrap();
        assert_ne!(first, admin);
        let own = cache.program(Some(r#"{"defaultAction": "SCMP_ACT_ALLOW"}"#), &capabilities).unwrap();
        assert!(own.instructions().len() < 10);
    }
}
