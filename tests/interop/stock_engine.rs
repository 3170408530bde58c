//! Our command line against a stock `dockerd`: it is a client of the Engine API and of nothing else.

use dhow_testkit::{Outcome, StockEngine, finish, finish_with_input};

use crate::DHOW;

#[test]
fn our_command_line_drives_a_stock_engine() {
    let engine = StockEngine::start(&[]);
    let dhow = |args: &[&str]| finish(&mut engine.command(DHOW, args));
    assert_eq!(dhow(&["run", "--rm", "busybox", "echo", "hi"]).ok(), "hi");
    dhow(&["run", "--rm", "busybox", "sh", "-c", "exit 7"]).exits(7);
    dhow(&["run", "--rm", "busybox", "no-such-program"]).exits(127);
    let echoed =
        finish_with_input(&mut engine.command(DHOW, &["run", "-i", "--rm", "busybox", "cat"]), b"both ways".to_vec());
    assert_eq!(echoed.ok(), "both ways");
    dhow(&["run", "-d", "--name", "box", "busybox", "sh", "-c", "echo logged; sleep 1000"]).exits(0);
    assert_eq!(dhow(&["exec", "box", "echo", "inside"]).ok(), "inside");
    assert_eq!(dhow(&["logs", "box"]).ok(), "logged");
    assert_eq!(dhow(&["ps", "--format", "{{.Names}} {{.State}}"]).ok(), "box running");
    assert_eq!(dhow(&["stop", "-t", "0", "box"]).ok(), "box");
    assert_eq!(dhow(&["wait", "box"]).ok(), "137");
    assert_eq!(dhow(&["start", "box"]).ok(), "box");
    assert_eq!(dhow(&["kill", "box"]).ok(), "box");
    assert_eq!(dhow(&["rm", "box"]).ok(), "box");
}

#[test]
fn both_command_lines_print_the_same_of_a_stock_engine() {
    let engine = StockEngine::start(&[]);
    finish(&mut engine.command("docker", &["run", "--name", "one", "busybox", "sh", "-c", "echo x; exit 3"])).exits(3);
    for args in [
        // Without the columns that change from second to second.
        &["ps", "-a", "--format", "table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.Ports}}\t{{.Names}}"][..],
        &["ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.Command}} {{.State}}"],
        &["images", "--format", "table {{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.Size}}"],
        &["history", "--format", "{{.ID}} {{.CreatedBy}} {{.Size}} {{.Comment}}", "busybox"],
        &["inspect", "one"],
        &["inspect", "busybox"],
        &["logs", "one"],
        &["rm", "nothing"],
        &["inspect", "nothing"],
    ] {
        let print = |program: &str| -> Outcome { finish(&mut engine.command(program, args)) };
        let (ours, stock) = (print(DHOW), print("docker"));
        assert_eq!((ours.code(), ours.stdout()), (stock.code(), stock.stdout()), "{args:?}: {ours:?}");
    }
}
