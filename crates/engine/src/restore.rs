//! Opening a data root that was used before: what runs is adopted, what ended meanwhile is learned, what was half done is
//! finished.
//!
//! The truth is, in this order: a shim that answers; the `exit.json` that a shim left; the record, which may be one
//! transition behind.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_logs::Timestamp as Time;
use dhow_shim::protocol::{Exit, State as ShimState, Status};
use dhow_store::ContainerRecord;
use jiff::Timestamp;
use rustix::process::{Resource, getrlimit};

use crate::boot::Boot;
use crate::container::{Body, Condition, Container, Owner, State, Then, record, resumes, was_steady};
use crate::core::Core;
use crate::link::{Link, Occupant};

/// Exit code of a container of which nobody knows how it ended, as Docker has it.
pub(crate) const UNKNOWN_END: i32 = 255;

/// Descriptors of an engine without containers that does a few things at once.
const DESCRIPTORS: u64 = 48;

/// Descriptors for each container that runs: its shim, its network namespace, its name service.
const DESCRIPTORS_EACH: u64 = 8;

const MORE_DESCRIPTORS: &str = "give the engine more open files, with LimitNOFILE in its unit or `ulimit -n`; what runs goes on \
    meanwhile";

/// What is said of a container whose shim lives and cannot be adopted.
pub(crate) const OUT_OF_REACH: &str = "the container runs on, but the engine cannot reach its shim";

const TRY_AGAIN: &str = "a restart of the engine tries again; stop, kill and rm --force end both";

/// A container as it was found.
struct Found {
    record: ContainerRecord,
    body: Body,
    condition: Condition,
    shim: Occupant,
}

/// Finds every container, in parallel, and gives each its owner.
pub(crate) async fn restore(core: &Arc<Core>) -> Result<()> {
    let records = core.store.metadata().containers()?;
    let known: HashSet<String> = records.iter().map(|record| record.id.clone()).collect();
    let data_root = &core.config.data_root;
    check_descriptors(records.iter().filter(|record| maybe_alive(record)).count() as u64)?;
    let boot = Boot::present();
    let rebooted = boot.as_ref().is_some_and(|boot| boot.is_new(data_root));
    let mut searches = Vec::new();
    let mut settled = Vec::new();
    for record in records {
        // A search sweeps what may be left; for a thousand containers that were stopped in peace it would be in vain.
        if core.run_dir(&record.id).exists() || maybe_alive(&record) {
            let core = Arc::clone(core);
            searches.push(tokio::task::spawn_blocking(move || find(&core, record)));
        } else {
            settled.push(settle(core, record));
        }
    }
    for search in searches {
        settled.push(search.await.map_err(|error| Error::internal("look for a container").with_cause(error))??);
    }
    let runs = |found: &&Found| found.condition.state.is_alive();
    let mut alive: HashSet<String> =
        settled.iter().flatten().filter(runs).map(|found| found.record.id.clone()).collect();
    // One of a later version may run.
    alive.extend(settled.iter().filter_map(|found| Some(found.as_ref().err()?.record.id.clone())));
    let ended = core.volumes.recover(|container| alive.contains(container));
    sweep_mounts(core, &alive);
    let mut owners = Vec::new();
    for found in settled {
        match found {
            Ok(mut found) => {
                after_the_end(&mut found, rebooted);
                owners.push(adopt(core, found)?);
            }
            Err(unreadable) => adopt_unreadable(core, *unreadable)?,
        }
    }
    {
        let core = Arc::clone(core);
        let settled = tokio::task::spawn_blocking(move || core.settle_networks()).await;
        settled.map_err(|error| Error::internal("settle networks").with_cause(error))?;
    }
    // Now: links that an owner makes for a container that is started again would be taken for leftovers before.
    owners.into_iter().for_each(|owner| drop(tokio::spawn(owner.run())));
    core.thaw_left().await;
    // Only now: an engine that dies before this treats them once more as after the boot.
    boot.map_or(Ok(()), |boot| boot.remember(data_root))?;
    let core = Arc::clone(core);
    tokio::task::spawn_blocking(move || {
        core.volumes.end(ended);
        core.remove_abandoned_volumes(&known);
        sweep_unknown(&core, &known);
    });
    Ok(())
}

