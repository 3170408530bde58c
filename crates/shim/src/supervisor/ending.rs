//! The end of the container, in the order that others rely on.

use std::os::fd::OwnedFd;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use dhow_errdefs::{Error, message};
use dhow_logs::Timestamp;
use rustix::process::{Signal, WaitOptions};

use super::{Supervisor, exit_code};
use crate::container::Container;
use crate::protocol::{Event, Exit};

/// How long the end waits to be told until the container's file systems are unmounted.
const PATIENCE: Duration = Duration::from_secs(2);

/// Lets go of a mount namespace that nobody else has any more: the kernel unmounts everything in it, which takes a
/// millisecond, and seconds with a file server or a disk that has much to write. Gives what tells when it is done.
fn unmount_aside(mounts: OwnedFd) -> Receiver<()> {
    let (done, told) = mpsc::channel::<()>();
    let unmount = move || drop((mounts, done));
    // Without a thread it is done at once.
    let _ = thread::Builder::new().name("unmount".to_owned()).stack_size(64 << 10).spawn(unmount);
    told
}

impl Supervisor {
    /// The first process has ended. All others end with it; then the log is completed, the end written down, told, and
    /// everything undone.
    pub(super) fn container_ended(&mut self, code: i32) {
        let finished_at = Timestamp::now();
        let unmounting = self.mounts.take().map(unmount_aside);
        let Some(container) = &self.container else { return };
        container.end_others();
        let (oom_killed, started_at) = (container.oom_kills() > 0, container.started_at);
        self.end_execs();
        self.refuse_births();
        self.kept.clear();
        self.streams.finish(&mut self.buffer, &self.poll);
        let log_losses = self.streams.log_losses();
        let exit = Exit { code, oom_killed, started_at, finished_at, error: String::new(), log_losses };
        if oom_killed && self.oom_kills == 0 {
            self.tell(Event::Oom);
        }
        self.write_down(exit);
        if let Some(container) = &self.container {
            container.clear_away();
        }
        // Whoever hears of the end may unmount, or take the disk out; but nobody is kept waiting for a slow one.
        if let Some(unmounting) = unmounting {
            let _ = unmounting.recv_timeout(PATIENCE);
        }
        self.tell_end();
        if self.undo() {
            self.tell(Event::Gone);
        }
        self.over = true;
    }

    /// All execs have ended by now; who cannot be reaped is stuck in the kernel, and told as killed.
    fn end_execs(&mut self) {
        while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            self.exec_ended(pid.as_raw_pid(), exit_code(status));
        }
        let left: Vec<i32> = self.execs.iter().filter(|exec| !exec.ended).map(|exec| exec.pid).collect();
        for pid in left {
            self.exec_ended(pid, 128 + Signal::KILL.as_raw());
        }
    }

    /// Whoever is on the way into the container finds nobody there any more.
    fn refuse_births(&mut self) {
        let id = self.container.as_ref().map(|container| container.id.clone()).unwrap_or_default();
        for expected in self.births.abandon() {
            self.answer(expected.to, Err(Error::conflict(message::not_running(&id))));
        }
    }

    /// Writes the end down; nobody is told before.
    fn write_down(&mut self, mut exit: Exit) {
        let Some(container) = &self.container else { return };
        if let Err(error) = container.record_exit(&exit) {
            // Who is connected is told all the same; who comes later finds us gone and no record, which is an end too.
            exit.error = error.to_string();
        }
        self.exit = Some(exit);
    }

    fn tell_end(&mut self) {
        if let Some(exit) = self.exit.clone() {
            self.tell(Event::Exited(exit));
        }
    }

    /// Undoes everything, and says whether it is undone. When the cgroup cannot be removed, the run directory stays: by it
    /// the engine finds what is left, when our connection ends.
    fn undo(&mut self) -> bool {
        self.controls.stop_listening(&self.poll);
        if let Some(watch) = self.oom_watch.take() {
            self.poll.remove(&watch);
        }
        let cleaned = self.container.as_ref().is_none_or(|container| container.clean_up().is_ok());
        for failure in self.container.as_ref().map(Container::say_farewell).unwrap_or_default() {
            self.tell(Event::Warning(failure));
        }
        let place = self.place.take();
        cleaned && place.is_none_or(|place| place.leave().is_ok())
    }
}
