//! From created to exited.

use dhow_engine::{ListOptions, LogOptions, Status};

use crate::Test;
use crate::world::{World, command, sh};

pub(crate) const TESTS: &[Test] = &[
    ("a_container_runs_writes_and_ends", a_container_runs_writes_and_ends),
    ("what_was_written_is_there_after_a_restart", what_was_written_is_there_after_a_restart),
    ("stop_asks_then_kills", stop_asks_then_kills),
    ("paused_and_unpaused", paused_and_unpaused),
    ("process_one_is_who_was_asked_for", process_one_is_who_was_asked_for),
    ("limits_hold", limits_hold),
    ("volumes_are_filled_and_shared", volumes_are_filled_and_shared),
    ("logs_follow_to_the_end", logs_follow_to_the_end),
    ("a_restart_policy_starts_it_again", a_restart_policy_starts_it_again),
    ("an_init_reaps", an_init_reaps),
    ("namespaces_are_shared", namespaces_are_shared),
    ("a_thousand_containers_are_listed_from_memory", a_thousand_containers_are_listed_from_memory),
    ("a_slow_disk_holds_up_those_who_write_and_nobody_else", a_slow_disk_holds_up_those_who_write_and_nobody_else),
];

fn a_container_runs_writes_and_ends() {
    let world = World::new();
    assert_eq!(world.sh("echo out; echo err >&2; exit 7"), (7, "out\nerr\n".to_owned()));
    let all = ListOptions { all: true, ..ListOptions::default() };
    let list = world.wait_for(world.engine().list(all)).unwrap();
    let [container] = list.as_slice() else { panic!("{list:?}") };
    assert_eq!((container.state.status, container.state.exit_code), (Status::Exited, 7));
    assert_eq!(container.command, "sh -c 'echo out; echo err >&2; exit 7'");
    assert!(world.wait_for(world.engine().list(ListOptions::default())).unwrap().is_empty());
    let both = LogOptions { stdout: true, stderr: true, ..LogOptions::default() };
    assert_eq!(world.logs(&container.id, both), "out\nerr\n");
}

fn what_was_written_is_there_after_a_restart() {
    let world = World::new();
    let id = world.run(sh("cat /kept || echo new > /kept"));
    assert_eq!(world.ended(&id), 0);
    world.wait_for(world.engine().start(&id)).unwrap();
    assert_eq!(world.ended(&id), 0);
    let both = LogOptions { stdout: true, stderr: true, ..LogOptions::default() };
    assert!(world.logs(&id, both).ends_with("new\n"));
}

fn stop_asks_then_kills() {
    let world = World::new();
    let polite = world.run(sh("trap 'exit 3' TERM; echo ready; while true; do sleep 1 & wait; done"));
    let follow = LogOptions { stdout: true, follow: true, ..LogOptions::default() };
    world.wait_for(async {
        let mut entries = world.engine().logs(&polite, follow).await.unwrap();
        assert_eq!(entries.recv().await.unwrap().unwrap().line, b"ready\n");
    });
    world.wait_for(world.engine().stop(&polite, None, None)).unwrap();
    assert_eq!(world.state(&polite).exit_code, 3);
    let stubborn = world.run(command(&["sleep", "1000"]));
    world.wait_for(world.engine().stop(&stubborn, None, Some(0))).unwrap();
    assert_eq!((world.state(&stubborn).status, world.state(&stubborn).exit_code), (Status::Exited, 137));
}

fn paused_and_unpaused() {
    let world = World::new();
    let id = world.run(command(&["sleep", "1000"]));
    world.wait_for(world.engine().pause(&id)).unwrap();
    assert_eq!(world.state(&id).status, Status::Paused);
    world.wait_for(world.engine().unpause(&id)).unwrap();
    world.wait_for(world.engine().pause(&id)).unwrap();
    world.wait_for(world.engine().kill(&id, None)).unwrap();
    assert_eq!(world.state(&id).exit_code, 137);
}

fn process_one_is_who_was_asked_for() {
    let world = World::new();
    let mut spec = sh("id -u; id -g; pwd; hostname; echo $HOME $A; cat /etc/hostname; grep CapEff /proc/1/status");
    spec.user = "alice".to_owned();
    spec.working_dir = "/made/here".to_owned();
    spec.hostname = "box".to_owned();
    spec.env = vec!["A=b".to_owned()];
    spec.host.cap_drop = Some(vec!["ALL".to_owned()]);
    let (code, output) = world.output(spec);
    let expected = "1000\n1000\n/made/here\nbox\n/home/alice b\nbox\nCapEff:\t0000000000000000\n";
    assert_eq!((code, output.as_str()), (0, expected));
}

fn limits_hold() {
    let world = World::new();
    let mut spec = sh("ulimit -n; df -k /dev/shm | tail -1 | awk '{print $2}'; touch /x; cat /proc/self/oom_score_adj");
    let resources = &mut spec.host.resources;
    resources.memory = 64 << 20;
    resources.pids_limit = Some(50);
    resources.ulimits = vec![dhow_engine::spec::Ulimit { name: "nofile".to_owned(), soft: 123, hard: 456 }];
    spec.host.shm_size = 1 << 20;
    spec.host.readonly_rootfs = true;
    spec.host.oom_score_adj = 500;
    let (_, output) = world.output(spec);
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!((lines[0], lines[1], lines[3]), ("123", "1024", "500"), "{output}");
    assert!(lines[2].contains("Read-only file system"), "{output}");
}

