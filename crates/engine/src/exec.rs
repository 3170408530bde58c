//! Further processes in running containers.

mod run;
mod user;

use std::collections::{HashMap, VecDeque};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dhow_errdefs::{Error, Result, message};
use dhow_shim::protocol::{EndedExec, RunningExec};

use crate::ExecDetails;
use crate::health::is_probe;
use crate::spec::ExecSpec;
use user::Lookups;

/// How long an exec that has ended can still be inspected, as in Docker.
const REMEMBERED: Duration = Duration::from_secs(300);

/// How many execs of a container may wait to be started, and how many bytes they may have altogether. Docker keeps any
/// number; who creates more than that without starting them has forgotten them, and the oldest are dropped.
const MOST_WAITING: usize = 1_000;
const MOST_BYTES: usize = 32 << 20;

/// The execs of all containers.
#[derive(Debug, Default)]
pub(crate) struct Execs {
    all: Mutex<All>,
    lookups: Lookups,
}

/// They by their ids, and what has to be found among them without looking at each.
#[derive(Debug, Default)]
struct All {
    execs: HashMap<String, Exec>,
    /// Those that nobody has started, by container.
    waiting: HashMap<Arc<str>, Waiting>,
    /// Those that have ended, in that order. Some may be gone already, with their containers.
    ended: VecDeque<(Instant, String)>,
}

/// Execs of one container that nobody has started, from the oldest on, and what each weighs.
#[derive(Debug, Default)]
struct Waiting {
    ids: VecDeque<(String, usize)>,
    bytes: usize,
}

/// One of them.
#[derive(Debug)]
struct Exec {
    container: Arc<str>,
    spec: Arc<ExecSpec>,
    phase: Phase,
    /// Our copy of the client's socket: the client must not see the end before the exit code can be asked for.
    client: Option<OwnedFd>,
    /// Its program could not be started.
    failed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Created,
    Starting,
    Running { pid: i32 },
    Ended { code: i32 },
}

/// An exec that has just ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub container: String,
}

impl Execs {
    /// Keeps a new one.
    pub(crate) fn insert(&self, id: String, container: Arc<str>, spec: ExecSpec) {
        let mut all = self.lock();
        all.forget_ended(Instant::now());
        all.wait(&id, &container, weight(&spec));
        all.execs.insert(id, Exec::new(container, spec, Phase::Created));
    }

    /// Takes over what an engine before this one has started in a container. What was asked for then is not known any more.
    pub(crate) fn adopt(&self, container: &Arc<str>, running: &[RunningExec], ended: &[EndedExec]) {
        let mut all = self.lock();
        let at = Instant::now();
        let running = running.iter().map(|exec| (&exec.id, Phase::Running { pid: exec.pid }));
        let ended = ended.iter().map(|exec| (&exec.id, Phase::Ended { code: exec.code }));
        for (id, phase) in running.chain(ended).filter(|(id, _)| !is_probe(id)) {
            if let Phase::Ended { .. } = phase {
                all.ended.push_back((at, id.clone()));
            }
            all.execs.insert(id.clone(), Exec::new(Arc::clone(container), ExecSpec::default(), phase));
        }
    }

    /// The container and the spec of an exec.
    pub(crate) fn find(&self, id: &str) -> Result<(Arc<str>, Arc<ExecSpec>)> {
        let all = self.lock();
        let exec = all.execs.get(id).ok_or_else(|| unknown(id))?;
        Ok((Arc::clone(&exec.container), Arc::clone(&exec.spec)))
    }

    /// Whether nobody has started it yet.
    pub(crate) fn check(&self, id: &str) -> Result<()> {
        self.lock().execs.get(id).ok_or_else(|| unknown(id))?.check(id)
    }

