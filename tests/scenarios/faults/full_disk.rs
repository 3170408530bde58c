//! A disk without a byte left: what cannot be done says so, and works again when there is space, without a restart.

use dhow_testkit::{World, busybox_tar, eventually, finish_with_input};

use crate::DHOW;

const FULL: &str = "no space left on device";

/// A world on 24 megabytes, with busybox and a running container.
fn world() -> World {
    let world = World::on_small_disk(DHOW, 24);
    world.import_busybox("busybox");
    world.dhow(&["run", "-d", "--name", "runs", "busybox", "sleep", "1000"]).exits(0);
    world
}

/// What works although the disk is full.
fn can_be_looked_at_and_ended(world: &World) {
    world.dhow(&["ps", "--all", "--size"]).exits(0);
    world.dhow(&["inspect", "runs"]).exits(0);
    world.dhow(&["logs", "runs"]).exits(0);
    world.dhow(&["images"]).exits(0);
    world.dhow(&["exec", "runs", "true"]).exits(0);
}

#[test]
fn containers_are_refused_clearly_and_made_again_when_there_is_space() {
    let world = world();
    world.fill_disk();
    // What was allocated before may still be enough for some.
    let refused = (0..50).map(|_| world.dhow(&["create", "busybox", "true"])).find(|made| made.code() != 0);
    let refused = refused.expect("the disk is full");
    refused.says(FULL);
    can_be_looked_at_and_ended(&world);
    for id in world.dhow(&["ps", "--all", "--quiet", "--filter", "status=created"]).ok().lines() {
        world.dhow(&["rm", id]).exits(0);
    }
    world.relieve_disk();
    world.dhow(&["run", "--rm", "busybox", "echo", "again"]).exits(0);
    world.is_in_order();
}

#[test]
fn a_start_on_a_full_disk_is_refused_or_works_and_can_be_repeated() {
    let world = world();
    for number in 0..4 {
        world.dhow(&["create", "--name", &format!("box{number}"), "busybox", "sleep", "1000"]).exits(0);
    }
    world.fill_disk();
    let outcomes: Vec<_> = (0..4).map(|number| world.dhow(&["start", &format!("box{number}")])).collect();
    for outcome in &outcomes {
        assert!(outcome.code() == 0 || outcome.stderr().to_lowercase().contains(FULL), "{outcome:?}");
    }
    can_be_looked_at_and_ended(&world);
    world.dhow(&["stop", "-t", "0", "runs"]).exits(0);
    world.relieve_disk();
    for number in 0..4 {
        world.dhow(&["start", &format!("box{number}")]).exits(0);
    }
    world.dhow(&["start", "runs"]).exits(0);
    world.is_in_order();
}

#[test]
fn a_log_that_has_no_space_blocks_nobody_and_goes_on_afterwards() {
    let world = world();
    let script = "while read word; do echo $word; done";
    world.dhow(&["create", "-i", "--name", "writer", "busybox", "sh", "-c", script]).exits(0);
    world.dhow(&["start", "writer"]).exits(0);
    world.fill_disk();
    let lines = "many words\n".repeat(20_000);
    let outcome = finish_with_input(&mut world.command(&["attach", "writer"]), lines.into_bytes());
    outcome.exits(0);
    world.dhow(&["wait", "writer"]).exits(0);
    world.dhow(&["logs", "--tail", "1", "writer"]).exits(0);
    world.relieve_disk();
    let again = ["run", "--name", "after", "busybox", "echo", "after"];
    world.dhow(&again).exits(0);
    assert_eq!(world.dhow(&["logs", "after"]).ok(), "after");
    world.dhow(&["start", "writer"]).exits(0);
    finish_with_input(&mut world.command(&["attach", "writer"]), b"last word\n".to_vec()).exits(0);
    eventually("the log goes on", || world.dhow(&["logs", "--tail", "1", "writer"]).ok() == "last word");
}

/// What cannot be written down does not count, now or later.
#[test]
fn changes_that_cannot_be_written_down_are_not_made() {
    let world = world();
    world.dhow(&["update", "-m", "64m", "--memory-swap", "128m", "runs"]).exits(0);
    world.fill_disk();
    let refused = |change: &dyn Fn(u32) -> [String; 4]| {
        // What was allocated before may still be enough for some.
        let outcomes = (0..200).map(|number| {
            let words = change(number);
            world.dhow(&words.each_ref().map(String::as_str))
        });
        let refused = outcomes.into_iter().find(|outcome| outcome.code() != 0).expect("the disk is full");
        assert!(refused.stderr().to_lowercase().contains("full"), "{refused:?}");
    };
    refused(&|number| ["update".into(), "-m".into(), format!("{}m", 32 + number % 16), "runs".into()]);
    let limit = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes || cat /sys/fs/cgroup/memory.max";
    let limit = world.dhow(&["exec", "runs", "sh", "-c", limit]).ok();
    assert_eq!(world.inspect("runs", "{{.HostConfig.Memory}}"), limit.lines().last().unwrap_or_default());
    refused(&|number| {
        ["update".into(), "--publish-add".into(), format!("127.0.0.1:{}:80", 20_000 + number), "runs".into()]
    });
    let promised = world.inspect("runs", "{{range .HostConfig.PortBindings}}{{len .}}{{end}}");
    let published = world.inspect("runs", "{{range .NetworkSettings.Ports}}{{len .}}{{end}}");
    assert_eq!(promised, published);
    world.relieve_disk();
    world.is_in_order();
}

#[test]
fn an_import_that_has_no_space_leaves_nothing() {
    let world = world();
    let mut big = busybox_tar();
    // Two blocks of zeros end an archive; what comes after them is read and ignored, so the big file is put before.
    let mut archive = tar_with_a_big_file();
    archive.append(&mut big);
    let import = || finish_with_input(&mut world.command(&["import", "-", "big"]), archive.clone());
    let refused = import();
    assert_ne!(refused.code(), 0);
    assert!(refused.stderr().to_lowercase().contains(FULL), "{refused:?}");
    world.is_in_order();
    world.fill_disk();
    let refused = import();
    assert!(refused.stderr().to_lowercase().contains(FULL), "{refused:?}");
    can_be_looked_at_and_ended(&world);
    world.relieve_disk();
    world.import_busybox("other");
    world.dhow(&["run", "--rm", "other", "true"]).exits(0);
    world.is_in_order();
}

/// The head of a file of 64 MiB and its contents, as tar(5) has it.
fn tar_with_a_big_file() -> Vec<u8> {
    const SIZE: usize = 64 << 20;
    let mut head = [0_u8; 512];
    let mut put = |at: usize, text: &str| head[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, "big");
    put(100, "0000644\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &format!("{SIZE:011o}\0"));
    put(136, "00000000000\0");
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\x0000");
    let sum: u32 = head.iter().map(|&byte| u32::from(byte)).sum();
    head[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut archive = head.to_vec();
    // Not zeros, which a file system might not store.
    archive.resize(512 + SIZE, b'x');
    archive
}

#[test]
fn an_engine_that_finds_the_disk_full_starts_and_removes() {
    let mut world = world();
    world.dhow(&["run", "--name", "done", "busybox", "true"]).exits(0);
    world.fill_disk();
    world.crash_engine();
    world.start_engine();
    assert_eq!(world.inspect("runs", "{{.State.Status}}"), "running");
    can_be_looked_at_and_ended(&world);
    world.dhow(&["rm", "--force", "done", "runs"]).exits(0);
    world.relieve_disk();
    world.dhow(&["run", "--rm", "busybox", "true"]).exits(0);
    world.is_in_order();
}
