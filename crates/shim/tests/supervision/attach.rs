//! Clients at the container's streams.

use std::io::Read;

use dhow_shim::detach::DEFAULT_KEYS;
use dhow_shim::protocol::{Attach, Kill, Op};

use crate::Test;
use crate::world::{World, half_close, interactive, output, read_all, read_until, send};

pub(crate) const TESTS: &[Test] = &[
    ("frames_tell_the_streams_apart", frames_tell_the_streams_apart),
    ("input_ends_with_its_client", input_ends_with_its_client),
    ("input_that_stays_open_lets_its_client_go", input_that_stays_open_lets_its_client_go),
    ("input_before_the_start_is_not_lost", input_before_the_start_is_not_lost),
    ("a_large_input_is_complete", a_large_input_is_complete),
    ("input_of_a_client_that_has_gone_is_complete", input_of_a_client_that_has_gone_is_complete),
    ("a_client_that_has_gone_leaves_input_open_for_others", a_client_that_has_gone_leaves_input_open_for_others),
    ("keys_detach_from_a_terminal", keys_detach_from_a_terminal),
    ("keys_are_data_without_a_terminal", keys_are_data_without_a_terminal),
    ("several_clients_see_the_same", several_clients_see_the_same),
    ("a_stalled_client_loses_nothing_and_blocks_no_answer", a_stalled_client_loses_nothing_and_blocks_no_answer),
    ("a_stalled_client_that_goes_frees_the_container", a_stalled_client_that_goes_frees_the_container),
    ("input_nobody_reads_does_not_hide_the_keys", input_nobody_reads_does_not_hide_the_keys),
];

fn frames_tell_the_streams_apart() {
    let mut world = World::new("echo out; echo err >&2");
    let (mut client, seq) = world.attach(Attach { multiplex: true, ..output() });
    world.start().unwrap();
    let mut bytes = Vec::new();
    client.read_to_end(&mut bytes).unwrap();
    let (out, err) = (&b"\x01\0\0\0\0\0\0\x04out\n"[..], &b"\x02\0\0\0\0\0\0\x04err\n"[..]);
    assert!(bytes == [out, err].concat() || bytes == [err, out].concat(), "{bytes:?}");
    assert!(!world.detached(seq));
    world.end();
}

fn input_ends_with_its_client() {
    let mut world = World::new("cat; echo end");
    (world.launch.stdin_open, world.launch.stdin_once) = (true, true);
    let (mut client, _) = world.attach(interactive());
    world.start().unwrap();
    send(&mut client, "one\ntwo");
    half_close(&client);
    assert_eq!(read_all(client), "one\ntwoend\n");
    world.end();
}

fn input_that_stays_open_lets_its_client_go() {
    let mut world = World::new("read a; read b; echo \"$a $b\"");
    world.launch.stdin_open = true;
    let (mut first, seq) = world.attach(interactive());
    world.start().unwrap();
    send(&mut first, "one\n");
    half_close(&first);
    assert!(world.detached(seq));
    let (mut second, _) = world.attach(interactive());
    send(&mut second, "two\n");
    assert_eq!(read_until(&mut second, "\n"), "one two\n");
    assert_eq!(world.end().1, "one two\n");
}

fn input_before_the_start_is_not_lost() {
    let mut world = World::new("cat");
    (world.launch.stdin_open, world.launch.stdin_once) = (true, true);
    let (mut client, _) = world.attach(Attach { leftover: b"left over, ".to_vec(), ..interactive() });
    send(&mut client, "early");
    half_close(&client);
    world.start().unwrap();
    assert_eq!(read_all(client), "left over, early");
    world.end();
}

/// As docker-py's `attach_socket` is used: send, and close at once.
fn input_of_a_client_that_has_gone_is_complete() {
    const SENT: usize = 150_000;
    for before in [true, false] {
        // Nobody reads for a while: more was sent than a pipe and a queue hold.
        let mut world = World::new("sleep 0.2; wc -c");
        (world.launch.stdin_open, world.launch.stdin_once) = (true, true);
        if !before {
            world.start().unwrap();
        }
        let (mut client, _) = world.attach(interactive());
        rustix::net::sockopt::set_socket_send_buffer_size(&client, 2 * SENT).unwrap();
        send(&mut client, &"x".repeat(SENT));
        drop(client);
        if before {
            world.start().unwrap();
        }
        assert_eq!(world.end().1.trim(), SENT.to_string());
    }
}

