//! SIGKILL at random moments: to the engine, to shims, to both.

use std::hint;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use dhow_testkit::{Door, World};
use fastrand::Rng;
use rustix::process::{Pid, Signal, kill_process};

use super::containers::{body, create, exec, post, remove};
use super::{chance, rounds};
use crate::busybox;

pub(super) const CLIENTS: usize = 4;
/// Names for which a client has containers, one after the other.
const NAMES: usize = 3;

/// One thing that a client may do: by its number, and by chance.
pub(super) type Step = fn(&mut Door, usize, &mut Rng) -> std::io::Result<()>;

/// Clients that do what comes into their heads until they are told to stop; `done` counts what they did.
pub(super) struct Clients {
    socket: PathBuf,
    step: Step,
    done: AtomicUsize,
    over: AtomicBool,
}

impl Clients {
    pub(super) fn new(world: &World, step: Step) -> Self {
        Self { socket: world.socket(), step, done: AtomicUsize::new(0), over: AtomicBool::new(false) }
    }

    /// Runs the clients beside `meanwhile`.
    pub(super) fn work<T>(&self, chance: &mut Rng, meanwhile: impl FnOnce(&mut Rng) -> T) -> T {
        thread::scope(|scope| {
            for number in 0..CLIENTS {
                let mut chance = chance.fork();
                scope.spawn(move || self.client(number, &mut chance));
            }
            let result = meanwhile(chance);
            self.over.store(true, Ordering::Relaxed);
            result
        })
    }

    /// An engine that goes away in the middle of a request is what these tests are about.
    fn client(&self, number: usize, chance: &mut Rng) {
        while !self.over.load(Ordering::Relaxed) {
            let Ok(mut door) = Door::open(&self.socket) else { return };
            while !self.over.load(Ordering::Relaxed) && (self.step)(&mut door, number, chance).is_ok() {
                self.done.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Waits until the clients have done some more, and a moment longer.
    pub(super) fn progress(&self, chance: &mut Rng) {
        let wanted = self.done.load(Ordering::Relaxed) + chance.usize(1..20);
        while self.done.load(Ordering::Relaxed) < wanted {
            thread::yield_now();
        }
        (0..chance.u32(0..500_000)).for_each(|_| hint::spin_loop());
    }
}

/// Clients work, and after so many times of progress the engine is killed; then the next one is started.
pub(super) fn kill_at_work(world: &mut World, chance: &mut Rng, (step, times): (Step, usize)) {
    let clients = Clients::new(world, step);
    clients.work(chance, |chance| {
        (0..times).for_each(|_| clients.progress(chance));
        world.crash_engine();
    });
    world.start_engine();
}

/// One thing that a client may do with one of its containers.
fn step(door: &mut Door, client: usize, chance: &mut Rng) -> std::io::Result<()> {
    let name = format!("c{client}n{}", chance.usize(..NAMES));
    match chance.u32(..16) {
        0..5 => {
            let script = chance.choice(["exec sleep 1000", "exit 3", "sleep 1000 & sleep 1000 & exec sleep 1000"]);
            drop(create(door, &name, &body(script.unwrap_or_default(), ""))?);
            post(door, &name, "start")?;
        }
        5..7 => drop(post(door, &name, "start")?),
        7..9 => exec(door, &name)?,
        9 => drop(post(door, &name, "stop?t=0")?),
        10 => drop(post(door, &name, "kill")?),
        11 => drop(post(door, &name, "restart?t=0")?),
        12 => drop(post(door, &name, "pause")?),
        13 => drop(post(door, &name, "unpause")?),
        _ => drop(remove(door, &name)?),
    }
    Ok(())
}

/// Everything can be looked at and is whole; sometimes everything can be removed.
fn check(world: &World, remove: bool) {
    world.is_in_order();
    let ids = world.dhow(&["ps", "--all", "--quiet", "--no-trunc"]).ok();
    let ids: Vec<&str> = ids.lines().collect();
    if ids.is_empty() {
        return;
    }
    world.dhow(&[&["inspect", "--format", "{{.State.Status}}"], ids.as_slice()].concat()).exits(0);
    for id in &ids {
        world.dhow(&["logs", id]).exits(0);
    }
    if remove {
        world.dhow(&[&["rm", "--force"], ids.as_slice()].concat()).exits(0);
        assert_eq!(world.dhow(&["ps", "--all", "--quiet"]).ok(), "");
        world.is_in_order();
    }
}

fn kill(pid: i32) {
    // It may have ended by itself meanwhile; nobody else of this world's processes gets its number so soon.
    let _ = kill_process(Pid::from_raw(pid).expect("not 0"), Signal::KILL);
}

fn kill_some_shim(world: &World, chance: &mut Rng) {
    if let Some(&shim) = chance.choice(&world.shims()) {
        kill(shim);
    }
}

#[test]
fn an_engine_killed_at_random_moments_leaves_everything_in_order() {
    let mut world = busybox();
    let mut chance = chance();
    for round in 0..rounds(6) {
        kill_at_work(&mut world, &mut chance, (step, 1));
        check(&world, round % 2 == 1);
    }
}

#[test]
fn shims_killed_at_random_moments_leave_everything_in_order() {
    let world = busybox();
    let mut chance = chance();
    for round in 0..rounds(3) {
        let clients = Clients::new(&world, step);
        clients.work(&mut chance, |chance| {
            for _ in 0..6 {
                clients.progress(chance);
                kill_some_shim(&world, chance);
            }
        });
        check(&world, round % 2 == 1);
    }
}

#[test]
fn shims_and_engine_killed_together_leave_everything_in_order() {
    let mut world = busybox();
    let mut chance = chance();
    for round in 0..rounds(3) {
        let clients = Clients::new(&world, step);
        clients.work(&mut chance, |chance| {
            clients.progress(chance);
            let shims = world.shims();
            let (before, after) = shims.split_at(chance.usize(..=shims.len()));
            before.iter().for_each(|&shim| kill(shim));
            world.crash_engine();
            after.iter().filter(|_| chance.bool()).for_each(|&shim| kill(shim));
        });
        world.start_engine();
        check(&world, round % 2 == 1);
    }
}
