//! Devices that files describe (Container Device Interface): asked for by name, and what containers get with them.

use std::fs;
use std::path::{Path, PathBuf};

use dhow_testkit::{Door, World, eventually};
use rustix::process::{Signal, kill_process, test_kill_process};
use tempfile::TempDir;

use crate::DHOW;

/// A device made of the numbers of /dev/null, and what the file gives to all its containers.
const NULL: &str = r#"
cdiVersion: "0.8.0"
kind: vendor.example/device
containerEdits:
  env: [OF_FILE=yes]
devices:
- name: "0"
  containerEdits:
    env: [OF_DEVICE=zero, PATH_OF=first]
    deviceNodes:
    - {path: /dev/described, type: c, major: 1, minor: 3, fileMode: 0640, permissions: rw, gid: 44}
    - {path: /dev/zeroes, hostPath: /dev/zero}
    additionalGids: [44]
- name: mounted
  containerEdits:
    mounts:
    - {hostPath: FOLDER/library, containerPath: /opt/library, options: [ro, nosuid, rbind]}
"#;

/// A world whose engine reads two folders, of which the second wins. The world ends before they do.
struct Described {
    world: World,
    first: PathBuf,
    second: PathBuf,
    _folders: TempDir,
}

fn described() -> Described {
    let folders = tempfile::tempdir().expect("a folder");
    let (first, second) = (folders.path().join("first"), folders.path().join("second"));
    let flag = |folder: &Path| format!("--cdi-spec-dir={}", folder.display());
    let world = World::with_flags(DHOW, &[&flag(&first), &flag(&second)]);
    world.import_busybox("busybox");
    fs::create_dir_all(first.join("library")).expect("a folder");
    fs::write(first.join("library/name"), "of the vendor").expect("a file");
    fs::write(first.join("null.yaml"), NULL.replace("FOLDER", first.to_str().expect("text"))).expect("a file");
    Described { world, first, second, _folders: folders }
}

fn run(world: &World, devices: &[&str], script: &str) -> String {
    let devices: Vec<&str> = devices.iter().flat_map(|device| ["--device", device]).collect();
    world.dhow(&[&["run", "--rm"], &devices[..], &["busybox", "sh", "-c", script]].concat()).ok()
}

#[test]
fn a_container_gets_what_the_file_says() {
    let Described { world, first, .. } = &described();
    let script = "stat -c '%F %t:%T %a %g' /dev/described /dev/zeroes; echo $OF_FILE $OF_DEVICE; id -G; echo x >/dev/described && \
                  head -c 1 /dev/zeroes | wc -c";
    let shown = run(world, &["vendor.example/device=0"], script);
    assert_eq!(
        shown, "character special file 1:3 640 44\ncharacter special file 1:5 666 0\nyes zero\n0 44\n1",
        "the node, the environment and the group"
    );
    let shown = run(world, &["vendor.example/device=mounted"], "cat /opt/library/name; touch /opt/library/x; ls /dev");
    assert!(shown.starts_with("of the vendor") && !shown.contains("described"), "{shown}");
    assert!(!first.join("library/x").exists());
    world.dhow(&["create", "--name", "box", "--device", "vendor.example/device=0", "busybox"]).exits(0);
    assert_eq!(world.inspect("box", "{{json .HostConfig.Devices}}"), "[]");
    let request = world.inspect(
        "box",
        "{{(index .HostConfig.DeviceRequests 0).Driver}} {{(index .HostConfig.DeviceRequests 0).DeviceIDs}}",
    );
    assert_eq!(request, "cdi [vendor.example/device=0]");
    let stock = ["run", "--rm", "--device", "vendor.example/device=0", "busybox", "sh", "-c", "echo $OF_DEVICE"];
    assert_eq!(world.docker(&stock).ok(), "zero", "with the stock client");
}

