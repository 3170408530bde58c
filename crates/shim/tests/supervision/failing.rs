//! Starts that fail: the error comes back in Docker's words, and everything is undone.

use dhow_errdefs::{Class, Error};
use dhow_shim::protocol::Rootfs;

use crate::Test;
use crate::world::{World, output, read_all};

pub(crate) const TESTS: &[Test] = &[
    ("a_program_that_is_not_there", a_program_that_is_not_there),
    ("a_program_that_is_no_program", a_program_that_is_no_program),
    ("a_root_that_is_not_there", a_root_that_is_not_there),
    ("a_log_that_cannot_be_opened", a_log_that_cannot_be_opened),
];

/// The error of a start that fails; the attached client sees the end, and the shim is gone.
fn failure(prepare: impl FnOnce(&mut World)) -> Error {
    let mut world = World::new("true");
    prepare(&mut world);
    let (client, _) = world.attach(output());
    let error = world.start().unwrap_err();
    assert_eq!(read_all(client), "");
    while world.engine.next_event().unwrap().is_some() {}
    world.assert_nothing_left();
    assert!(!world.dir.path().join("exit.json").exists());
    world.reap();
    error
}

fn run(program: &str) -> Error {
    failure(|world| world.launch.spec.process.as_mut().unwrap().args = vec![program.to_owned()])
}

fn a_program_that_is_not_there() {
    let error = run("nosuch");
    assert_eq!(error.class(), Class::NotFound);
    assert!(error.to_string().ends_with("exec: \"nosuch\": executable file not found in $PATH"), "{error}");
    let error = run("/bin/nosuch");
    assert!(
        error.to_string().ends_with("exec: \"/bin/nosuch\": stat /bin/nosuch: no such file or directory"),
        "{error}"
    );
}

fn a_program_that_is_no_program() {
    let error = run("/etc/passwd");
    assert_eq!(error.class(), Class::PermissionDenied);
    assert!(error.to_string().ends_with("exec: \"/etc/passwd\": permission denied"), "{error}");
}

fn a_root_that_is_not_there() {
    let error = failure(|world| world.launch.rootfs = Rootfs::Path("/no/such/root".into()));
    assert_eq!(error.class(), Class::NotFound);
}

fn a_log_that_cannot_be_opened() {
    let error = failure(|world| std::fs::write(world.dir.path().join("log"), "in the way").unwrap());
    assert!(error.to_string().contains("log"), "{error}");
}
