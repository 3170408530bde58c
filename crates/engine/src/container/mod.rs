//! One container: its state and the task that owns it.

mod state;

pub(crate) use state::{Fact, Refusal, Request, State};