fn a_client_that_has_gone_leaves_input_open_for_others() {
    let mut world = World::new("echo first; read a; read b; echo \"$a $b\"");
    world.launch.stdin_open = true;
    world.start().unwrap();
    let (mut first, seq) = world.attach(interactive());
    send(&mut first, "one\n");
    drop(first);
    assert!(world.detached(seq));
    let (mut second, _) = world.attach(interactive());
    send(&mut second, "two\n");
    let read = read_until(&mut second, "two\n");
    assert!(read.ends_with("one two\n"), "{read}");
    world.end();
}

fn a_large_input_is_complete() {
    let mut world = World::new("md5sum");
    (world.launch.stdin_open, world.launch.stdin_once) = (true, true);
    let (client, _) = world.attach(interactive());
    world.start().unwrap();
    let text = "all work and no play makes jack a dull boy\n".repeat(100_000);
    std::thread::scope(|scope| {
        let mut writer = client.try_clone().unwrap();
        scope.spawn(move || {
            send(&mut writer, &text);
            half_close(&writer);
        });
        assert_eq!(read_all(client), "24b6acb3afde3ca69c9edcd12355cfea  -\n");
    });
    world.end();
}

fn terminal(script: &str) -> World {
    let mut world = World::new(script);
    (world.launch.tty, world.launch.stdin_open) = (true, true);
    world.launch.spec.process.as_mut().unwrap().terminal = true;
    world
}

fn keys_detach_from_a_terminal() {
    let mut world = terminal("stty -echo; echo ready; read a; echo \"[$a]\"; exec sleep 1000");
    let (mut client, seq) = world.attach(Attach { detach_keys: DEFAULT_KEYS.to_vec(), ..interactive() });
    world.start().unwrap();
    read_until(&mut client, "ready\r\n");
    send(&mut client, "x\x10y\n\x10");
    assert_eq!(read_until(&mut client, "]\r\n"), "[x\x10y]\r\n");
    send(&mut client, "\x11");
    assert!(world.detached(seq));
    assert_eq!(read_all(client), "");
    world.call(Op::Kill(Kill { signal: 9, all: true })).unwrap();
    assert_eq!(world.end().0.code, 137);
}

fn keys_are_data_without_a_terminal() {
    let mut world = World::new("cat");
    (world.launch.stdin_open, world.launch.stdin_once) = (true, true);
    let (mut client, _) = world.attach(Attach { detach_keys: DEFAULT_KEYS.to_vec(), ..interactive() });
    world.start().unwrap();
    send(&mut client, "a\x10\x11b");
    half_close(&client);
    assert_eq!(read_all(client), "a\x10\x11b");
    world.end();
}

fn several_clients_see_the_same() {
    let mut world = World::new("seq 1000");
    let clients: Vec<_> = (0..5).map(|_| world.attach(output()).0).collect();
    world.start().unwrap();
    let texts: Vec<_> = clients.into_iter().map(read_all).collect();
    let (_, log) = world.end();
    assert!(texts.iter().all(|text| *text == log));
}

fn a_stalled_client_loses_nothing_and_blocks_no_answer() {
    let mut world = World::new("seq 400000");
    let (client, _) = world.attach(output());
    world.start().unwrap();
    // The container writes more than is queued for the client; others are served all the same.
    let (_, socket) = world.exec("e", "true", Some(output())).unwrap();
    read_all(socket);
    assert_eq!(world.exec_exit("e"), 0);
    let text = read_all(client);
    let (_, log) = world.end();
    assert!(text == log && log.ends_with("\n400000\n"), "{} {}", text.len(), log.len());
}

fn a_stalled_client_that_goes_frees_the_container() {
    let mut world = World::new("seq 400000");
    let (client, seq) = world.attach(output());
    world.start().unwrap();
    let (_, socket) = world.exec("e", "true", Some(output())).unwrap();
    read_all(socket);
    drop(client);
    assert!(world.detached(seq));
    assert!(world.end().1.ends_with("\n400000\n"));
}

fn input_nobody_reads_does_not_hide_the_keys() {
    let mut world = terminal("stty raw -echo; echo ready; exec sleep 1000");
    let (mut client, seq) = world.attach(Attach { detach_keys: DEFAULT_KEYS.to_vec(), ..interactive() });
    world.start().unwrap();
    read_until(&mut client, "ready");
    send(&mut client, &"x".repeat(30_000));
    send(&mut client, "\x10\x11");
    assert!(world.detached(seq));
    world.call(Op::Kill(Kill { signal: 9, all: false })).unwrap();
    world.end();
}