/// Refuses to begin with fewer descriptors than what runs will take: half-way the engine could only guess what became of
/// the rest.
fn check_descriptors(alive: u64) -> Result<()> {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let needed = DESCRIPTORS + alive * DESCRIPTORS_EACH;
    if limit >= needed {
        return Ok(());
    }
    let text = format!("{limit} open files are too few for {alive} containers that run; the engine needs {needed}");
    Err(Error::exhausted(text).with_hint(MORE_DESCRIPTORS))
}

/// A record of which at least the id could be read.
struct Unreadable {
    record: ContainerRecord,
    error: Error,
}

/// What came of a look for a container; the outer error ends the engine, which knows nothing of it then.
type Attempt = Result<Result<Found, Box<Unreadable>>>;

/// The record says that it ran.
fn maybe_alive(record: &ContainerRecord) -> bool {
    record::read::<Condition>(&record.state).is_ok_and(|condition| condition.state.is_alive())
}

fn read(record: ContainerRecord) -> Result<Found, Box<Unreadable>> {
    let parts = record::read_body(&record.spec).and_then(|body| Ok((body, record::read(&record.state)?)));
    match parts {
        Ok((body, condition)) => Ok(Found { record, body, condition, shim: Occupant::Nobody }),
        Err(error) => Err(Box::new(Unreadable { record, error })),
    }
}

/// A container of which nothing is left to sweep. It may have run nevertheless since its record was written: the engine
/// died after it had told the shim to launch, and the container ended before anybody asked.
fn settle(core: &Core, record: ContainerRecord) -> Result<Found, Box<Unreadable>> {
    let mut found = read(record)?;
    let removing = matches!(found.condition.state, State::Removing | State::Dead);
    let exit = core.read_exit(&found.record.id).filter(|exit| Some(exit.started_at) > found.condition.started_at);
    if let Some(exit) = exit.filter(|_| !removing) {
        ended_meanwhile(&mut found.condition, Some(exit));
    }
    Ok(found)
}

/// Looks for the shim of a container, and for what it left.
fn find(core: &Core, record: ContainerRecord) -> Attempt {
    let mut found = match read(record) {
        Ok(found) => found,
        Err(unreadable) => return Ok(Err(unreadable)),
    };
    let id = found.record.id.clone();
    // Without descriptors nothing can be said about the shim, and what runs must not be taken for a leftover.
    let refuse = |error: Error| error.context(format!("find container {id}")).with_hint(MORE_DESCRIPTORS);
    let shim = Link::find(&core.run_dir(&id)).map_err(refuse)?;
    let exit = core.read_exit(&id).filter(|exit| Some(exit.started_at) >= found.condition.started_at);
    found.shim = match shim {
        // It was never told what to do, and nobody will.
        Occupant::Adopted(shim, state) if state.status == Status::Created => {
            shim.kill();
            Occupant::Nobody
        }
        // The container has ended, and its shim does not come to its own end.
        Occupant::OutOfReach(_) if exit.as_ref().is_some_and(|exit| is_news(&found.condition, exit)) => {
            Occupant::Nobody
        }
        occupant => occupant,
    };
    match &found.shim {
        Occupant::Adopted(_, state) => take_over(&mut found.condition, state, exit),
        Occupant::OutOfReach(shim) => leave_alone(&id, &mut found.condition, &shim.error),
        Occupant::Nobody => {
            let cgroup = core.host.cgroup(&found.body.spec.host.resources.cgroup_parent, &id);
            crate::leftovers::sweep(core, &id, cgroup.as_deref());
            ended_meanwhile(&mut found.condition, exit);
        }
    }
    Ok(Ok(found))
}

/// What the shim says is how it is.
fn take_over(condition: &mut Condition, shim: &ShimState, exit: Option<Exit>) {
    if shim.started_at > condition.started_at {
        started_since(condition);
    }
    condition.started_at = shim.started_at.or(condition.started_at);
    condition.log_losses = shim.log_losses;
    match shim.status {
        Status::Paused => runs_on(condition, State::Paused),
        // The end that it has written down is told as an event, or has been told already.
        Status::Running | Status::Created => runs_on(condition, State::Running),
        Status::Exited => {
            ended_meanwhile(condition, shim.exit.clone().or(exit));
            condition.state = State::Exited;
        }
    }
}

/// Whoever stopped or restarted it before, somebody has started it since.
fn started_since(condition: &mut Condition) {
    (condition.stopped_by_hand, condition.then) = (false, Then::Nothing);
}

fn runs_on(condition: &mut Condition, state: State) {
    condition.state = state;
    // Of an engine that could not reach the shim.
    condition.error.clear();
}

