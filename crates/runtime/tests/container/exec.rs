//! One more process in a running container.

use dhow_runtime::{Exec, Stdio, Target, exec};
use rustix::thread::ThreadNameSpaceType as Flags;

use crate::world::{World, possible, reap, shell};

#[test]
fn it_is_inside_and_a_child_of_ours() {
    if !possible() {
        return;
    }
    for user in [false, true] {
        let mut world = World::shell("");
        if user {
            world.user_namespace();
        }
        let running = world.sleep();
        let namespaces = Target::open(running.pid()).unwrap().namespaces();
        assert_eq!(namespaces.contains(Flags::USER), user);
        let script = "for n in mnt pid net ipc uts user; do [ $(readlink /proc/self/ns/$n) = $(readlink /proc/1/ns/$n) ] || echo $n; done; \
                      hostname; id -u; echo $HOME; pwd; exit 5";
        let outcome = running.exec(&shell(script)).unwrap();
        assert_eq!((outcome.status, outcome.out.as_str()), (5, "lab\n0\n/root\n/\n"), "{outcome:?}");
        running.kill();
    }
}

#[test]
fn it_has_its_own_user_and_rights() {
    if !possible() {
        return;
    }
    let running = World::shell("").sleep();
    let mut process = shell("id -u; grep -E '^(CapEff|CapBnd)' /proc/self/status | tr -d '\\t'; pwd");
    process.user.uid = 1000;
    process.cwd = "/etc".into();
    process.capabilities.as_mut().unwrap().bounding = vec!["CAP_KILL".into()];
    process.capabilities.as_mut().unwrap().permitted = vec![];
    let outcome = running.exec(&process).unwrap();
    assert_eq!(outcome.out, "1000\nCapEff:0000000000000000\nCapBnd:0000000000000020\n/etc\n");
    running.kill();
}

#[test]
fn it_can_have_a_terminal() {
    if !possible() {
        return;
    }
    let running = World::shell("").sleep();
    let target = Target::open(running.pid()).unwrap();
    let process = shell("tty; exit 4");
    let child = exec(Exec { stdio: Stdio::Terminal, ..Exec::new(&target, &process) }).unwrap();
    assert_eq!(crate::basics::read_terminal(&child.pty.unwrap()), "/dev/pts/0\r\n");
    assert_eq!(reap(child.pidfd), 4);
    running.kill();
}

#[test]
fn a_container_that_is_gone_is_not_found() {
    if !possible() {
        return;
    }
    let running = World::shell("").sleep();
    let pid = running.pid();
    let target = Target::open(pid).unwrap();
    running.kill();
    assert_eq!(Target::open(pid).unwrap_err().class(), dhow_errdefs::Class::NotFound);
    let process = shell("true");
    assert!(exec(Exec::new(&target, &process)).is_err(), "the descriptor never means another process");
}
