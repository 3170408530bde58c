//! Clients that are told to end while they are attached: what they end with, and what becomes of what they had started.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use dhow_testkit::eventually;
use rustix::process::{Pid, Signal, kill_process};

use crate::busybox;

/// Says that it is there, and how it ends.
const SCRIPT: &str = "trap 'exit 7' TERM; trap 'exit 8' INT; echo ready; while :; do sleep 0.1; done";

/// Starts a client, and waits until what it has started is ready.
fn ready(command: &mut Command) -> Child {
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("it prints");
    assert_eq!(line, "ready\n");
    child
}

fn ended_by(mut child: Child, signal: Signal) -> Option<i32> {
    kill_process(Pid::from_child(&child), signal).expect("our child");
    child.wait().expect("it ends").code()
}

/// The stock client ends with 0, or with the signal's own code where it fails before the signal has ended it.
fn is_stocks(code: Option<i32>, signal: Signal) -> bool {
    [Some(0), Some(128 + signal.as_raw())].contains(&code)
}

#[test]
fn exec_ends_well_and_leaves_the_program_to_the_container() {
    let world = busybox();
    world.dhow(&["run", "-d", "--name", "box", "busybox", "sleep", "100000"]).exits(0);
    let exec = ["exec", "box", "sh", "-c", SCRIPT];
    for signal in [Signal::TERM, Signal::INT] {
        assert_eq!(ended_by(ready(&mut world.command(&exec)), signal), Some(0), "{signal:?}");
        assert!(is_stocks(ended_by(ready(&mut world.stock_command(&exec)), signal), signal));
    }
    let left = world.dhow(&["top", "box", "-o", "pid,args"]).ok();
    assert!(left.contains("echo ready"), "{left}");
}

#[test]
fn start_passes_the_signal_on_and_ends_well() {
    let world = busybox();
    for (signal, code) in [(Signal::TERM, 7), (Signal::INT, 8)] {
        for stock in [false, true] {
            let name = format!("box{code}{stock}");
            world.dhow(&["create", "--name", &name, "busybox", "sh", "-c", SCRIPT]).exits(0);
            let args = ["start", "-a", &name];
            let mut command = if stock { world.stock_command(&args) } else { world.command(&args) };
            let ended = ended_by(ready(&mut command), signal);
            assert!(ended == Some(0) || stock && is_stocks(ended, signal), "{name}: {ended:?}");
            // The stock client may be gone before it has passed the signal on.
            let ended = format!("exited {code}");
            let is = || world.inspect(&name, "{{.State.Status}} {{.State.ExitCode}}") == ended;
            if !stock {
                eventually("it has ended", is);
            }
        }
    }
}
