//! Containers that are frozen for a moment, while something is copied that they write to.
//!
//! That the engine froze them, and no person, is a mark in their run directory: an engine that finds it after one that was
//! killed thaws them.

use std::fs;
use std::io;
use std::sync::Arc;

use dhow_errdefs::{Class, Result, ResultExt};

use crate::container::{Command, Container, State};
use crate::core::Core;

const MARK: &str = "frozen";

impl Core {
    /// Freezes a container. Says whether that was done: one that does not run, or is paused already, writes nothing.
    ///
    /// # Errors
    /// Why one that runs cannot be frozen.
    pub(crate) async fn freeze(&self, container: &Container) -> Result<bool> {
        if container.view().condition.state != State::Running {
            return Ok(false);
        }
        let mark = self.run_dir(&container.id).join(MARK);
        match fs::write(&mark, "") {
            // Its run has ended.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            written => written.context(|| format!("write {}", mark.display()))?,
        }
        match container.ask(Command::Pause).await {
            Ok(()) => Ok(true),
            Err(error) => {
                // It goes with the folder, if that is gone.
                let _ = fs::remove_file(&mark);
                if error.class() == Class::Conflict { Ok(false) } else { Err(error) }
            }
        }
    }

    /// The same with several, where those that cannot be frozen are left as they are; those that were are the answer.
    pub(crate) async fn freeze_all(&self, containers: Vec<Arc<Container>>) -> Vec<Arc<Container>> {
        let mut frozen = Vec::new();
        for container in containers {
            match self.freeze(&container).await {
                Ok(true) => frozen.push(container),
                Ok(false) => {}
                Err(error) => tracing::warn!(id = %container.id, %error, "a container is not frozen for a copy"),
            }
        }
        frozen
    }

    /// Lets a container that was frozen go on.
    pub(crate) async fn thaw(&self, container: &Container) {
        if let Err(error) = container.ask(Command::Unpause).await
            // Thawed or killed by somebody else, or ended.
            && error.class() != Class::Conflict
        {
            tracing::warn!(id = %container.id, %error, "a container that was frozen for a copy");
        }
        let _ = fs::remove_file(self.run_dir(&container.id).join(MARK));
    }

    /// The same with several.
    pub(crate) async fn thaw_all(&self, containers: Vec<Arc<Container>>) {
        for container in containers {
            self.thaw(&container).await;
        }
    }

    /// Lets those go on that an engine had frozen when it was killed.
    pub(crate) async fn thaw_left(&self) {
        let left = |container: &&Arc<Container>| self.run_dir(&container.id).join(MARK).exists();
        let left: Vec<_> = self.containers().all().filter(left).cloned().collect();
        self.thaw_all(left).await;
    }
}
