//! The life of a container.
//!
//! ```text
//!                  ┌──────────── start failed ────────────┐
//!                  ▼                                      │
//!   created ── start ──► starting ── started ──► running ─┼─ paused ──► paused
//!      │                  ▲   ▲                   │  ▲    │               │  │
//!      │                start │                ended └────┼── resumed ────┘  │
//!      │                  │ retry                 ├───────┼── ended ─────────┘
//!      │                  │   └──── restarting ◄──┤ (policy says again)
//!      │                  │             │ stop    ▼
//!      │                  └─────────────┴────► exited ◄── start failed
//!      │                                          │
//!      └───────────── remove ────► removing ◄─────┘        remove --force: from anywhere
//!                                   │    ▲
//!                             failed▼    │remove
//!                                   dead ┘
//! ```
//!
//! [`State::after`] is the only place where one state becomes another; [`State::may`] says beforehand whether a request
//! makes sense. Both are pure. A request is checked, carried out, and what really happened comes back as a [`Fact`].

use dhow_errdefs::{Error, message};
use serde::{Deserialize, Serialize};

use crate::Status;

/// Where a container is in its life, exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    Created,
    Starting,
    Running,
    Paused,
    Restarting,
    Exited,
    Removing,
    Dead,
}

/// Something that has happened to a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fact {
    /// Its shim has been told to launch.
    Launched,
    /// Process 1 runs.
    Started,
    /// Process 1 could not be run, of a container that has run before.
    StartFailed,
    /// Process 1 could not be run, ever.
    FirstStartFailed,
    Paused,
    Resumed,
    /// It ended and stays so.
    Ended,
    /// It ended and is to be started again.
    EndedToRestart,
    /// The restart that was due is called off.
    RestartCancelled,
    RemovalBegun,
    /// Something of it could not be removed.
    RemovalFailed,
}

/// Something that somebody wants from a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request {
    Start,
    Stop,
    Kill,
    Pause,
    Unpause,
    Exec,
    Attach,
    Resize,
    Top,
    Rename,
    Update,
    /// Into a network, or out of one.
    Network,
    Remove,
    RemoveForce,
}

impl State {
    /// The state after a fact; `None` when the fact cannot happen in this state, which is a fault in the engine.
    pub(crate) fn after(self, fact: Fact) -> Option<Self> {
        use Fact as F;
        use State as S;
        match (fact, self) {
            (F::Launched, S::Created | S::Exited | S::Restarting) => Some(S::Starting),
            (F::Started, S::Starting) => Some(S::Running),
            (F::StartFailed, S::Starting) => Some(S::Exited),
            (F::FirstStartFailed, S::Starting) => Some(S::Created),
            (F::Paused, S::Running) => Some(S::Paused),
            (F::Resumed, S::Paused) => Some(S::Running),
            (F::Ended, S::Starting | S::Running | S::Paused) => Some(S::Exited),
            (F::EndedToRestart, S::Starting | S::Running | S::Paused) => Some(S::Restarting),
            (F::RestartCancelled, S::Restarting) => Some(S::Exited),
            (F::RemovalBegun, S::Created | S::Exited | S::Restarting | S::Dead | S::Removing) => Some(S::Removing),
            // Force: whatever it was doing, its processes have just been killed, or could not be found.
            (F::RemovalBegun, S::Starting | S::Running | S::Paused) => Some(S::Removing),
            (F::RemovalFailed, S::Removing) => Some(S::Dead),
            (F::Launched, S::Starting | S::Running | S::Paused | S::Removing | S::Dead)
            | (F::Started, S::Created | S::Running | S::Paused | S::Restarting | S::Exited | S::Removing | S::Dead)
            | (F::StartFailed | F::FirstStartFailed, S::Created | S::Running | S::Paused | S::Restarting)
            | (F::StartFailed | F::FirstStartFailed, S::Exited | S::Removing | S::Dead)
            | (F::Paused, S::Created | S::Starting | S::Paused | S::Restarting | S::Exited | S::Removing | S::Dead)
            | (F::Resumed, S::Created | S::Starting | S::Running | S::Restarting | S::Exited | S::Removing | S::Dead)
            | (F::Ended | F::EndedToRestart, S::Created | S::Restarting | S::Exited | S::Removing | S::Dead)
            | (F::RestartCancelled, S::Created | S::Starting | S::Running | S::Paused | S::Exited)
            | (F::RestartCancelled, S::Removing | S::Dead)
            | (F::RemovalFailed, S::Created | S::Starting | S::Running | S::Paused | S::Restarting)
            | (F::RemovalFailed, S::Exited | S::Dead) => None,
        }
    }

