//! Removing always ends.

use dhow_engine::{Class, RemoveOptions, WaitCondition};

use crate::Test;
use crate::world::{World, command, sh};

pub(crate) const TESTS: &[Test] = &[
    ("it_removes_itself", it_removes_itself),
    ("two_removals_at_once_both_end", two_removals_at_once_both_end),
    ("a_paused_container_is_removed_by_force", a_paused_container_is_removed_by_force),
    ("anonymous_volumes_go_with_it", anonymous_volumes_go_with_it),
];

fn it_removes_itself() {
    let world = World::new();
    let mut spec = sh("exit 9");
    spec.host.auto_remove = true;
    let id = world.create(spec);
    let removed = world.wait_for(world.engine().wait(&id, WaitCondition::Removed)).unwrap();
    world.wait_for(world.engine().start(&id)).unwrap();
    assert_eq!(world.wait_for(removed.status()).unwrap().code, 9);
    assert_eq!(world.wait_for(world.engine().inspect(&id, false)).unwrap_err().class(), Class::NotFound);
}

fn two_removals_at_once_both_end() {
    let world = World::new();
    let id = world.run(command(&["sleep", "1000"]));
    let force = RemoveOptions { force: true, volumes: false };
    world.wait_for(async {
        let (one, other) = tokio::join!(world.engine().remove(&id, force), world.engine().remove(&id, force));
        one.unwrap();
        assert!(other.is_ok() || other.is_err_and(|error| error.class() == Class::NotFound));
    });
}

fn a_paused_container_is_removed_by_force() {
    let world = World::new();
    let id = world.run(command(&["sleep", "1000"]));
    world.wait_for(world.engine().pause(&id)).unwrap();
    world.remove(&id).unwrap();
}

fn anonymous_volumes_go_with_it() {
    let world = World::new();
    let mut spec = sh("true");
    spec.volumes = ["/data".to_owned()].into();
    spec.host.binds = vec!["named:/named".to_owned()];
    let id = world.create(spec);
    let volumes = || std::fs::read_dir(world.folder.path().join("data/volumes")).unwrap().count();
    assert_eq!(volumes(), 2);
    world.remove(&id).unwrap();
    assert_eq!(volumes(), 1);
}
