//! Further processes.

use dhow_engine::spec::ExecSpec;
use dhow_engine::{Class, ExecStartOptions};

use crate::Test;
use crate::world::{Client, World, command, demultiplexed};

pub(crate) const TESTS: &[Test] = &[
    ("an_exec_runs_in_the_container", an_exec_runs_in_the_container),
    ("a_program_that_is_not_there_is_127", a_program_that_is_not_there_is_127),
    ("nothing_is_executed_where_nothing_runs", nothing_is_executed_where_nothing_runs),
    ("who_is_refused_an_exec_is_told_and_disturbs_nobody", who_is_refused_an_exec_is_told_and_disturbs_nobody),
];

fn exec(words: &[&str]) -> ExecSpec {
    ExecSpec {
        cmd: words.iter().map(ToString::to_string).collect(),
        attach_stdout: true,
        attach_stderr: true,
        ..ExecSpec::default()
    }
}

fn an_exec_runs_in_the_container() {
    let world = World::new();
    let id = world.run(command(&["sleep", "1000"]));
    let spec = ExecSpec {
        user: "alice".to_owned(),
        env: vec!["A=b".to_owned()],
        working_dir: "/tmp".to_owned(),
        ..exec(&["sh", "-c", "id -un; pwd; echo $A $HOME; exit 5"])
    };
    let exec = world.wait_for(world.engine().exec_create(&id, spec)).unwrap();
    assert!(!world.wait_for(world.engine().exec_ready(&exec)).unwrap());
    let (client, stream) = Client::pair();
    world.wait_for(world.engine().exec_start(&exec, ExecStartOptions::default(), Some(stream))).unwrap();
    assert_eq!(demultiplexed(&client.rest()), "alice\n/tmp\nb /home/alice\n");
    let details = world.wait_for(world.engine().exec_inspect(&exec)).unwrap();
    assert_eq!((details.running, details.exit_code), (false, Some(5)));
    let again = world.wait_for(world.engine().exec_start(&exec, ExecStartOptions::default(), None)).unwrap_err();
    assert_eq!(again.class(), Class::Conflict);
}

fn a_program_that_is_not_there_is_127() {
    let world = World::new();
    let id = world.run(command(&["sleep", "1000"]));
    for (program, code) in [("missing", 127), ("/etc/passwd", 126)] {
        let exec = world.wait_for(world.engine().exec_create(&id, exec(&[program]))).unwrap();
        let (client, stream) = Client::pair();
        let error =
            world.wait_for(world.engine().exec_start(&exec, ExecStartOptions::default(), Some(stream))).unwrap_err();
        let told = demultiplexed(&client.rest());
        assert_eq!(told, format!("{error}\r\n"));
        assert_eq!(world.wait_for(world.engine().exec_inspect(&exec)).unwrap().exit_code, Some(code), "{told}");
    }
}

fn nothing_is_executed_where_nothing_runs() {
    let world = World::new();
    let id = world.run(command(&["sleep", "1000"]));
    world.wait_for(world.engine().pause(&id)).unwrap();
    let paused = world.wait_for(world.engine().exec_create(&id, exec(&["true"]))).unwrap_err();
    assert!(paused.to_string().contains("unpause the container before exec"), "{paused}");
    world.wait_for(world.engine().kill(&id, None)).unwrap();
    let stopped = world.wait_for(world.engine().exec_create(&id, exec(&["true"]))).unwrap_err();
    assert_eq!(stopped.to_string(), format!("container {id} is not running"));
}

/// Between the check and the start somebody else may have come, and then the client is no client of HTTP any more.
fn who_is_refused_an_exec_is_told_and_disturbs_nobody() {
    let world = World::new();
    let id = world.run(command(&["sleep", "1000"]));
    let exec = world.wait_for(world.engine().exec_create(&id, exec(&["sleep", "1000"]))).unwrap();
    let start = |exec: &str| {
        let (client, stream) = Client::pair();
        let started = world.wait_for(world.engine().exec_start(exec, ExecStartOptions::default(), Some(stream)));
        (client, started)
    };
    let (_first, started) = start(&exec);
    started.unwrap();
    for refused in [&exec, "unknown"] {
        let (client, started) = start(refused);
        assert_eq!(demultiplexed(&client.rest()), format!("{}\r\n", started.unwrap_err()));
    }
    let ready = world.wait_for(world.engine().exec_ready(&exec)).unwrap_err();
    assert_eq!(ready.class(), Class::Conflict);
    assert!(world.wait_for(world.engine().exec_inspect(&exec)).unwrap().running);
}
