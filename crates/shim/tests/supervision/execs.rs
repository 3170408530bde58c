//! Processes beside the first.

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use dhow_errdefs::Class;
use dhow_shim::protocol::{Exec, Kill, Moment, Op, SignalExec};

use crate::Test;
use crate::world::{World, half_close, interactive, output, process, read_all, read_until, send};

pub(crate) const TESTS: &[Test] = &[
    ("an_exec_has_streams_and_a_code", an_exec_has_streams_and_a_code),
    ("input_of_an_exec_ends_with_its_client", input_of_an_exec_ends_with_its_client),
    ("an_exec_that_leaves_a_child_behind_ends", an_exec_that_leaves_a_child_behind_ends),
    ("an_exec_with_a_terminal", an_exec_with_a_terminal),
    ("an_exec_that_cannot_be_run_harms_nobody", an_exec_that_cannot_be_run_harms_nobody),
    ("an_exec_for_which_nobody_waits_is_not_run", an_exec_for_which_nobody_waits_is_not_run),
    ("a_storm_of_execs", a_storm_of_execs),
    ("execs_end_with_the_container", execs_end_with_the_container),
];

const SLEEP: &str = "exec sleep 1000";

fn kill(mut world: World) {
    world.call(Op::Kill(Kill { signal: 9, all: false })).unwrap();
    world.end();
}

fn an_exec_has_streams_and_a_code() {
    let mut world = World::running(SLEEP);
    let (_, client) = world.exec("e", "echo hello; hostname; exit 3", Some(output())).unwrap();
    assert_eq!(read_all(client), "hello\ntest\n");
    assert_eq!(world.exec_exit("e"), 3);
    kill(world);
}

fn input_of_an_exec_ends_with_its_client() {
    let mut world = World::running(SLEEP);
    let (_, mut client) = world.exec("e", "cat; echo end", Some(interactive())).unwrap();
    send(&mut client, "text ");
    half_close(&client);
    assert_eq!(read_all(client), "text end\n");
    kill(world);
}

fn an_exec_that_leaves_a_child_behind_ends() {
    let mut world = World::running(SLEEP);
    let (_, client) = world.exec("e", "sleep 1000 & echo left", Some(output())).unwrap();
    assert_eq!(read_all(client), "left\n");
    assert_eq!(world.exec_exit("e"), 0);
    kill(world);
}

fn an_exec_with_a_terminal() {
    let mut world = World::running(SLEEP);
    let (near, far) = UnixStream::pair().unwrap();
    let mut process = process("tty; read line; echo \"got $line\"");
    process.terminal = true;
    let exec = Exec { id: "e".to_owned(), process, attach: Some(interactive()), unconfined: false, until: None };
    world.engine.call(Op::Exec(Box::new(exec)), &[far.as_fd()]).unwrap();
    drop(far);
    let mut client = near;
    assert!(read_until(&mut client, "\r\n").starts_with("/dev/pts/"));
    send(&mut client, "x\n");
    assert_eq!(read_all(client), "x\r\ngot x\r\n");
    kill(world);
}

fn an_exec_that_cannot_be_run_harms_nobody() {
    let mut world = World::running(SLEEP);
    let mut process = process("");
    process.args = vec!["nosuch".to_owned()];
    let exec = Exec { id: "e".to_owned(), process, attach: None, unconfined: false, until: None };
    let error = world.call(Op::Exec(Box::new(exec))).unwrap_err();
    assert_eq!(error.class(), Class::NotFound);
    assert!(error.to_string().ends_with("exec: \"nosuch\": executable file not found in $PATH"), "{error}");
    let unknown =
        world.call(Op::SignalExec(SignalExec { exec: "e".to_owned(), signal: 9, family: false })).unwrap_err();
    assert_eq!(unknown.to_string(), "No such exec instance: e");
    kill(world);
}

fn an_exec_for_which_nobody_waits_is_not_run() {
    let mut world = World::running(SLEEP);
    let mut ask = |until: Moment| {
        let process = process("true");
        let exec = Exec { id: "e".to_owned(), process, attach: None, unconfined: false, until: Some(until) };
        world.call(Op::Exec(Box::new(exec))).map_err(|error| error.class())
    };
    assert_eq!(ask(Moment::after(Duration::ZERO)), Err(Class::DeadlineExceeded));
    assert!(ask(Moment::after(Duration::from_secs(1_000))).is_ok());
    kill(world);
}

fn a_storm_of_execs() {
    let mut world = World::running(SLEEP);
    let ids: Vec<String> = (0..40).map(|number| format!("e{number}")).collect();
    let clients: Vec<_> =
        ids.iter().map(|id| world.exec(id, &format!("seq 2000; echo {id}"), Some(output())).unwrap().1).collect();
    for (id, client) in ids.iter().zip(clients) {
        let text = read_all(client);
        assert!(text.ends_with(&format!("2000\n{id}\n")) && text.lines().count() == 2001);
    }
    kill(world);
}

fn execs_end_with_the_container() {
    let mut world = World::running(SLEEP);
    let (_, mut client) = world.exec("e", "echo ready; exec sleep 1000", Some(output())).unwrap();
    read_until(&mut client, "ready\n");
    world.call(Op::Kill(Kill { signal: 9, all: false })).unwrap();
    assert_eq!(world.exec_exit("e"), 137);
    assert_eq!(read_all(client), "");
    assert_eq!(world.end().0.code, 137);
}