    /// Whether a request makes sense now.
    ///
    /// # Errors
    /// The refusal. `NotModified`: it is so already.
    pub(crate) fn may(self, request: Request) -> Result<(), Refusal> {
        use Request as R;
        use State as S;
        match (request, self) {
            (R::RemoveForce, _) => Ok(()),
            (R::Rename, S::Removing | S::Dead) => Err(Refusal::MarkedForRemoval("renamed")),
            (R::Rename, _) => Ok(()),
            (R::Update, S::Removing | S::Dead) => Err(Refusal::MarkedForRemoval("\"update\"")),
            (R::Update, _) => Ok(()),
            (R::Network, S::Removing | S::Dead) => {
                Err(Refusal::MarkedForRemoval("connected or disconnected to the network"))
            }
            (R::Network, _) => Ok(()),

            (R::Start, S::Created | S::Exited | S::Restarting) => Ok(()),
            (R::Start, S::Starting | S::Running) => Err(Refusal::Already),
            (R::Start, S::Paused) => Err(Refusal::StartPaused),
            (R::Start, S::Removing | S::Dead) => Err(Refusal::MarkedForRemoval("started")),

            (R::Stop, S::Starting | S::Running | S::Paused | S::Restarting) => Ok(()),
            (R::Stop, S::Created | S::Exited | S::Removing | S::Dead) => Err(Refusal::Already),

            (R::Kill, S::Starting | S::Running | S::Paused | S::Restarting) => Ok(()),

            (R::Pause, S::Running) => Ok(()),
            (R::Pause, S::Paused) => Err(Refusal::AlreadyPaused),

            (R::Unpause, S::Paused) => Ok(()),
            (R::Unpause, _) => Err(Refusal::NotPaused),

            (R::Exec | R::Top | R::Resize, S::Running) => Ok(()),
            (R::Top | R::Resize, S::Paused) => Ok(()),
            (R::Exec, S::Paused) => Err(Refusal::PausedBefore("exec")),
            (R::Exec | R::Top | R::Resize | R::Pause, S::Restarting) => Err(Refusal::Restarting),

            // Attaching to what does not run yet waits for the start.
            (R::Attach, S::Created | S::Starting | S::Running | S::Exited) => Ok(()),
            (R::Attach, S::Paused) => Err(Refusal::PausedBefore("attach")),
            (R::Attach, S::Restarting) => Err(Refusal::Restarting),
            (R::Attach, S::Removing | S::Dead) => Err(Refusal::MarkedForRemoval("attached to")),

            (R::Remove, S::Created | S::Exited | S::Dead) => Ok(()),
            (R::Remove, S::Removing) => Err(Refusal::RemovalInProgress),
            (R::Remove, S::Starting | S::Running) => Err(Refusal::RemoveRunning),
            (R::Remove, S::Restarting) => Err(Refusal::RemoveRestarting),
            (R::Remove, S::Paused) => Err(Refusal::RemovePaused),

            (R::Kill | R::Exec | R::Top | R::Resize | R::Pause, S::Created | S::Exited | S::Removing | S::Dead)
            | (R::Exec | R::Top | R::Resize | R::Pause, S::Starting) => Err(Refusal::NotRunning),
        }
    }

    /// There may be processes of it.
    pub(crate) fn is_alive(self) -> bool {
        matches!(self, Self::Starting | Self::Running | Self::Paused)
    }

    /// Docker's word for it, for one that has started before or not, and is started again by its policy or not.
    pub(crate) fn status(self, started_before: bool, again: bool) -> Status {
        match self {
            Self::Created => Status::Created,
            Self::Starting if again => Status::Restarting,
            // Until the program is executed a container is shown as what it was.
            Self::Starting if started_before => Status::Exited,
            Self::Starting => Status::Created,
            Self::Running => Status::Running,
            Self::Paused => Status::Paused,
            Self::Restarting => Status::Restarting,
            Self::Exited => Status::Exited,
            Self::Removing => Status::Removing,
            Self::Dead => Status::Dead,
        }
    }
}