    /// Takes the right to start it, once.
    pub(crate) fn claim(&self, id: &str) -> Result<()> {
        let mut all = self.lock();
        let exec = all.execs.get_mut(id).ok_or_else(|| unknown(id))?;
        exec.check(id)?;
        exec.phase = Phase::Starting;
        let container = Arc::clone(&exec.container);
        all.wait_no_more(id, &container);
        Ok(())
    }

    /// Keeps our copy of the client's socket until the exec ends.
    pub(crate) fn hold(&self, id: &str, client: OwnedFd) {
        if let Some(exec) = self.lock().execs.get_mut(id)
            && !matches!(exec.phase, Phase::Ended { .. })
        {
            exec.client = Some(client);
        }
    }

    /// It runs, unless its end has been told already.
    pub(crate) fn runs(&self, id: &str, pid: i32) {
        if let Some(exec) = self.lock().execs.get_mut(id)
            && exec.phase == Phase::Starting
        {
            exec.phase = Phase::Running { pid };
        }
    }

    /// It could not be started.
    pub(crate) fn failed(&self, id: &str, code: i32) {
        if let Some(exec) = self.lock().end(id, code) {
            exec.failed = true;
        }
    }

    /// It has ended. `None` if that was known.
    pub(crate) fn ended(&self, id: &str, code: i32) -> Option<Ended> {
        self.lock().end(id, code).map(|exec| Ended { container: exec.container.to_string() })
    }

    /// The container has ended: so have its execs, killed with it where nobody said otherwise. Those that nobody has started
    /// were for that run, and are forgotten as Docker forgets them.
    pub(crate) fn container_ended(&self, container: &str) {
        let mut all = self.lock();
        let All { execs, waiting, ended } = &mut *all;
        waiting.remove(container);
        execs.retain(|id, exec| {
            let is_of_it = &*exec.container == container;
            if is_of_it && matches!(exec.phase, Phase::Running { .. } | Phase::Starting) {
                exec.end(137);
                ended.push_back((Instant::now(), id.clone()));
            }
            !is_of_it || exec.phase != Phase::Created
        });
    }

    /// It is not to be, after all.
    pub(crate) fn withdraw(&self, id: &str) {
        let mut all = self.lock();
        if let Some(exec) = all.execs.remove(id) {
            all.wait_no_more(id, &exec.container);
        }
    }

    /// Those that run in a container as far as is known here, and are not among these.
    pub(crate) fn missing_from(&self, running: &[String], container: &str) -> Vec<String> {
        let all = self.lock();
        let runs = |exec: &Exec| &*exec.container == container && matches!(exec.phase, Phase::Running { .. });
        let missing = all.execs.iter().filter(|(id, exec)| runs(exec) && !running.contains(id));
        missing.map(|(id, _)| id.clone()).collect()
    }

    /// Whether it was told that it could not be started.
    pub(crate) fn has_failed(&self, id: &str) -> bool {
        self.lock().execs.get(id).is_some_and(|exec| exec.failed)
    }

    pub(crate) fn forget_container(&self, container: &str) {
        let mut all = self.lock();
        all.waiting.remove(container);
        all.execs.retain(|_, exec| &*exec.container != container);
    }

    /// Those of a container that can still be started or run.
    pub(crate) fn of_container(&self, container: &str) -> Vec<String> {
        let mut ids: Vec<String> = self
            .lock()
            .execs
            .iter()
            .filter(|(_, exec)| &*exec.container == container && !matches!(exec.phase, Phase::Ended { .. }))
            .map(|(id, _)| id.clone())
            .collect();
        ids.sort_unstable();
        ids
    }

    pub(crate) fn details(&self, id: &str) -> Result<ExecDetails> {
        let all = self.lock();
        let exec = all.execs.get(id).ok_or_else(|| unknown(id))?;
        let (pid, exit_code) = match exec.phase {
            Phase::Running { pid } => (pid, None),
            Phase::Ended { code } => (0, Some(code)),
            Phase::Created | Phase::Starting => (0, None),
        };
        Ok(ExecDetails {
            id: id.to_owned(),
            container_id: exec.container.to_string(),
            spec: Arc::clone(&exec.spec),
            running: matches!(exec.phase, Phase::Running { .. } | Phase::Starting),
            exit_code,
            pid,
            stdin_open: exec.spec.attach_stdin && exit_code.is_none(),
            can_remove: exit_code.is_some(),
            failed: exec.failed,
        })
    }