/// Describes a device whose hooks write their names down; gives what tells whether these, and no others, have done so
/// since it was asked for the last time.
fn hooked(folder: &Path, names: &[&str]) -> impl Fn(&[&str]) -> bool + use<> {
    let log = folder.join("log");
    let hook = |name: &&str| {
        let script = format!("echo {name} >>{}", log.display());
        serde_json::json!({"hookName": name, "path": "/bin/sh", "args": ["sh", "-c", script]})
    };
    let edits = serde_json::json!({"hooks": names.iter().map(hook).collect::<Vec<_>>()});
    let device = serde_json::json!({"name": "a", "containerEdits": edits});
    let file = serde_json::json!({"cdiVersion": "0.8.0", "kind": "vendor.example/hooked", "devices": [device]});
    fs::create_dir_all(folder).expect("a folder");
    fs::write(folder.join("hooked.json"), serde_json::to_string_pretty(&file).expect("text")).expect("a file");
    move |names| {
        let ran = fs::read_to_string(&log).is_ok_and(|text| text == names.join("\n") + "\n");
        ran && fs::remove_file(&log).is_ok()
    }
}

#[test]
fn hooks_run_around_the_container() {
    let Described { world, second, .. } = &described();
    let names = ["createRuntime", "createContainer", "poststart", "poststop"];
    let ran = hooked(second, &names);
    run(world, &["vendor.example/hooked=a"], "true");
    eventually("the last hook has run", || ran(&names));
    world.dhow(&["run", "--rm", "--device", "vendor.example/hooked=a", "busybox", "/nosuch"]).exits(127);
    eventually("what the first hook did is undone", || ran(&["createRuntime", "createContainer", "poststop"]));
}

#[test]
fn the_last_hooks_run_though_the_shim_was_killed() {
    let Described { mut world, second, _folders, .. } = described();
    let ran = hooked(&second, &["poststart", "poststop"]);
    let start = |world: &World, name: &str| {
        world
            .dhow(&["run", "-d", "--name", name, "--device", "vendor.example/hooked=a", "busybox", "sleep", "1000"])
            .exits(0);
        world.shim_of(name)
    };
    kill_process(start(&world, "box"), Signal::KILL).expect("the shim is this world's");
    eventually("the engine runs the last hook", || ran(&["poststart", "poststop"]));
    let shim = start(&world, "other");
    world.crash_engine();
    kill_process(shim, Signal::KILL).expect("the shim is this world's");
    world.start_engine();
    eventually("the next engine runs the last hook", || ran(&["poststart", "poststop"]));
    world.dhow(&["start", "box"]).exits(0);
    world.dhow(&["stop", "-t", "0", "box"]).exits(0);
    eventually("each runs once", || ran(&["poststart", "poststop"]));
}

/// A shim at its last hooks is not found by an engine that was started meanwhile: nothing is done twice, and what the next run
/// has is the next run's.
#[test]
fn last_hooks_that_are_at_work_harm_no_later_run() {
    let Described { mut world, second, _folders, .. } = described();
    let (log, gate) = (second.join("log"), second.join("gate"));
    let script = format!(
        "echo begin >>{log}; while [ -e {gate} ]; do sleep 0.1; done; echo end >>{log}",
        log = log.display(),
        gate = gate.display()
    );
    let hook = serde_json::json!({"hookName": "poststop", "path": "/bin/sh", "args": ["sh", "-c", script]});
    let device = serde_json::json!({"name": "a", "containerEdits": {"hooks": [hook]}});
    let file = serde_json::json!({"cdiVersion": "0.8.0", "kind": "vendor.example/slow", "devices": [device]});
    fs::create_dir_all(&second).expect("a folder");
    fs::write(second.join("slow.json"), file.to_string()).expect("a file");
    fs::write(&gate, "").expect("a file");
    world
        .dhow(&["run", "-d", "--name", "box", "--device", "vendor.example/slow=a", "busybox", "sleep", "1000"])
        .exits(0);
    let old = world.shim_of("box");
    world.dhow(&["kill", "box"]).exits(0);
    eventually("the hook is at work", || fs::read_to_string(&log).is_ok_and(|text| text == "begin\n"));
    world.crash_engine();
    world.start_engine();
    world.dhow(&["start", "box"]).exits(0);
    fs::remove_file(&gate).expect("it is there");
    eventually("the shim of before has ended", || test_kill_process(old).is_err());
    assert_eq!(fs::read_to_string(&log).expect("a log"), "begin\nend\n", "once");
    let pid = world.inspect("box", "{{.State.Pid}}");
    world.stop_engine();
    world.start_engine();
    assert_eq!(world.inspect("box", "{{.State.Pid}}"), pid, "it runs on, and is found");
    world.dhow(&["rm", "-f", "box"]).exits(0);
}