/// Why a request makes no sense now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    Already,
    NotRunning,
    StartPaused,
    AlreadyPaused,
    NotPaused,
    PausedBefore(&'static str),
    Restarting,
    MarkedForRemoval(&'static str),
    RemovalInProgress,
    RemoveRunning,
    RemoveRestarting,
    RemovePaused,
}

impl Refusal {
    /// The refusal in Docker's words.
    pub(crate) fn into_error(self, id: &str, name: &str) -> Error {
        let text = match self {
            Self::Already => return Error::not_modified(format!("container {id} is in that state already")),
            Self::NotRunning => message::not_running(id),
            Self::StartPaused => "cannot start a paused container, try unpause instead".to_owned(),
            Self::AlreadyPaused => format!("container {id} is already paused"),
            Self::NotPaused => format!("Container {id} is not paused"),
            Self::PausedBefore(what) => format!("Container {id} is paused, unpause the container before {what}"),
            Self::Restarting => format!("Container {id} is restarting, wait until the container is running"),
            Self::MarkedForRemoval(what) => format!("container is marked for removal and cannot be {what}"),
            Self::RemovalInProgress => format!("removal of container {id} is already in progress"),
            Self::RemoveRunning => format!(
                "cannot remove container \"/{name}\": container is running: stop the container before removing or force remove"
            ),
            Self::RemoveRestarting => format!(
                "cannot remove container \"/{name}\": container is restarting: stop the container before removing or force remove"
            ),
            Self::RemovePaused => {
                format!("cannot remove container \"/{name}\": container is paused and must be unpaused first")
            }
        };
        Error::conflict(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dhow_errdefs::Class;
    use proptest::prelude::*;

    const STATES: [State; 8] = [
        State::Created,
        State::Starting,
        State::Running,
        State::Paused,
        State::Restarting,
        State::Exited,
        State::Removing,
        State::Dead,
    ];
    const FACTS: [Fact; 11] = [
        Fact::Launched,
        Fact::Started,
        Fact::StartFailed,
        Fact::FirstStartFailed,
        Fact::Paused,
        Fact::Resumed,
        Fact::Ended,
        Fact::EndedToRestart,
        Fact::RestartCancelled,
        Fact::RemovalBegun,
        Fact::RemovalFailed,
    ];
    const REQUESTS: [Request; 14] = [
        Request::Start,
        Request::Stop,
        Request::Kill,
        Request::Pause,
        Request::Unpause,
        Request::Exec,
        Request::Attach,
        Request::Resize,
        Request::Top,
        Request::Rename,
        Request::Update,
        Request::Network,
        Request::Remove,
        Request::RemoveForce,
    ];

    /// The fact that carrying a request out leads to first, for requests that change the state.
    fn first_fact(request: Request) -> Option<Fact> {
        match request {
            Request::Start => Some(Fact::Launched),
            Request::Pause => Some(Fact::Paused),
            Request::Unpause => Some(Fact::Resumed),
            Request::Remove | Request::RemoveForce => Some(Fact::RemovalBegun),
            _ => None,
        }
    }

    #[test]
    fn what_may_be_asked_can_happen_and_what_may_not_be_asked_cannot() {
        for state in STATES {
            for request in REQUESTS {
                let Some(fact) = first_fact(request) else { continue };
                if state.may(request).is_ok() {
                    assert!(state.after(fact).is_some(), "{request:?} in {state:?} leads nowhere");
                }
            }
        }
    }

    #[test]
    fn whatever_state_it_is_in_force_removes_it() {
        for state in STATES {
            assert_eq!(state.may(Request::RemoveForce), Ok(()));
            assert_eq!(state.after(Fact::RemovalBegun), Some(State::Removing));
        }
    }

    #[test]
    fn refusals_are_conflicts_unless_it_is_so_already() {
        for state in STATES {
            for request in REQUESTS {
                if let Err(refusal) = state.may(request) {
                    let class = refusal.into_error("id", "name").class();
                    let expected = if refusal == Refusal::Already { Class::NotModified } else { Class::Conflict };
                    assert_eq!(class, expected, "{request:?} in {state:?}");
                }
            }
        }
    }

    #[test]
    fn a_failed_start_leads_back_to_where_it_began() {
        let starting = State::Created.after(Fact::Launched).unwrap();
        assert_eq!(starting.after(Fact::FirstStartFailed), Some(State::Created));
        assert_eq!(starting.after(Fact::StartFailed), Some(State::Exited));
    }

    proptest! {
        /// Whatever happens in whatever order: nothing comes back from a removal, and processes exist only between a
        /// launch and an end.
        #[test]
        fn any_history_keeps_the_invariants(history in proptest::collection::vec(0..FACTS.len(), 0..64)) {
            let mut state = State::Created;
            let mut alive = false;
            for fact in history.into_iter().map(|index| FACTS[index]) {
                let Some(next) = state.after(fact) else { continue };
                match fact {
                    Fact::Launched => alive = true,
                    Fact::Ended | Fact::EndedToRestart | Fact::RemovalBegun => alive = false,
                    Fact::StartFailed | Fact::FirstStartFailed => alive = false,
                    _ => {}
                }
                if matches!(state, State::Removing | State::Dead) {
                    prop_assert!(matches!(next, State::Removing | State::Dead));
                }
                state = next;
                prop_assert_eq!(state.is_alive(), alive);
            }
        }

        /// A refused request and an accepted one never both lead to a signal: kill is accepted only where there may be
        /// a process, or one is due.
        #[test]
        fn kill_is_accepted_only_where_something_may_run(index in 0..STATES.len()) {
            let state = STATES[index];
            prop_assert_eq!(state.may(Request::Kill).is_ok(), state.is_alive() || state == State::Restarting);
        }
    }
}
