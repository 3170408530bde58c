//! The command line as podman and containerd use it, through the program in `examples/`.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use dhow_oci::runtime::State;

use crate::world::{World, possible};

/// The runtime with a root of its own.
struct Runtime {
    world: World,
    program: PathBuf,
}

impl Runtime {
    fn new(script: &str) -> Self {
        let world = World::shell(script);
        let text = serde_json::to_vec(&world.spec).unwrap();
        fs::write(world.path().join("config.json"), text).unwrap();
        Self { world, program: program() }
    }

    fn id(&self) -> &str {
        &self.world.id
    }

    fn call(&self, args: &[&str]) -> Output {
        self.call_by(Command::new(&self.program), args)
    }

    fn call_by(&self, mut command: Command, args: &[&str]) -> Output {
        let log = self.world.path().join("log");
        command
            .args(["--root", self.world.path().join("state").to_str().unwrap()])
            .args(["--log", log.to_str().unwrap(), "--log-format", "json"])
            .args(args)
            .current_dir(self.world.path())
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Where the container's record is.
    fn directory(&self) -> PathBuf {
        self.world.path().join("state").join(self.id())
    }

    fn succeed(&self, args: &[&str]) -> String {
        let output = self.call(args);
        assert!(output.status.success(), "{args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn status(&self) -> String {
        let text = self.succeed(&["state", self.id()]);
        let state: State = serde_json::from_str(&text).unwrap();
        format!("{:?}", state.status).to_lowercase()
    }

    /// Calls `create`, whose container keeps the caller's streams: they must not be pipes that somebody waits for.
    fn create(&self) {
        let status = Command::new(&self.program)
            .args(["--root", self.world.path().join("state").to_str().unwrap()])
            .args(["create", "--pid-file", "pid", self.id()])
            .current_dir(self.world.path())
            .stdin(Stdio::null())
            .stdout(fs::File::create(self.world.path().join("out")).unwrap())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success());
    }
}

impl Drop for Runtime {
    /// A test that failed half-way leaves nothing either.
    fn drop(&mut self) {
        self.call(&["delete", "--force", &self.world.id]);
    }
}

/// `examples/dhow-runtime` beside this test's own binary.
fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().and_then(|deps| deps.parent()).unwrap().join("examples/dhow-runtime")
}

fn ready() -> bool {
    if !program().exists() {
        eprintln!("SKIPPED: {} is not built", program().display());
        return false;
    }
    possible()
}

#[test]
fn the_life_of_a_container() {
    if !ready() {
        return;
    }
    let runtime = Runtime::new("echo started; sleep 1000");
    let id = runtime.id().to_owned();
    runtime.create();
    assert_eq!(runtime.status(), "created");
    let pid = fs::read_to_string(runtime.world.path().join("pid")).unwrap();
    assert!(pid.parse::<i32>().is_ok(), "{pid:?}");
    runtime.succeed(&["start", &id]);
    assert_eq!(runtime.status(), "running");
    let output = runtime.call(&["exec", &id, "sh", "-c", "echo inside; exit 6"]);
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(6), b"inside\n".as_slice()));
    runtime.succeed(&["pause", &id]);
    assert_eq!(runtime.status(), "paused");
    runtime.succeed(&["resume", &id]);
    assert!(runtime.succeed(&["ps", "--format", "json", &id]).contains(&pid));
    assert_eq!(runtime.succeed(&["list", "-q"]).trim(), id);
    assert!(!runtime.call(&["delete", &id]).status.success(), "it runs");
    assert!(!runtime.call(&["start", &id]).status.success(), "it runs");
    runtime.succeed(&["delete", "--force", &id]);
    assert_eq!(runtime.succeed(&["list", "-q"]), "");
    assert_eq!(fs::read_to_string(runtime.world.path().join("out")).unwrap(), "started\n");
}

#[test]
fn run_gives_output_and_code_and_leaves_nothing() {
    if !ready() {
        return;
    }
    let runtime = Runtime::new("echo hello; exit 11");
    let output = runtime.call(&["run", runtime.id()]);
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(11), b"hello\n".as_slice()));
    assert_eq!(fs::read_dir(runtime.world.path().join("state")).unwrap().count(), 0);
}