#[test]
fn a_later_folder_wins_and_mistakes_cost_themselves() {
    let Described { world, first, second, .. } = &described();
    fs::create_dir_all(second).expect("a folder");
    let other = NULL.replace("OF_DEVICE=zero", "OF_DEVICE=other");
    fs::write(second.join("null.yaml"), &other).expect("a file");
    fs::write(first.join("bad.json"), "{\"cdiVersion\": ").expect("a file");
    assert_eq!(run(world, &["vendor.example/device=0"], "echo $OF_DEVICE"), "other");
    let info = world.dhow(&["info"]);
    let text = info.ok();
    let folders = format!(" CDI spec directories:\n  {}\n  {}\n", first.display(), second.display());
    assert!(text.contains(&folders), "{text}");
    assert!(
        text.contains(" Discovered Devices:\n  cdi: vendor.example/device=0\n  cdi: vendor.example/device=mounted\n"),
        "{text}"
    );
    info.says(&format!("CDI: Error associated with spec file {}: failed to load", first.join("bad.json").display()));
    let listed = world.docker(&["info", "--format", "{{json .CDISpecDirs}}"]).ok();
    assert!(listed.contains(second.to_str().expect("text")), "{listed}");
    fs::write(first.join("twice.yaml"), &other).expect("a file");
    let refused = world.dhow(&["run", "--device", "vendor.example/device=0", "busybox"]);
    refused.exits(125).says("CDI device injection failed: unresolvable CDI devices vendor.example/device=0");
}

#[test]
fn what_nothing_describes_is_refused_in_dockers_words() {
    let Described { world, first, .. } = &described();
    let refused = world.dhow(&["run", "--device", "vendor.example/device=9", "--device", "a.b/c=d", "busybox"]);
    refused.exits(125).says("CDI device injection failed: unresolvable CDI devices vendor.example/device=9, a.b/c=d");
    let rdt = NULL.replace("OF_FILE=yes]", "OF_FILE=yes]\n  intelRdt: {closID: gold}").replace("vendor.", "intel.");
    fs::write(first.join("rdt.yaml"), rdt).expect("a file");
    let refused = world.dhow(&["run", "--device", "intel.example/device=0", "busybox"]);
    refused.exits(125).says("intelRdt is not supported");
    let node = NULL.replace("/dev/zero}", "/dev/none}").replace("vendor.", "none.");
    fs::write(first.join("none.yaml"), node).expect("a file");
    let refused = world.dhow(&["run", "--device", "none.example/device=0", "busybox"]);
    refused
        .exits(127)
        .says("failed to inject devices: failed to stat CDI host device \"/dev/none\": no such file or directory");
    world.is_in_order();
}

#[test]
fn it_can_be_turned_off() {
    let world = World::with_flags(DHOW, &["--feature", "cdi=false", "--feature", "containerd-snapshotter"]);
    world.import_busybox("busybox");
    let refused = world.dhow(&["run", "--device", "vendor.example/device=0", "busybox"]);
    refused.exits(125).says("could not select device driver \"cdi\" with capabilities: []");
    assert!(!world.dhow(&["info"]).ok().contains("CDI"));
    let log = world.engine_log();
    assert!(log.contains("feature \"containerd-snapshotter\" means nothing to dhow"), "{log}");
}

#[test]
fn a_request_that_is_none_is_refused_and_nothing_is_made() {
    let Described { world, .. } = &described();
    for request in [r#""gpu""#, "7", r#"{"Count": "all"}"#, r#"{"DeviceIDs": [7]}"#, r#"{"Capabilities": ["gpu"]}"#] {
        let body = format!(r#"{{"Image": "busybox", "HostConfig": {{"DeviceRequests": [{request}]}}}}"#);
        let answer = Door::open(&world.socket()).and_then(|mut door| door.ask("POST", "/containers/create", &body));
        let answer = answer.expect("an answer");
        assert!(answer.status == 400 && answer.body.contains("DeviceRequests"), "{request}: {answer:?}");
    }
    assert_eq!(world.dhow(&["ps", "-aq"]).ok(), "");
}