    fn lock(&self) -> MutexGuard<'_, All> {
        // Whole after each statement, whoever panicked.
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl All {
    /// Forgets those that ended too long ago to be asked for.
    fn forget_ended(&mut self, now: Instant) {
        while self.ended.front().is_some_and(|(at, _)| now.duration_since(*at) > REMEMBERED) {
            let Some((_, id)) = self.ended.pop_front() else { return };
            self.execs.remove(&id);
        }
    }

    /// One more waits to be started; the oldest make room for it.
    fn wait(&mut self, id: &str, container: &Arc<str>, bytes: usize) {
        let waiting = self.waiting.entry(Arc::clone(container)).or_default();
        waiting.ids.push_back((id.to_owned(), bytes));
        waiting.bytes += bytes;
        while waiting.ids.len() > 1 && (waiting.ids.len() > MOST_WAITING || waiting.bytes > MOST_BYTES) {
            let Some((id, bytes)) = waiting.ids.pop_front() else { return };
            waiting.bytes -= bytes;
            self.execs.remove(&id);
        }
    }

    fn wait_no_more(&mut self, id: &str, container: &str) {
        let Some(waiting) = self.waiting.get_mut(container) else { return };
        let place = waiting.ids.iter().position(|(waits, _)| waits == id);
        if let Some((_, bytes)) = place.and_then(|place| waiting.ids.remove(place)) {
            waiting.bytes -= bytes;
        }
        if waiting.ids.is_empty() {
            self.waiting.remove(container);
        }
    }

    /// Ends one. `None` if that was known.
    fn end(&mut self, id: &str, code: i32) -> Option<&mut Exec> {
        let exec = self.execs.get_mut(id).filter(|exec| !matches!(exec.phase, Phase::Ended { .. }))?;
        exec.end(code);
        self.ended.push_back((Instant::now(), id.to_owned()));
        Some(exec)
    }
}

/// About how many bytes a spec takes.
fn weight(spec: &ExecSpec) -> usize {
    spec.cmd.iter().chain(&spec.env).map(|text| text.len() + size_of::<String>()).sum()
}

impl Exec {
    fn new(container: Arc<str>, spec: ExecSpec, phase: Phase) -> Self {
        Self { container, spec: Arc::new(spec), phase, client: None, failed: false }
    }

    /// Docker's words where it was started.
    fn check(&self, id: &str) -> Result<()> {
        match self.phase {
            Phase::Created => Ok(()),
            Phase::Starting | Phase::Running { .. } => {
                Err(Error::conflict(format!("Error: Exec command {id} is already running")))
            }
            Phase::Ended { .. } => Err(Error::conflict(format!("Error: Exec command {id} has already run"))),
        }
    }

