//! Processes made by another OCI runtime (`--runtime runc`).

use std::path::Path;

use dhow_errdefs::{Error, Result};

use super::Born;
use crate::protocol::{Exec, Launch};

#[derive(Debug)]
pub(super) struct External {}

impl External {
    pub(super) fn start(_launch: &Launch, program: &Path) -> Result<(Self, Born)> {
        Err(Error::not_implemented(format!("run {}", program.display())))
    }

    pub(super) fn exec(&mut self, exec: &Exec) -> Result<Born> {
        Err(Error::not_implemented(format!("exec {}", exec.id)))
    }

    pub(super) fn delete(&self) -> Result<()> {
        Ok(())
    }
}