/// Nobody can ask the shim, but it lives, and with it the container: neither is touched, and the next engine tries again.
fn leave_alone(id: &str, condition: &mut Condition, error: &Error) {
    tracing::error!(id, %error, "the shim of a container cannot be reached; both are left alone");
    if !condition.state.is_alive() && !matches!(condition.state, State::Removing | State::Dead) {
        // It was started after its record was written.
        condition.state = State::Running;
    }
    condition.error = format!("{OUT_OF_REACH}: {error} ({TRY_AGAIN})");
}

/// An end that the record does not know.
fn is_news(condition: &Condition, exit: &Exit) -> bool {
    condition.state.is_alive() || Some(exit.started_at) > condition.started_at
}

/// The shim is gone: the container has ended, in one way or another.
fn ended_meanwhile(condition: &mut Condition, exit: Option<Exit>) {
    let fresh = exit.filter(|exit| is_news(condition, exit));
    if let Some(exit) = fresh {
        if Some(exit.started_at) > condition.started_at {
            started_since(condition);
        }
        condition.state = State::Exited;
        condition.exit_code = exit.code;
        condition.oom_killed = exit.oom_killed;
        condition.error = exit.error;
        condition.log_losses = exit.log_losses;
        condition.started_at = Some(exit.started_at);
        condition.finished_at = Some(exit.finished_at);
        condition.attached = None;
    } else if condition.state.is_alive() {
        condition.state = State::Exited;
        condition.exit_code = UNKNOWN_END;
        condition.error = "the container's shim ended while no engine was there".to_owned();
        condition.finished_at = Some(Time::now());
        condition.attached = None;
    }
}

/// What does not run is started if its policy says so; where its shim is still there, when that has gone.
fn after_the_end(found: &mut Found, rebooted: bool) {
    let condition = &mut found.condition;
    let policy = &found.body.spec.host.restart_policy;
    // Somebody was restarting it when the engine died.
    let owed = condition.then != Then::Nothing;
    if owed {
        condition.then = Then::Resume;
    }
    let ended = condition.state == State::Exited && condition.started_at.is_some();
    if ended && (owed || resumes(policy, condition, rebooted)) {
        condition.state = State::Restarting;
        condition.restart_count += 1;
        if rebooted || was_steady(condition) {
            condition.restart_pause = 0;
        }
        condition.stopped_by_hand = false;
    }
}

/// Puts a container into the index; its owner has yet to begin.
fn adopt(core: &Arc<Core>, found: Found) -> Result<Owner> {
    let Found { record, body, condition, shim } = found;
    let id: Arc<str> = record.id.into();
    let created = Timestamp::from_nanosecond(i128::from(record.created)).unwrap_or_default();
    let (state, auto_remove) = (condition.state, body.spec.host.auto_remove);
    let died = matches!(shim, Occupant::Nobody)
        && !state.is_alive()
        && record::read::<Condition>(&record.state)?.state.is_alive();
    let end = [("exitCode", condition.exit_code.to_string()), ("execDuration", condition.seconds().to_string())];
    let learned = record::write(&condition)?;
    if learned != record.state
        && let Err(error) = core.record(|metadata| metadata.set_container_state(&id, &learned))
    {
        tracing::error!(%id, %error, "what became of the container could not be written down");
    }
    if state.is_alive() {
        // Those that are gone nobody can be in.
        body.spec.networking.keys().for_each(|name| drop(core.networks.enter(name, &id)));
    }
    let mut view = core.view(record.name.clone(), body, condition);
    let mut orphans = Vec::new();
    let events = match shim {
        Occupant::Adopted(shim, state) => {
            let kept = shim.kept(&state);
            let (link, events) = shim.watch().context(|| format!("watch the shim of container {id}"))?;
            view.pid = state.pid.unwrap_or(0);
            view.link = Some(link);
            if state.pid.is_some()
                && let Some(attached) = core.adopt_networks(&id, &view, kept)
            {
                view.condition.attached = Some(Arc::new(attached));
            }
            core.execs.adopt(&id, &state.execs, &state.ended_execs);
            orphans = state.execs.into_iter().map(|exec| exec.id).collect();
            Some(events)
        }
        Occupant::OutOfReach(shim) => {
            // So that its places are not taken for leftovers.
            core.adopt_networks(&id, &view, Vec::new());
            shim.watch()
        }
        Occupant::Nobody => None,
    };
    let orphan = view.link.is_none();
    let (container, mailbox) = Container::new((Arc::clone(&id), created), (record.image, record.layer), view);
    {
        let mut containers = core.containers();
        containers.reserve(&record.name, &id)?;
        containers.insert(Arc::clone(&id), Arc::clone(&container));
    }
    let owner = Owner::new(Arc::clone(core), Arc::clone(&container), mailbox, events);
    owner.end_orphaned_execs(&orphans);
    if died {
        // Nobody was there to tell it, and nothing else is left of one that removes itself.
        core.container_event(&container, "die", &end);
    }
    let half_removed = matches!(state, State::Removing | State::Dead);
    if half_removed || (auto_remove && state == State::Exited && orphan) {
        container.remove_unheard(auto_remove)?;
    }
    Ok(owner)
}

