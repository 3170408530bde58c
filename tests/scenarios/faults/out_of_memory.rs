//! Containers that are over their memory, again and again.

use dhow_testkit::{Footprint, World, eventually};

use super::rounds;
use crate::busybox;

/// Memory that a round may leave behind in engine or shim, in KiB.
const SLACK: u64 = 200;
/// Rounds in which the allocator may still find its size. What leaks grows in each.
const SETTLING: usize = 6;

/// One container lives while programs in it are killed, another is killed itself and started again.
fn kill(world: &World, times: usize) {
    for _ in 0..times {
        world.dhow(&["exec", "lives", "tail", "/dev/zero"]).exits(137);
        world.dhow(&["start", "--attach", "dies"]).exits(137);
    }
    assert_eq!(world.inspect("dies", "{{.State.OOMKilled}}"), "true");
    assert_eq!(world.inspect("lives", "{{.State.Running}}"), "true");
}

/// moby#40322, moby#40847: an engine of thirty gigabytes, and threads that nobody needed any more.
#[test]
fn kills_for_lack_of_memory_cost_the_engine_none() {
    let world = busybox();
    let small = ["--memory", "16m", "--memory-swap", "16m", "--network", "none"];
    let lives = [&["run", "-d", "--name", "lives"], &small[..], &["busybox", "sleep", "1000"]].concat();
    world.dhow(&lives).exits(0);
    world.dhow(&[&["create", "--name", "dies"], &small[..], &["busybox", "tail", "/dev/zero"]].concat()).exits(0);
    let shim = u32::try_from(world.shim_of("lives").as_raw_nonzero().get()).expect("a pid");
    let pids = [world.engine_pid().expect("it runs"), shim];
    let measure = || pids.map(Footprint::of);
    kill(&world, 10);
    let quiet = measure();
    let mut seen = vec![quiet];
    loop {
        kill(&world, rounds(15));
        eventually("threads and descriptors are as few as before", || {
            let now = measure();
            (0..2)
                .all(|at| now[at].descriptors <= quiet[at].descriptors + 4 && now[at].threads <= quiet[at].threads + 4)
        });
        seen.push(measure());
        let [.., before, after] = seen.as_slice() else { unreachable!("there are two") };
        if (0..2).all(|at| after[at].memory <= before[at].memory + SLACK) {
            break;
        }
        assert!(seen.len() <= SETTLING, "memory grew in every round: {seen:?}");
    }
    world.dhow(&["rm", "-f", "lives", "dies"]).exits(0);
    world.is_in_order();
}
