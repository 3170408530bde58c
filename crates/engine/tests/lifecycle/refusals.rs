//! What is refused, and in which words.

use dhow_engine::{Class, CreateRequest, Status, WaitCondition};

use crate::Test;
use crate::world::{World, command, sh};

pub(crate) const TESTS: &[Test] = &[
    ("names_are_unique", names_are_unique),
    ("an_image_that_is_not_there_is_named", an_image_that_is_not_there_is_named),
    ("a_program_that_cannot_be_run_fails_the_start", a_program_that_cannot_be_run_fails_the_start),
    ("a_running_container_is_not_removed_without_force", a_running_container_is_not_removed_without_force),
];

fn names_are_unique() {
    let world = World::new();
    let named = |name: &str| {
        let request = CreateRequest { name: Some(name.to_owned()), spec: sh("true"), platform: None };
        world.wait_for(world.engine().create(request))
    };
    let first = named("/web").unwrap().id;
    let error = named("web").unwrap_err();
    assert_eq!(error.class(), Class::Conflict);
    assert!(error.to_string().contains(&format!("is already in use by container \"{first}\"")), "{error}");
    world.wait_for(world.engine().rename("web", "other")).unwrap();
    named("web").unwrap();
    assert_eq!(world.wait_for(world.engine().inspect("other", false)).unwrap().id, first);
}

fn an_image_that_is_not_there_is_named() {
    let world = World::new();
    let mut spec = sh("true");
    spec.image = "nothing".to_owned();
    let error = world.wait_for(world.engine().create(CreateRequest { spec, ..CreateRequest::default() })).unwrap_err();
    assert_eq!((error.class(), error.to_string().as_str()), (Class::NotFound, "No such image: nothing:latest"));
}

fn a_program_that_cannot_be_run_fails_the_start() {
    let world = World::new();
    for (program, class, code, text) in [
        ("missing", Class::NotFound, 127, "exec: \"missing\": executable file not found in $PATH"),
        ("/etc/passwd", Class::PermissionDenied, 126, "exec: \"/etc/passwd\": permission denied"),
    ] {
        let id = world.create(command(&[program]));
        let error = world.wait_for(world.engine().start(&id)).unwrap_err();
        assert_eq!(error.class(), class, "{error}");
        assert!(error.to_string().contains(text), "{error}");
        assert_eq!((world.state(&id).status, world.state(&id).exit_code), (Status::Created, code));
        assert_eq!(world.ended(&id), code);
    }
    let mut spec = command(&["missing"]);
    spec.host.auto_remove = true;
    let id = world.create(spec);
    let removed = world.wait_for(world.engine().wait(&id, WaitCondition::Removed)).unwrap();
    world.wait_for(world.engine().start(&id)).unwrap_err();
    assert_eq!(world.wait_for(removed.status()).unwrap().code, 127);
}

fn a_running_container_is_not_removed_without_force() {
    let world = World::new();
    let id = world.run(command(&["sleep", "1000"]));
    let error = world.wait_for(world.engine().remove(&id, dhow_engine::RemoveOptions::default())).unwrap_err();
    assert!(error.to_string().ends_with("container is running: stop the container before removing or force remove"));
    assert_eq!(world.wait_for(world.engine().start(&id)).unwrap_err().class(), Class::NotModified);
    world.remove(&id).unwrap();
    assert_eq!(world.wait_for(world.engine().inspect(&id, false)).unwrap_err().class(), Class::NotFound);
}