    fn end(&mut self, code: i32) {
        self.phase = Phase::Ended { code };
        self.client = None;
    }
}

fn unknown(id: &str) -> Error {
    Error::not_found(message::no_such_exec(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shim_knows_nothing_of_has_ended() {
        let execs = Execs::default();
        for id in ["one", "two", "waits", "failed"] {
            execs.insert(id.into(), "c".into(), ExecSpec::default());
        }
        for (id, pid) in [("one", 1), ("two", 2)] {
            execs.claim(id).unwrap();
            execs.runs(id, pid);
        }
        execs.failed("failed", 126);
        assert_eq!(execs.missing_from(&["two".to_owned(), "failed".to_owned()], "c"), ["one"]);
        assert!(execs.missing_from(&[], "other").is_empty());
        assert!(execs.has_failed("failed") && !execs.has_failed("one") && !execs.has_failed("unknown"));
    }

    #[test]
    fn an_exec_runs_once() {
        let execs = Execs::default();
        execs.insert("e".into(), "c".into(), ExecSpec::default());
        execs.claim("e").unwrap();
        assert!(execs.claim("e").unwrap_err().to_string().contains("is already running"));
        execs.runs("e", 7);
        assert_eq!(execs.of_container("c"), ["e"]);
        assert!(execs.ended("e", 3).is_some() && execs.ended("e", 4).is_none());
        let details = execs.details("e").unwrap();
        assert_eq!((details.exit_code, details.running), (Some(3), false));
        assert!(execs.claim("e").unwrap_err().to_string().contains("has already run"));
    }

    #[test]
    fn those_that_nobody_starts_are_forgotten_from_the_oldest_on() {
        let execs = Execs::default();
        let insert = |id: usize, container: &str, spec| execs.insert(id.to_string(), container.into(), spec);
        insert(0, "other", ExecSpec::default());
        insert(1, "c", ExecSpec::default());
        execs.claim("1").unwrap();
        for id in 2..2 + MOST_WAITING + 2 {
            insert(id, "c", ExecSpec::default());
        }
        assert_eq!(execs.of_container("other"), ["0"]);
        let left = execs.of_container("c");
        assert_eq!(left.len(), MOST_WAITING + 1, "one of them runs");
        assert!(execs.find("1").is_ok() && execs.find("2").is_err() && execs.find("4").is_ok());
        let large = ExecSpec { env: vec!["x".repeat(MOST_BYTES)], ..ExecSpec::default() };
        insert(5_000, "c", large);
        assert_eq!(execs.of_container("c"), ["1", "5000"]);
    }

    #[test]
    fn those_of_an_engine_before_are_known_and_end() {
        let execs = Execs::default();
        let running = RunningExec { id: "e".into(), pid: 7 };
        let probe = EndedExec { id: crate::health::new_probe(), code: 1 };
        execs.adopt(&"c".into(), &[running], &[EndedExec { id: "f".into(), code: 3 }, probe.clone()]);
        assert_eq!((execs.details("e").unwrap().pid, execs.details("f").unwrap().exit_code), (7, Some(3)));
        assert!(execs.details(&probe.id).is_err());
        assert!(execs.ended("e", 4).is_some());
        assert_eq!(execs.details("e").unwrap().exit_code, Some(4));
        assert!(execs.claim("f").is_err());
    }

    #[test]
    fn the_end_may_be_told_before_the_start() {
        let execs = Execs::default();
        execs.insert("e".into(), "c".into(), ExecSpec::default());
        execs.claim("e").unwrap();
        execs.ended("e", 0);
        execs.runs("e", 7);
        assert!(!execs.details("e").unwrap().running);
    }

    #[test]
    fn those_that_have_ended_are_remembered_for_a_while() {
        let execs = Execs::default();
        let start = |id: &str, container: &str| {
            execs.insert(id.into(), container.into(), ExecSpec::default());
            execs.claim(id).unwrap();
        };
        ["runs", "ended", "failed"].into_iter().for_each(|id| start(id, "c"));
        start("killed", "other");
        execs.ended("ended", 0);
        execs.failed("failed", 126);
        execs.container_ended("other");
        let last = EndedExec { id: "adopted".into(), code: 3 };
        execs.adopt(&"c".into(), &[], &[last]);
        let ids = ["ended", "failed", "killed", "adopted"];
        let known = |id: &&str| execs.details(id).is_ok();
        let now = Instant::now();
        execs.lock().forget_ended(now);
        assert!(ids.iter().all(known));
        execs.lock().forget_ended(now + REMEMBERED * 2);
        assert!(!ids.iter().any(known) && known(&"runs"));
        let all = execs.lock();
        assert!(all.ended.is_empty() && all.waiting.is_empty());
    }
}
