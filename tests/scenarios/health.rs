//! Health checks: what is asked, what is shown, and what follows.

use dhow_testkit::{World, eventually};

use crate::busybox;

/// Starts a container that only waits, with these flags.
fn run(world: &World, name: &str, flags: &[&str]) {
    let fixed = ["run", "-d", "--name", name];
    world.dhow(&[&fixed, flags, &["busybox", "sleep", "1000"]].concat()).exits(0);
}

fn status(world: &World, name: &str) -> String {
    world.inspect(name, "{{.State.Health.Status}}")
}

fn becomes(world: &World, name: &str, wanted: &str) {
    eventually(&format!("{name} is {wanted}"), || status(world, name) == wanted);
}

/// Names of what `ps` shows with this health.
fn with_health(world: &World, health: &str) -> String {
    world.docker(&["ps", "--filter", &format!("health={health}"), "--format", "{{.Names}}"]).ok()
}

#[test]
fn a_file_decides_over_health() {
    let world = busybox();
    let check = "cat /well && echo $HOME";
    run(&world, "box", &["--health-cmd", check, "--health-interval", "20ms", "--health-retries", "2"]);
    run(&world, "plain", &[]);
    becomes(&world, "box", "unhealthy");
    assert!(world.docker(&["ps"]).ok().contains(" (unhealthy) "));
    assert_eq!((with_health(&world, "unhealthy"), with_health(&world, "none")), ("box".into(), "plain".into()));
    assert!(world.inspect("box", "{{json .State.Health.Log}}").contains("can't open '/well'"));
    world.dhow(&["exec", "box", "touch", "/well"]).exits(0);
    becomes(&world, "box", "healthy");
    assert_eq!(with_health(&world, "healthy"), "box");
    assert_eq!(world.inspect("box", "{{.State.Health.FailingStreak}}"), "0");
    eventually("the last five are kept", || world.inspect("box", "{{len .State.Health.Log}}") == "5");
    let told = world.dhow(&["events", "--since", "1h", "--until", "0s", "--filter", "event=health_status"]).ok();
    let verdicts: Vec<_> =
        told.lines().filter_map(|line| line.split("health_status: ").nth(1)?.split(' ').next()).collect();
    assert_eq!(verdicts, ["unhealthy", "healthy"]);
    world.dhow(&["stop", "-t", "0", "box"]).exits(0);
    assert_eq!(status(&world, "box"), "unhealthy", "as Docker has it");
    world.dhow(&["ps", "--filter", "health=so-so"]).exits(1).says("Unrecognised filter value for health: so-so");
}