#[test]
fn errors_are_in_the_log_as_podman_reads_them() {
    if !ready() {
        return;
    }
    let mut runtime = Runtime::new("");
    runtime.world.process().args = vec!["nope".into()];
    fs::write(runtime.world.path().join("config.json"), serde_json::to_vec(&runtime.world.spec).unwrap()).unwrap();
    assert_eq!(runtime.call(&["run", runtime.id()]).status.code(), Some(1));
    let log = fs::read_to_string(runtime.world.path().join("log")).unwrap();
    let line: serde_json::Value = serde_json::from_str(log.trim()).unwrap();
    assert_eq!(line["msg"], "exec: \"nope\": executable file not found in $PATH");
    assert_eq!(fs::read_dir(runtime.world.path().join("state")).unwrap().count(), 0, "nothing is left");
}

#[test]
fn what_does_not_exist_is_said_so() {
    if !ready() {
        return;
    }
    let runtime = Runtime::new("");
    for args in [&["state", "nope"][..], &["start", "nope"], &["kill", "nope"], &["delete", "nope"]] {
        let output = runtime.call(args);
        assert!(String::from_utf8_lossy(&output.stderr).contains("does not exist"), "{output:?}");
    }
    runtime.succeed(&["delete", "--force", "nope"]);
    assert!(!runtime.call(&["checkpoint", "x"]).status.success());
    assert!(runtime.succeed(&["features"]).contains("\"ociVersionMax\": \"1.2.0\""));
}

#[test]
fn a_spec_to_begin_with_runs() {
    if !ready() {
        return;
    }
    let runtime = Runtime::new("");
    fs::remove_file(runtime.world.path().join("config.json")).unwrap();
    runtime.succeed(&["spec"]);
    let file = runtime.world.path().join("config.json");
    let text = fs::read_to_string(&file).unwrap().replace("\"terminal\": true", "\"terminal\": false");
    fs::write(&file, text.replace("\"sh\"", "\"true\"")).unwrap();
    runtime.succeed(&["run", runtime.id()]);
    assert!(!runtime.call(&["spec"]).status.success(), "it never overwrites");
}

#[test]
fn an_ordinary_user_runs_and_enters_a_container() {
    if !ready() {
        return;
    }
    use std::os::unix::fs::{PermissionsExt, chown};
    use std::os::unix::process::CommandExt;
    const NOBODY: u32 = 65534;
    let world = World::shell("");
    // The program may be where this user cannot go.
    let own = world.path().join("runtime");
    fs::copy(program(), &own).unwrap();
    fs::set_permissions(&own, fs::Permissions::from_mode(0o755)).unwrap();
    for path in [world.path().to_owned(), world.rootfs(), world.rootfs().join("etc")] {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let script = "set -e; ./runtime spec --rootless; \
        sed -i -e 's/\"terminal\": true/\"terminal\": false/' -e 's/\"sh\"/\"sleep\",\"1000\"/' config.json; \
        ./runtime --root state create c </dev/null >/dev/null 2>&1; ./runtime --root state start c; \
        ./runtime --root state exec c sh -c 'id -u; echo $$; cat /proc/self/uid_map'; \
        ./runtime --root state delete --force c";
    let output = Command::new("/bin/sh")
        .args(["-c", script])
        .current_dir(world.path())
        .uid(NOBODY)
        .gid(NOBODY)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let words: Vec<&str> = text.split_whitespace().collect();
    if String::from_utf8_lossy(&output.stderr).contains("may not make namespaces") {
        eprintln!("SKIPPED: ordinary users have no namespaces here");
        return;
    }
    assert_eq!(words, ["0", "2", "0", "65534", "1"], "{output:?}");
}

/// CVE-2019-5736: the first process waits inside with this program as its `exe`. Who holds that file until it is not
/// executed any more can write to it, on a naive runtime.
#[test]
fn cve_2019_5736_the_binary_of_a_waiting_container_cannot_be_written_later() {
    if !ready() {
        return;
    }
    let mut runtime = Runtime::new("true");
    // A copy that no other test executes: what is executed is busy for everybody.
    let own = runtime.world.path().join("runtime");
    fs::copy(program(), &own).unwrap();
    runtime.program = own;
    runtime.create();
    let pid = fs::read_to_string(runtime.world.path().join("pid")).unwrap();
    let path = format!("/proc/{pid}/exe");
    let held = rustix::fs::open(path, rustix::fs::OFlags::PATH, rustix::fs::Mode::empty()).unwrap();
    runtime.succeed(&["delete", runtime.id()]);
    use std::os::fd::AsRawFd;
    let again = format!("/proc/self/fd/{}", held.as_raw_fd());
    let error = fs::OpenOptions::new().write(true).open(again).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ReadOnlyFilesystem, "{error}");
}

