//! What the engine tells about its objects and about itself.

use crate::busybox;

#[test]
fn inspect_shows_what_was_asked_for() {
    let world = busybox();
    world
        .dhow(&[
            "create", "--name", "box", "-e", "A=1", "-l", "x=y", "-m", "64m", "--cpus", "0.5", "-w", "/tmp", "busybox",
            "echo", "hi",
        ])
        .exits(0);
    assert_eq!(world.inspect("box", "{{.Name}} {{.Path}} {{json .Args}}"), "/box echo [\"hi\"]");
    assert_eq!(world.inspect("box", "{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}}"), "67108864 500000000");
    assert_eq!(world.inspect("box", "{{index .Config.Labels \"x\"}}"), "y");
    assert_eq!(world.inspect("box", "{{range .Config.Env}}{{println .}}{{end}}").lines().next(), Some("A=1"));
    assert_eq!(world.inspect("box", "{{len .Id}} {{.State.Status | upper}}"), "64 CREATED");
    assert_eq!(world.inspect("busybox", "{{.Architecture}} {{.Os}}"), format!("{} linux", architecture()));
    world.dhow(&["inspect", "--type", "container", "busybox"]).exits(1).says("No such container: busybox");
    world.dhow(&["inspect", "-f", "{{.Nope", "box"]).exits(64).says("template");
    assert!(world.dhow(&["inspect", "box"]).ok().starts_with("[\n    {\n        \"Id\": \""));
}

pub(crate) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[test]
fn version_and_info_speak_of_client_and_engine() {
    let world = busybox();
    let version = world.dhow(&["version"]).ok();
    assert!(
        version.contains("Client:") && version.contains("Server:") && version.contains("API version:"),
        "{version}"
    );
    let api = world.dhow(&["version", "--format", "{{.Server.APIVersion}}"]).ok();
    assert!(api.starts_with("1."), "{api}");
    let info = world.dhow(&["info"]).ok();
    assert!(
        info.contains("Containers: 0") && info.contains("Images: 1") && info.contains("Storage Driver: overlay"),
        "{info}"
    );
    assert_eq!(world.dhow(&["info", "--format", "{{.Containers}}"]).ok(), "0");
}

#[test]
fn help_and_version_need_no_engine() {
    let mut world = busybox();
    world.stop_engine();
    assert!(world.dhow(&["--help"]).ok().contains("Usage:"));
    assert!(world.dhow(&["run", "--help"]).ok().contains("[OPTIONS] IMAGE [COMMAND] [ARG...]"));
    assert!(world.dhow(&["--version"]).ok().starts_with("dhow version "));
    world.dhow(&["ps"]).exits(1).says("Cannot connect");
}