fn volumes_are_filled_and_shared() {
    let world = World::new();
    let mut spec = sh("cat /etc/passwd | head -1; echo mine > /etc/new");
    spec.host.binds = vec!["kept:/etc".to_owned()];
    let (code, output) = world.output(spec);
    assert_eq!((code, output.as_str()), (0, "root:x:0:0:root:/root:/bin/sh\n"));
    let mut spec = sh("cat /v/new");
    spec.host.binds = vec!["kept:/v:ro".to_owned()];
    assert_eq!(world.output(spec), (0, "mine\n".to_owned()));
}

fn logs_follow_to_the_end() {
    let world = World::new();
    let id = world.run(sh("for i in $(seq 200); do echo $i; done; sleep 0.2; echo last"));
    let follow = LogOptions { stdout: true, follow: true, tail: Some(300), ..LogOptions::default() };
    let text = world.logs(&id, follow);
    assert_eq!(text.lines().count(), 201);
    assert!(text.ends_with("200\nlast\n"));
}

fn a_restart_policy_starts_it_again() {
    let world = World::new();
    let mut spec = sh("echo run; exit 1");
    spec.host.restart_policy =
        dhow_engine::spec::RestartPolicy { name: "on-failure".to_owned(), maximum_retry_count: 2 };
    let id = world.run(spec);
    assert_eq!(world.ended(&id), 1);
    let out = LogOptions { stdout: true, ..LogOptions::default() };
    dhow_testkit::eventually("the third run", || world.logs(&id, out.clone()) == "run\nrun\nrun\n");
    assert_eq!(world.ended(&id), 1);
    let details = world.wait_for(world.engine().inspect(&id, false)).unwrap();
    assert_eq!((details.restart_count, details.state.status), (2, Status::Exited));
}

fn an_init_reaps() {
    let world = World::new();
    let mut spec = sh("cat /proc/1/comm; exit 4");
    spec.host.init = Some(true);
    let (code, output) = world.output(spec);
    assert_eq!((code, output.trim()), (4, "docker-init"));
}

fn namespaces_are_shared() {
    let world = World::new();
    let mut donor = sh("echo there > /dev/shm/x; hostname donor 2>/dev/null; sleep 1000");
    donor.host.ipc_mode = "shareable".to_owned();
    donor.hostname = "donor".to_owned();
    let id = world.run(donor);
    let mut guest = sh("until cat /dev/shm/x 2>/dev/null; do sleep 0.05; done; hostname; readlink /proc/self/ns/net");
    guest.host.ipc_mode = format!("container:{id}");
    guest.host.network_mode = format!("container:{}", &id[..12]);
    let (code, output) = world.output(guest);
    let network = std::fs::read_link(format!("/proc/{}/ns/net", world.state(&id).pid)).unwrap();
    assert_eq!((code, output), (0, format!("there\ndonor\n{}\n", network.display())));
    let mut guest = sh("true");
    guest.host.ipc_mode = format!("container:{}", world.run(command(&["sleep", "1000"])));
    let lone = world.create(guest);
    let error = world.wait_for(world.engine().start(&lone)).unwrap_err();
    assert!(error.to_string().contains("non-shareable IPC"), "{error}");
}

fn a_thousand_containers_are_listed_from_memory() {
    let world = World::new();
    for _ in 0..1000 {
        world.create(command(&["true"]));
    }
    let all = || ListOptions { all: true, ..ListOptions::default() };
    let start = std::time::Instant::now();
    let list = world.wait_for(world.engine().list(all())).unwrap();
    println!("1,000 containers listed in {:?}", start.elapsed());
    assert_eq!(list.len(), 1000);
    assert!(list.windows(2).all(|pair| pair[0].created >= pair[1].created));
    let last = ListOptions { limit: 3, ..all() };
    assert_eq!(world.wait_for(world.engine().list(last)).unwrap(), list[..3]);
}

fn a_slow_disk_holds_up_those_who_write_and_nobody_else() {
    let world = World::new();
    // More than the engine has threads for its tasks.
    let ids: Vec<_> = (0..8).map(|_| world.create(sh("true"))).collect();
    let database = rusqlite::Connection::open(world.folder.path().join("data/metadata.db")).unwrap();
    // As long as this is open no other write comes to its end.
    database.execute_batch("BEGIN IMMEDIATE").unwrap();
    let renames: Vec<_> = ids
        .iter()
        .map(|id| {
            let (engine, id) = (world.shared_engine(), id.clone());
            world.spawn(async move { engine.rename(&id, &format!("new{id}")).await })
        })
        .collect();
    for _ in 0..1000 {
        world.wait_for(world.spawn(tokio::task::yield_now())).unwrap();
    }
    assert_eq!(world.list().len(), 8);
    assert!(renames.iter().all(|rename| !rename.is_finished()), "they wait for the disk");
    database.execute_batch("ROLLBACK").unwrap();
    for rename in renames {
        world.wait_for(rename).unwrap().unwrap();
    }
}
