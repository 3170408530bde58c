//! What people do to an engine that works: they stop it, put another binary in its place, break its configuration. The
//! containers are up all the while, and the engine comes back, or does not go down.

use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use dhow_testkit::eventually;
use rustix::process::{Pid, Signal, kill_process};

use super::rounds;
use crate::busybox;
use crate::networks::{address, answers, request, serve};

/// So many failures are told.
const ENOUGH: usize = 100;

/// Ends the requests when dropped.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Requests to a container that come one after the other, without a pause.
#[derive(Default)]
struct Load {
    over: AtomicBool,
    answered: AtomicUsize,
    /// Where there was no answer, and what the engine was doing.
    failed: Mutex<Vec<String>>,
    phase: Mutex<&'static str>,
}

impl Load {
    /// Asks there beside `meanwhile`; gives the requests that came back without an answer.
    fn during(&self, places: &[String], meanwhile: impl FnOnce(&Self)) -> Vec<String> {
        thread::scope(|scope| {
            for place in places {
                scope.spawn(move || {
                    while !self.over.load(Ordering::Relaxed) {
                        match request(place).as_deref() {
                            Ok("web") => _ = self.answered.fetch_add(1, Ordering::Relaxed),
                            other => self.fail(format!("{place}: {other:?}")),
                        }
                    }
                });
            }
            // Also where `meanwhile` fails: nobody would end otherwise.
            let _over = Over(&self.over);
            meanwhile(self);
        });
        self.failed.lock().expect("no panic").clone()
    }

    fn fail(&self, how: String) {
        let phase = self.phase.lock().expect("no panic");
        let mut failed = self.failed.lock().expect("no panic");
        if failed.len() < ENOUGH {
            failed.push(format!("{how} when the engine {phase}"));
        }
    }

    /// Waits until many more were answered.
    fn goes_on(&self, what_next: &'static str) {
        let before = self.answered.load(Ordering::Relaxed);
        let failed = || !self.failed.lock().expect("no panic").is_empty();
        eventually("requests are answered", || failed() || self.answered.load(Ordering::Relaxed) > before + 50);
        *self.phase.lock().expect("no panic") = what_next;
    }
}

/// moby#37142: some requests failed while the engine stopped and started.
#[test]
fn no_request_fails_while_the_engine_stops_starts_and_is_upgraded() {
    let mut world = busybox();
    world.stop_engine();
    world.upgrade();
    world.start_engine();
    serve(&world, "web", &["-p", "8080:80"]);
    let gateway = world.inspect("web", "{{(index .NetworkSettings.Networks \"bridge\").Gateway}}");
    // By the process that passes ports on, by the rules of the kernel, and past both.
    let places = ["127.0.0.1:8080".to_owned(), format!("{gateway}:8080"), address(&world, "web", "bridge") + ":80"];
    places.iter().for_each(|place| answers(place, "web"));
    let failed = Load::default().during(&places, |load| {
        for _ in 0..rounds(2) {
            load.goes_on("stops");
            world.stop_engine();
            load.goes_on("starts again");
            world.start_engine();
            load.goes_on("is killed");
            world.crash_engine();
            load.goes_on("comes back");
            world.start_engine();
            load.goes_on("is upgraded");
            world.upgrade();
            world.stop_engine();
            world.start_engine();
        }
        load.goes_on("is there");
    });
    assert_eq!(failed, [""; 0], "requests without an answer");
    world.dhow(&["exec", "web", "true"]).exits(0);
    world.is_in_order();
}

/// for-linux#1155: only one part is upgraded. An engine whose file is not there any more makes containers, and a client of
/// the new one works with it.
#[test]
fn an_engine_whose_binary_was_replaced_works_until_it_is_restarted() {
    let mut world = busybox();
    world.stop_engine();
    world.upgrade();
    world.start_engine();
    world.dhow(&["run", "-d", "--name", "before", "busybox", "sleep", "1000"]).exits(0);
    world.upgrade();
    for name in ["between", "again"] {
        world.dhow(&["run", "-d", "--name", name, "busybox", "sleep", "1000"]).exits(0);
    }
    world.dhow(&["exec", "before", "true"]).exits(0);
    world.dhow(&["restart", "-t", "0", "before"]).exits(0);
    world.stop_engine();
    world.start_engine();
    for name in ["before", "between", "again"] {
        world.dhow(&["exec", name, "true"]).exits(0);
        world.dhow(&["restart", "-t", "0", name]).exits(0);
    }
    world.is_in_order();
}

/// for-linux#813: an upgrade stopped the engine and never started it again.
#[test]
fn a_bad_configuration_ends_no_engine_and_is_told_to_the_next_one() {
    let mut world = busybox();
    world.dhow(&["run", "-d", "--name", "box", "--restart", "always", "busybox", "sleep", "1000"]).exits(0);
    let (pid, file) = (world.inspect("box", "{{.State.Pid}}"), world.path().join("daemon.toml"));
    let config = file.display().to_string();
    for bad in ["debug = [\n", "no-such-key = 1\n", "mtu = \"many\"\n"] {
        fs::write(&file, bad).expect("written");
        // Who installs an upgrade can ask before, and need not stop anything.
        world.dhow(&["daemon", "--validate", "--config-file", &config]).exits(1).says(&config);
        let engine = i32::try_from(world.engine_pid().expect("it runs")).expect("a pid");
        let told = world.engine_log().len();
        kill_process(Pid::from_raw(engine).expect("not 0"), Signal::HUP).expect("it is this world's");
        eventually("it has looked", || world.engine_log().len() > told);
        world.dhow(&["exec", "box", "true"]).exits(0);
        world.stop_engine();
        let said = world.try_start_engine().expect_err("nobody can know what is meant");
        assert!(said.contains(&config), "{said}");
        fs::write(&file, "").expect("written");
        world.start_engine();
        assert_eq!(world.inspect("box", "{{.State.Pid}}"), pid, "it ran all the time");
    }
    world.is_in_order();
}
