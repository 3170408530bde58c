//! Completion: what shells are offered, by our scripts and by Docker's.

use std::fs;
use std::process::Command;

use dhow_testkit::{World, finish};

use crate::{DHOW, busybox};

/// The answer to a partial command line: candidates without descriptions, and the directive.
fn offered(world: &World, words: &[&str]) -> Vec<String> {
    let answer = world.dhow(&[&["__complete"], words].concat()).ok();
    answer.lines().map(|line| line.split('\t').next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn things_of_the_engine_are_offered_where_they_make_sense() {
    let world = busybox();
    world.dhow(&["run", "-d", "--name", "runs", "busybox", "sleep", "1000"]).exits(0);
    world.dhow(&["create", "--name", "rests", "busybox"]).exits(0);
    assert_eq!(offered(&world, &["stop", ""]), ["runs", ":4"]);
    assert_eq!(offered(&world, &["start", ""]), ["rests", ":4"]);
    assert_eq!(offered(&world, &["rm", "-f", "r"]), ["rests", "runs", ":4"]);
    assert_eq!(offered(&world, &["rm", "rests", "r"]), ["runs", ":4"]);
    assert_eq!(offered(&world, &["run", "--rm", "busy"]), ["busybox", "busybox:latest", ":4"]);
    assert_eq!(offered(&world, &["run", "--volumes-from", "ru"]), ["runs", ":4"]);
    assert_eq!(offered(&world, &["container", "pa"]), ["pause", ":4"]);
    assert_eq!(offered(&world, &["kill", "--signal=SIGT"]), ["SIGTERM", ":4"]);
    assert_eq!(offered(&world, &["run", "--env-file", ""]), [":0"]);
    world.dhow(&["volume", "create", "data"]).exits(0);
    assert_eq!(offered(&world, &["volume", "ls", "--filter", "na"]), ["name=", "name=data", ":4"]);
    assert_eq!(offered(&world, &["volume", "ls", "--filter=pro"]), ["protected=false", "protected=true", ":4"]);
    assert_eq!(offered(&world, &["volume", "prune", "--filter", "label"]), ["label!=", "label=", ":4"]);
    assert!(offered(&world, &["ps", "--"]).contains(&"--no-trunc".to_owned()));
    world.dhow(&["context", "create", "far", "--docker", "host=unix:///nowhere"]).exits(0);
    assert_eq!(offered(&world, &["--context", ""]), ["default", "far", ":4"]);
}

#[test]
fn an_engine_that_is_not_there_is_neither_started_nor_missed() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(DHOW);
    command.args(["__complete", "stop", ""]).env("HOME", folder.path()).env_remove("DOCKER_HOST");
    command.env("DHOW_DATA_ROOT", folder.path().join("data")).env("DHOW_EXEC_ROOT", folder.path().join("exec"));
    let outcome = finish(&mut command);
    assert_eq!((outcome.ok().as_str(), outcome.stderr().as_str()), (":4", ""));
    assert!(!folder.path().join("exec").exists());
}

/// What a shell makes of our script and a line, with `dhow` on its path.
fn in_shell(world: &World, shell: &str, script: &str) -> String {
    let bin = world.path().join("bin");
    fs::create_dir_all(&bin).expect("made");
    if !bin.join("dhow").exists() {
        std::os::unix::fs::symlink(DHOW, bin.join("dhow")).expect("linked");
    }
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").expect("a path"));
    let mut command = Command::new(shell);
    command.args(["-c", script]).env("PATH", path).env("DOCKER_HOST", world.host()).env("HOME", world.path());
    finish(&mut command).ok()
}

#[test]
fn bash_completes_names_with_colons() {
    let world = busybox();
    world.import_busybox("reg:5000/ship:v1");
    let script = |line: &str, words: &str, at: usize| {
        format!(
            "source <(dhow completion bash); COMP_LINE='{line}'; COMP_POINT=${{#COMP_LINE}}; COMP_WORDS=({words}); \
             COMP_CWORD={at}; __dhow_complete; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        )
    };
    let complete = |line: &str, words: &str, at| in_shell(&world, "bash", &script(line, words, at));
    assert_eq!(complete("dhow image in", "dhow image in", 2), "inspect");
    assert_eq!(complete("dhow run ", "dhow run ''", 2), "busybox\nbusybox:latest\nreg:5000/ship:v1");
    // Bash has split the word at its colons.
    assert_eq!(complete("dhow run reg:50", "dhow run reg : 50", 4), "5000/ship:v1");
    assert_eq!(complete("dhow run reg:5000/ship:", "dhow run reg : 5000/ship :", 5), "v1");
    assert_eq!(complete("dhow run --pull=al", "dhow run --pull = al", 4), "always");
}

#[test]
fn zsh_and_fish_take_the_scripts() {
    let world = busybox();
    let zsh = "autoload -Uz compinit; compinit -u; source <(dhow completion zsh); print ${_comps[dhow]}";
    assert_eq!(in_shell(&world, "zsh", zsh), "_dhow");
    let fish = "dhow completion fish | source; complete -C 'dhow run busybox:'";
    assert_eq!(in_shell(&world, "fish", fish), "busybox:latest");
    assert!(
        in_shell(&world, "fish", "dhow completion fish | source; complete -C 'dhow run --pull='").contains("always")
    );
}
