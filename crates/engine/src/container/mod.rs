//! One container: its state and the task that owns it.

pub(crate) mod record;
mod state;

pub(crate) use state::{Fact, Refusal, Request, State};
