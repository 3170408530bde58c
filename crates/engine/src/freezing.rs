//! Containers that are frozen for a moment, while something is copied that they write to.

use std::path::PathBuf;
use std::sync::Arc;

use dhow_errdefs::{Class, Result, ResultExt};

use crate::container::{Command, Container};
use crate::core::Core;

/// A container that was frozen, until it is given to [`Core::thaw`].
#[derive(Debug)]
pub(crate) struct Freeze {
    container: Arc<Container>,
    number: u64,
}

impl Core {
    /// Freezes a container, also one that somebody has paused: it stays so then until this is over. `None`: it does not
    /// run, and writes nothing.
    ///
    /// # Errors
    /// Why one that runs cannot be frozen.
    pub(crate) async fn freeze(&self, container: &Arc<Container>) -> Result<Option<Freeze>> {
        let number = match container.ask(Command::Freeze).await {
            // It has gone meanwhile.
            Err(error) if error.class() == Class::NotFound => None,
            number => number?,
        };
        Ok(number.map(|number| Freeze { container: Arc::clone(container), number }))
    }

    /// The same with several: all of them or none. Those that did run are the answer.
    ///
    /// # Errors
    /// Which one cannot be frozen, and why.
    pub(crate) async fn freeze_all(&self, containers: Vec<Arc<Container>>) -> Result<Vec<Freeze>> {
        let mut frozen = Vec::new();
        for container in containers {
            match self.freeze(&container).await {
                Ok(freeze) => frozen.extend(freeze),
                Err(error) => {
                    self.thaw_all(frozen).await;
                    return Err(error).context(|| format!("freeze container {}", container.id));
                }
            }
        }
        Ok(frozen)
    }

    /// Lets a container that was frozen go on, if nobody else keeps it. Says whether it stood still until now, or until its
    /// end: somebody may have stopped it, and then it has gone on before.
    pub(crate) async fn thaw(&self, freeze: Freeze) -> bool {
        let Freeze { container, number } = freeze;
        match container.ask(|reply| Command::Thaw(number, reply)).await {
            Ok(still) => still,
            Err(error) => {
                said(&container, Err(error));
                true
            }
        }
    }

    /// The same with several; the answer is one that has not stood still.
    pub(crate) async fn thaw_all(&self, frozen: Vec<Freeze>) -> Option<String> {
        let mut gone_on = None;
        for freeze in frozen {
            let id = freeze.container.id.to_string();
            if !self.thaw(freeze).await {
                gone_on = Some(id);
            }
        }
        gone_on
    }

    /// Lets those go on that an engine had frozen when it was killed. Where that fails the next engine tries again.
    pub(crate) async fn thaw_left(&self) {
        let left = |container: &&Arc<Container>| self.frozen_mark(&container.id).exists();
        let left: Vec<_> = self.containers().all().filter(left).cloned().collect();
        for container in left {
            if said(&container, container.ask(Command::Unpause).await) {
                let _ = std::fs::remove_file(self.frozen_mark(&container.id));
            }
        }
    }

    /// The file that says that the engine, and no person, has frozen a container.
    pub(crate) fn frozen_mark(&self, container: &str) -> PathBuf {
        self.run_dir(container).join("frozen")
    }
}

/// Whether it goes on, or has ended; else that is told.
fn said(container: &Container, thawed: Result<()>) -> bool {
    match thawed {
        Err(error) if !matches!(error.class(), Class::Conflict | Class::NotFound) => {
            tracing::warn!(id = %container.id, %error, "a container that was frozen for a copy");
            false
        }
        _ => true,
    }
}