#[test]
fn the_socket_of_a_start_that_was_killed_does_not_hide_that_the_program_runs() {
    if !ready() {
        return;
    }
    let runtime = Runtime::new("sleep 1000");
    runtime.create();
    let socket = runtime.directory().join("start.sock");
    let kept = runtime.world.path().join("kept.sock");
    fs::hard_link(&socket, &kept).unwrap();
    runtime.succeed(&["start", runtime.id()]);
    fs::rename(&kept, &socket).unwrap();
    assert_eq!(runtime.status(), "running");
    assert!(!runtime.call(&["start", runtime.id()]).status.success(), "it runs");
    assert!(!runtime.call(&["delete", runtime.id()]).status.success(), "it runs");
}

#[test]
fn what_a_killed_create_leaves_is_no_container_and_can_be_deleted() {
    if !ready() {
        return;
    }
    let runtime = Runtime::new("sleep 1000");
    runtime.create();
    let pid = fs::read_to_string(runtime.world.path().join("pid")).unwrap();
    let directory = runtime.directory();
    // As it is right before the record is written: the process waits, and nobody knows its number.
    fs::remove_file(directory.join("state.json")).unwrap();
    assert_eq!(runtime.succeed(&["list", "-q"]), "");
    assert!(!runtime.call(&["state", runtime.id()]).status.success());
    assert!(!runtime.call(&["delete", runtime.id()]).status.success(), "there is no such container");
    assert!(!directory.exists());
    assert!(!PathBuf::from(format!("/proc/{pid}/ns/mnt")).exists(), "its process is ended");
    runtime.create();
    assert_eq!(runtime.status(), "created", "the id is free again");
}

#[test]
fn a_container_whose_record_is_cut_off_can_be_deleted_by_force() {
    if !ready() {
        return;
    }
    let runtime = Runtime::new("sleep 1000");
    runtime.create();
    let pid = fs::read_to_string(runtime.world.path().join("pid")).unwrap();
    let directory = runtime.directory();
    let record = fs::read_to_string(directory.join("state.json")).unwrap();
    for left in [record.len() / 2, 0] {
        fs::write(directory.join("state.json"), &record[..left]).unwrap();
        assert!(!runtime.call(&["delete", runtime.id()]).status.success());
        assert!(directory.exists(), "nobody has forced it");
    }
    runtime.succeed(&["delete", "--force", runtime.id()]);
    assert!(!directory.exists());
    assert!(!PathBuf::from(format!("/proc/{pid}/ns/mnt")).exists(), "its process is ended");
}

#[test]
fn only_open_descriptors_are_passed_on() {
    if !ready() {
        return;
    }
    let runtime = Runtime::new("");
    for (count, missing) in [("1", "3"), ("4294967295", "3"), ("4294967290", "3")] {
        // Other tests of this process have files open.
        let mut without = Command::new("sh");
        without.args(["-c", "exec \"$0\" \"$@\" 3>&-"]).arg(&runtime.program);
        let output = runtime.call_by(without, &["run", "--preserve-fds", count, runtime.id()]);
        assert_eq!(output.status.code(), Some(1));
        let log = fs::read_to_string(runtime.world.path().join("log")).unwrap();
        let expected = format!("--preserve-fds {count}: file descriptor {missing} is not open");
        assert!(log.contains(&expected), "{log}");
    }
    assert!(!runtime.directory().exists());
    let script = format!(
        "exec 3</dev/null 4</dev/null; {} --root state run --preserve-fds 2 passed </dev/null",
        runtime.program.display()
    );
    let mut world = World::shell("ls /proc/self/fd | tr '\\n' ' '");
    world.id = "passed".into();
    fs::write(world.path().join("config.json"), serde_json::to_vec(&world.spec).unwrap()).unwrap();
    let output = Command::new("/bin/sh").args(["-c", &script]).current_dir(world.path()).output().unwrap();
    let seen = String::from_utf8_lossy(&output.stdout);
    // 5 is the directory that ls itself reads.
    assert_eq!(seen.split_whitespace().collect::<Vec<_>>(), ["0", "1", "2", "3", "4", "5"], "{output:?}");
}