#[test]
fn an_images_check_is_inherited_changed_and_turned_off() {
    let world = busybox();
    let archive = world.path().join("busybox.tar").display().to_string();
    std::fs::write(&archive, dhow_testkit::busybox_tar()).expect("written");
    let change = "HEALTHCHECK --interval=20ms --timeout=5s --retries=7 CMD exit 0";
    world.dhow(&["import", "-c", change, &archive, "checked"]).exits(0);
    let start = |name: &str, flags: &[&str]| {
        world.dhow(&[&["run", "-d", "--name", name], flags, &["checked", "sleep", "1000"]].concat()).exits(0);
    };
    start("same", &[]);
    becomes(&world, "same", "healthy");
    start("other", &["--health-cmd", "exit 3", "--health-retries", "1"]);
    becomes(&world, "other", "unhealthy");
    let shown = world.docker(&["inspect", "-f", "{{json .Config.Healthcheck}}", "other"]).ok();
    assert_eq!(shown, r#"{"Test":["CMD-SHELL","exit 3"],"Interval":20000000,"Timeout":5000000000,"Retries":1}"#);
    start("off", &["--no-healthcheck"]);
    assert_eq!(world.inspect("off", "{{json .State.Health}}{{json .Config.Healthcheck.Test}}"), r#"null["NONE"]"#);
}

#[test]
fn a_slow_probe_is_killed_with_what_it_has_started() {
    let world = busybox();
    let check = "echo begun; sleep 7654 & sleep 7654";
    run(
        &world,
        "box",
        &["--health-cmd", check, "--health-interval", "20ms", "--health-timeout", "300ms", "--health-retries", "1"],
    );
    becomes(&world, "box", "unhealthy");
    let text = world.inspect("box", "{{(index .State.Health.Log 0).ExitCode}} {{(index .State.Health.Log 0).Output}}");
    assert_eq!(text, "-1 Health check exceeded timeout (300ms): begun");
    world.dhow(&["pause", "box"]).exits(0);
    assert_eq!(status(&world, "box"), "unhealthy");
    world.dhow(&["unpause", "box"]).exits(0);
    eventually("several have come and gone", || {
        world.inspect("box", "{{.State.Health.FailingStreak}}").parse::<u32>().is_ok_and(|streak| streak > 4)
    });
    // A killed one may take a moment to leave, while the next is under way.
    let sleeping = || world.dhow(&["top", "box"]).ok().lines().filter(|line| line.ends_with("sleep 7654")).count();
    eventually("no more is left than the one that is under way", || sleeping() <= 2);
}

#[test]
fn the_engine_asks_by_itself_inside_the_containers_network() {
    let world = busybox();
    let serve = "mkdir /www; echo fine > /www/well; httpd -p 127.0.0.1:8099 -h /www; exec sleep 1000";
    let start = |name: &str, flags: &[&str]| {
        let fixed =
            ["run", "-d", "--network", "none", "--health-interval", "20ms", "--health-retries", "3", "--name", name];
        world.dhow(&[&fixed, flags, &["busybox", "sh", "-c", serve]].concat()).exits(0);
    };
    start("page", &["--health-http", ":8099/well"]);
    start("missing", &["--health-http", "http://localhost:8099/ill"]);
    start("port", &["--health-tcp", "8099"]);
    start("closed", &["--health-tcp", "127.0.0.1:8098"]);
    becomes(&world, "page", "healthy");
    becomes(&world, "missing", "unhealthy");
    becomes(&world, "port", "healthy");
    becomes(&world, "closed", "unhealthy");
    let said = |name: &str| world.inspect(name, "{{(index .State.Health.Log 0).Output}}");
    eventually("the answer is shown", || said("missing").starts_with("HTTP/1.1 404 Not Found"));
    assert_eq!(said("closed"), "connect to 127.0.0.1:8098: connection refused");
    // What a stock client reads and writes back is the same check.
    let test = world.docker(&["inspect", "-f", "{{json .Config.Healthcheck.Test}}", "page"]).ok();
    assert_eq!(test, r#"["HTTP",":8099/well"]"#);
    assert_eq!(world.inspect("page", "{{len .ExecIDs}}"), "0", "nothing is run inside");
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_is_made() {
    let world = busybox();
    let refused = |flags: &[&str], words: &str| {
        world
            .dhow(&[&["create"], flags, &["busybox"]].concat())
            .exits(if words.starts_with('-') { 125 } else { 1 })
            .says(words);
    };
    refused(&["--health-http", "https://localhost/"], "certificates are not checked here");
    refused(&["--health-http", "http://name/"], "name is neither localhost nor an address");
    refused(&["--health-tcp", "99999"], "there is no port");
    refused(&["--health-interval", "1us", "--health-cmd", "x"], "Interval in Healthcheck cannot be less than 1ms");
    refused(&["--restart", "on-unhealthy"], "'on-unhealthy' needs a health check");
    world.dhow(&["create", "--health-tcp", "1", "--health-cmd", "x", "busybox"]).says("exclude each other");
    assert_eq!(world.dhow(&["ps", "-aq"]).ok(), "");
}

#[test]
fn checks_go_on_after_the_engine_was_killed() {
    let mut world = busybox();
    run(&world, "box", &["--health-cmd", "cat /well", "--health-interval", "20ms", "--health-retries", "1"]);
    run(&world, "slow", &["--health-cmd", "sleep 7655", "--health-interval", "20ms"]);
    becomes(&world, "box", "unhealthy");
    let slow = |world: &World| world.dhow(&["top", "slow"]).ok().matches("sleep 7655").count();
    eventually("a probe is under way", || slow(&world) == 1);
    world.crash_engine();
    world.start_engine();
    assert_eq!(status(&world, "box"), "unhealthy", "the verdict is remembered");
    world.dhow(&["exec", "box", "touch", "/well"]).exits(0);
    becomes(&world, "box", "healthy");
    eventually("the probe of the dead engine is replaced", || slow(&world) == 1);
    assert_eq!(world.inspect("box", "{{len .ExecIDs}}"), "0");
}

#[test]
fn an_unhealthy_container_is_started_again_if_that_is_wanted() {
    let world = busybox();
    let flags =
        ["--health-cmd", "test -e /ill && exit 1 || exit 0", "--health-interval", "20ms", "--health-retries", "2"];
    run(&world, "box", &[&flags[..], &["--restart", "on-unhealthy", "--stop-timeout", "0"]].concat());
    run(&world, "left", &[&flags[..], &["--restart", "always"]].concat());
    becomes(&world, "box", "healthy");
    let pid = world.inspect("box", "{{.State.Pid}}");
    world.dhow(&["exec", "left", "touch", "/ill"]).exits(0);
    world.dhow(&["exec", "box", "touch", "/ill"]).exits(0);
    eventually("it runs again", || world.inspect("box", "{{.RestartCount}}") != "0");
    eventually("it has another process", || !["0", &*pid].contains(&&*world.inspect("box", "{{.State.Pid}}")));
    becomes(&world, "left", "unhealthy");
    assert_eq!(world.inspect("left", "{{.RestartCount}} {{.State.Running}}"), "0 true");
    world.dhow(&["stop", "-t", "0", "box"]).exits(0);
    assert_eq!(world.inspect("box", "{{.State.Status}}"), "exited");
    world.docker(&["update", "--restart", "on-unhealthy:1", "left"]).exits(0);
    eventually("it is started again once", || world.inspect("left", "{{.RestartCount}}") == "1");
    becomes(&world, "left", "unhealthy");
    assert_eq!(world.inspect("left", "{{.State.Running}}"), "true", "at the limit it is left alone");
}
