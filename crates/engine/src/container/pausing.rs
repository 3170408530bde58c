//! Freezing a container: people pause it for as long as they like, and the engine freezes it for the moment in which
//! something is copied that it writes to. Each of them lets it go on for itself: it does when nobody wants it to stand still
//! any more.
//!
//! That the engine froze it, and no person, is a mark in its run directory: an engine that finds it after one that was killed
//! thaws the container.

use std::collections::BTreeSet;
use std::fs;
use std::io;

use dhow_errdefs::{Class, Error, Result, ResultExt};
use dhow_shim::protocol::Op;

use super::owner::{Owner, answer};
use super::{Fact, Reply, Request, State};

/// Who keeps a container frozen.
#[derive(Debug, Default)]
pub(super) struct Frozen {
    /// Those who copy something, by the number each has got.
    copying: BTreeSet<u64>,
    last: u64,
    /// Those for whom it was to stand still, and has gone on.
    torn: BTreeSet<u64>,
    /// A person, too.
    by_hand: bool,
    /// Nobody, but it could not be told to go on.
    owed: bool,
    /// People who want it to go on, and wait until what is being copied is.
    thawing: Vec<Reply<()>>,
}

impl Frozen {
    fn begin(&mut self) -> u64 {
        self.last += 1;
        self.copying.insert(self.last);
        self.last
    }

    /// Nobody but those who copy wants it to stand still.
    fn is_for_a_moment(&self) -> bool {
        (!self.copying.is_empty() || self.owed) && !self.by_hand
    }
}

impl Owner {
    pub(super) async fn pause(&mut self) -> Result<()> {
        if self.frozen.is_for_a_moment() {
            // Who only could not be told to go on stands still for the person from now on.
            self.frozen.owed = false;
            self.frozen.by_hand = !self.frozen.copying.is_empty();
            answer_all(&mut self.frozen.thawing, &Ok(()));
            return self.mark();
        }
        self.check(Request::Pause)?;
        self.hold_still(Owner::end_care).await
    }

    pub(super) async fn unpause(&mut self, reply: Reply<()>) {
        if self.frozen.copying.is_empty() {
            let gone_on = match self.frozen.owed {
                true => self.end_moment().await,
                false => self.let_go_on().await,
            };
            let _ = reply.send(gone_on);
            return;
        }
        self.frozen.by_hand = false;
        self.frozen.thawing.push(reply);
        if let Err(error) = self.mark() {
            tracing::warn!(id = %self.container.id, %error, "a container that is frozen for a copy");
        }
    }

    /// Answers when a person may do something with it that takes no frozen one.
    pub(super) fn await_copies(&mut self, reply: Reply<()>) {
        if self.frozen.is_for_a_moment() {
            self.frozen.thawing.push(reply);
        } else {
            answer(reply, Ok(()));
        }
    }

    /// Freezes it for a moment; the number is for [`thaw`](Self::thaw). `None`: it does not run, so it writes nothing.
    pub(super) async fn freeze(&mut self) -> Result<Option<u64>> {
        let paused = match self.condition.state {
            State::Running => false,
            State::Paused => true,
            _ => return Ok(None),
        };
        let owed = std::mem::take(&mut self.frozen.owed);
        self.frozen.by_hand |= paused && self.frozen.copying.is_empty() && !owed;
        let number = self.frozen.begin();
        // First: nobody could tell afterwards who it was.
        let marked = self.mark();
        let frozen = match marked {
            // Its health is what it was: nobody has paused it.
            Ok(()) if !paused => self.hold_still(|owner| owner.care = None).await,
            marked => marked,
        };
        match frozen {
            Ok(()) => Ok(Some(number)),
            Err(error) => {
                self.frozen.copying.remove(&number);
                // It goes with the folder, if that is gone.
                let _ = self.mark();
                // It has just ended.
                if matches!(error.class(), Class::Conflict | Class::NotFound) { Ok(None) } else { Err(error) }
            }
        }
    }

    /// Whoever got that number has copied what it wanted. Says whether it stood still until now, or until its end.
    pub(super) async fn thaw(&mut self, number: u64) -> Result<bool> {
        if !self.frozen.copying.remove(&number) {
            return Ok(!self.frozen.torn.remove(&number));
        }
        if !self.frozen.copying.is_empty() || std::mem::take(&mut self.frozen.by_hand) {
            return Ok(true);
        }
        self.end_moment().await.map(|()| true)
    }

    /// Nobody wants it to stand still any more.
    async fn end_moment(&mut self) -> Result<()> {
        let gone_on = self.let_go_on().await;
        self.frozen.owed = gone_on.is_err() && self.condition.state == State::Paused;
        answer_all(&mut self.frozen.thawing, &gone_on);
        gone_on.and_then(|()| self.mark())
    }

    /// Its shim can be talked to again: what could not be told to go on is told now.
    pub(super) async fn pay_what_is_owed(&mut self) {
        if self.frozen.owed
            && self.frozen.copying.is_empty()
            && let Err(error) = self.end_moment().await
        {
            tracing::warn!(id = %self.container.id, %error, "a container that was frozen for a copy");
        }
    }

    /// Somebody who ends it has let its processes go on.
    pub(super) fn thawed(&mut self) {
        if self.condition.state == State::Paused {
            self.frozen.torn.append(&mut self.frozen.copying);
            self.nobody_freezes();
            // The next engine is to find no mark of a moment that is over.
            if let Err(error) = self.mark() {
                tracing::warn!(id = %self.container.id, %error, "a container that was frozen for a copy");
            }
            self.settle(Fact::Resumed, "unpause");
        }
    }

    /// Its processes have ended, or go on whatever anybody wants.
    pub(super) fn nobody_freezes(&mut self) {
        let Frozen { copying, by_hand, owed, thawing, .. } = &mut self.frozen;
        copying.clear();
        (*by_hand, *owed) = (false, false);
        answer_all(thawing, &Ok(()));
    }

    async fn hold_still(&mut self, end_care: impl FnOnce(&mut Self)) -> Result<()> {
        // A probe is killed first: what is frozen does not die.
        let looked_after = self.care.is_some();
        end_care(self);
        let paused = self.ask_shim(Op::Pause).await;
        if paused.is_err() && looked_after {
            self.resume_care();
        }
        // Whoever was told that it is not paused relies on that, also when the shim comes to it later.
        if paused.as_ref().is_err_and(|error| error.class() == Class::DeadlineExceeded)
            && let Ok(shim) = self.shim()
        {
            drop(shim.begin(Op::Resume, &[]).await);
        }
        paused?;
        self.settle(Fact::Paused, "pause");
        Ok(())
    }

    async fn let_go_on(&mut self) -> Result<()> {
        self.check(Request::Unpause)?;
        self.ask_shim(Op::Resume).await?;
        self.resume_care();
        self.settle(Fact::Resumed, "unpause");
        Ok(())
    }

    /// Makes the mark be there or not, as it has to be.
    fn mark(&self) -> Result<()> {
        let mark = self.core.frozen_mark(&self.container.id);
        if self.frozen.is_for_a_moment() {
            return fs::write(&mark, "").context(|| format!("write {}", mark.display()));
        }
        match fs::remove_file(&mark) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(error).context(|| format!("remove {}", mark.display()))
            }
            _ => Ok(()),
        }
    }
}

fn answer_all(replies: &mut Vec<Reply<()>>, answer: &Result<()>) {
    let copy = |error: &Error| Error::new(error.class(), error.to_string());
    // Who asked may have gone away.
    replies.drain(..).for_each(|reply| drop(reply.send(answer.as_ref().copied().map_err(copy))));
}
