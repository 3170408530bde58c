//! Completion in shells.
//!
//! The scripts know nothing: they ask `dhow __complete WORD... PARTIAL`, in the protocol of Docker's own scripts (those of
//! cobra), so that they work with our program too. An answer is one candidate a line, a description behind a tab, and at
//! last `:N`, where bit 4 of N says that the names of files are no candidates.
//!
//! What cannot be found out quickly is left out: nobody wants to wait for a tab, and no engine is started for one.

mod candidates;
mod position;
mod script;

use std::time::Duration;

use crate::address::Global;
use crate::entry::{GLOBAL, Hooks};
use crate::failure::Outcome;
use crate::flags::parse;
use crate::output;
use crate::session::Session;
use candidates::{Candidates, of};
use position::Position;
pub(crate) use script::script;

/// How long an engine may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// The hidden command's name.
pub(crate) const COMMAND: &str = "__complete";

/// Prints the candidates for the last of the words.
pub(crate) fn complete(program: &'static str, words: &[String], hooks: Hooks) -> Outcome {
    let Some((partial, before)) = words.split_last() else { return Ok(0) };
    let position = Position::find(before, partial);
    let found = match session(program, &position, hooks) {
        Some(session) => ask(&session, &position),
        None => Candidates::default(),
    };
    output::text(&found.answer(position.partial))?;
    Ok(0)
}

fn session(program: &'static str, position: &Position<'_>, hooks: Hooks) -> Option<Session> {
    let globals = parse(GLOBAL, false, position.globals).ok()?;
    let global = Global::from_flags(&globals, hooks).ok()?;
    Some(Session::new(program, COMMAND, global))
}

fn ask(session: &Session, position: &Position<'_>) -> Candidates {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
    let Ok(runtime) = runtime else { return Candidates::default() };
    runtime.block_on(async {
        let asked = tokio::time::timeout(PATIENCE, of(session, position)).await;
        asked.ok().and_then(Result::ok).unwrap_or_default()
    })
}