/// Shows a container that nobody can read as dead, with what is known of it, so that it can be removed. What is written
/// of it stays as it is: a newer dhow may have written it, and be used again.
fn adopt_unreadable(core: &Arc<Core>, unreadable: Unreadable) -> Result<()> {
    let Unreadable { record, error } = unreadable;
    let id: Arc<str> = record.id.into();
    tracing::error!(%id, %error, "the record of a container cannot be read");
    // It may run.
    core.kernel.spare_strangers();
    let body = record::read_body(&record.spec).unwrap_or_default();
    let hint = error.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
    let error = format!("its record cannot be read: {error}{hint}");
    let view = core.view(record.name.clone(), body, Condition { state: State::Dead, error, ..Condition::default() });
    let created = Timestamp::from_nanosecond(i128::from(record.created)).unwrap_or_default();
    let (container, mailbox) = Container::new((Arc::clone(&id), created), (record.image, record.layer), view);
    {
        let mut containers = core.containers();
        containers.reserve(&record.name, &id)?;
        containers.insert(Arc::clone(&id), Arc::clone(&container));
    }
    tokio::spawn(Owner::new(Arc::clone(core), container, mailbox, None).run());
    Ok(())
}

/// What another engine has left mounted for containers that are not alive.
fn sweep_mounts(core: &Core, alive: &HashSet<String>) {
    for folder in ["images", "shm"] {
        let left = names(&core.config.exec_root.join(folder));
        left.iter().filter(|id| !alive.contains(*id)).for_each(|id| crate::start::unmount(core, id));
    }
}

/// What containers left that are not ours any more: an engine died while it removed them. Only what is under this
/// engine's own roots is looked at; the cgroup of an unknown id may belong to another engine of this host.
fn sweep_unknown(core: &Core, known: &HashSet<String>) {
    for id in names(&core.config.exec_root.join("containers")) {
        if !known.contains(&id) && !exists_now(core, &id) {
            crate::leftovers::sweep(core, &id, core.host.cgroup("", &id).as_deref());
        }
    }
}

/// A container that was made while we were looking.
fn exists_now(core: &Core, id: &str) -> bool {
    core.containers().find(id).is_ok()
}

/// The names of what is in a folder; none where there is no folder.
fn names(folder: &PathBuf) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(|entry| entry.path().is_dir()).filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit(started: i64) -> Exit {
        Exit {
            code: 3,
            oom_killed: false,
            started_at: Time(started),
            finished_at: Time(started + 1),
            error: String::new(),
            log_losses: dhow_logs::Losses::default(),
        }
    }

    fn running() -> Condition {
        Condition { state: State::Running, started_at: Some(Time(10)), ..Condition::default() }
    }

    #[test]
    fn an_end_that_was_written_down_is_learned() {
        let mut condition = running();
        ended_meanwhile(&mut condition, Some(exit(10)));
        assert_eq!((condition.state, condition.exit_code), (State::Exited, 3));
    }

    #[test]
    fn an_end_that_nobody_saw_is_told_as_such() {
        let mut condition = running();
        ended_meanwhile(&mut condition, None);
        assert_eq!((condition.state, condition.exit_code), (State::Exited, UNKNOWN_END));
        assert!(!condition.error.is_empty());
    }

    #[test]
    fn a_run_between_two_records_is_learned_and_an_old_one_is_not_new() {
        let mut condition = Condition::default();
        ended_meanwhile(&mut condition, Some(exit(5)));
        assert_eq!(condition.state, State::Exited);
        let before = Condition { exit_code: 7, ..condition.clone() };
        let mut same = before.clone();
        ended_meanwhile(&mut same, Some(exit(5)));
        assert_eq!(same, before);
    }
}
