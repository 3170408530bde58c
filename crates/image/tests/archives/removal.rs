//! Docker's rules of `rmi` and `prune`.

use dhow_errdefs::{Class, Result};
use dhow_image::{Filters, RemoveOptions, Removed, User};
use dhow_oci::{Digest, Reference};

use crate::world::{Layout, World, docker_archive, json, layer};

const CONTAINER: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn user(running: bool) -> Vec<User> {
    vec![User { container: CONTAINER.to_owned(), image: String::new(), running }]
}

fn remove(world: &World, text: &str, force: bool, users: &[User]) -> Result<Vec<Removed>> {
    world.images.remove(text, RemoveOptions { force, no_prune: false }, |_| users.to_vec())
}

fn tag(world: &World, source: &str, name: &str) {
    world.images.tag(source, &Reference::parse(name).unwrap()).unwrap();
}

fn short(id: &Digest) -> String {
    id.hex()[..12].to_owned()
}

fn untagged(name: &str, image: Digest) -> Removed {
    Removed::Untagged { name: name.to_owned(), image }
}

#[test]
fn a_name_is_taken_away_and_the_image_with_the_last_one() {
    let world = World::new();
    let id = world.import("a", "1");
    tag(&world, "a", "b:2");
    assert_eq!(remove(&world, "a", false, &[]).unwrap(), [untagged("a:latest", id)]);
    let chain = world.images.resolve("b:2").unwrap().layers[0].chain_id;
    let all = [untagged("b:2", id), Removed::Image(id), Removed::Layer(chain)];
    assert_eq!(remove(&world, "b:2", false, &[]).unwrap(), all);
    assert_eq!(world.contents(), (0, 0, 0));
    assert_eq!(remove(&world, "b:2", false, &[]).unwrap_err().to_string(), "No such image: b:2");
}

#[test]
fn an_id_takes_the_image_away_if_it_has_one_name() {
    let world = World::new();
    let id = world.import("a", "1");
    tag(&world, "a", "b");
    let error = remove(&world, &short(&id), false, &[]).unwrap_err();
    assert_eq!(error.class(), Class::Conflict);
    let text = "conflict: unable to delete ID (must be forced) - image is referenced in multiple repositories";
    assert_eq!(error.to_string(), text.replace("ID", &short(&id)));
    let removed = remove(&world, &short(&id), true, &[]).unwrap();
    assert_eq!(removed[..3], [untagged("a:latest", id), untagged("b:latest", id), Removed::Image(id)]);

    let id = world.import("c", "2");
    assert_eq!(
        remove(&world, &id.to_string(), false, &[]).unwrap()[..2],
        [untagged("c:latest", id), Removed::Image(id)]
    );
}

/// Docker takes such a text for the ID, and with it all other names away.
#[test]
fn a_name_that_begins_like_the_id_is_a_name() {
    let world = World::new();
    let id = world.import("a", "1");
    let name = &id.hex()[..1];
    let other = format!("{name}:other");
    tag(&world, &id.hex(), name);
    tag(&world, &id.hex(), &other);
    assert_eq!(remove(&world, name, false, &[]).unwrap(), [untagged(&format!("{name}:latest"), id)]);
    assert_eq!(world.images.resolve(&other).unwrap().id, id);
}

#[test]
fn an_image_in_use_stays() {
    let world = World::new();
    let id = world.import("a", "1");
    let refused = |text: &str, force: bool, running: bool| {
        let error = remove(&world, text, force, &user(running)).unwrap_err();
        assert_eq!(error.class(), Class::Conflict);
        error.to_string().replace(&short(&id), "ID")
    };
    let by_name = "conflict: unable to remove repository reference \"a\" (must force) - container 0123456789ab is using \
                   its referenced image ID";
    assert_eq!(refused("a", false, true), by_name);
    assert_eq!(refused("a", false, false), by_name);
    let running =
        "conflict: unable to delete ID (cannot be forced) - image is being used by running container 0123456789ab";
    assert_eq!(refused(&id.hex(), false, true), running);
    assert_eq!(refused(&id.hex(), true, true), running);
    let stopped =
        "conflict: unable to delete ID (must be forced) - image is being used by stopped container 0123456789ab";
    assert_eq!(refused(&id.hex(), false, false), stopped);
    assert_eq!(world.images.resolve("a").unwrap().id, id, "nothing has happened");

    // One of several names may go, for the image stays.
    tag(&world, "a", "b");
    assert_eq!(remove(&world, "b", false, &user(true)).unwrap(), [untagged("b:latest", id)]);
    // By force the name goes; the image of a running container stays without one.
    assert_eq!(remove(&world, "a", true, &user(true)).unwrap(), [untagged("a:latest", id)]);
    assert_eq!(world.images.resolve(&id.hex()).unwrap().id, id);
    // That of a stopped one goes.
    assert_eq!(remove(&world, &id.hex(), true, &user(false)).unwrap()[0], Removed::Image(id));
}

#[test]
fn layers_of_others_stay() {
    let world = World::new();
    let (base, top) = (layer("a", "1"), layer("b", "2"));
    world.load(&docker_archive(&["base:1"], &[&base]).finish()).unwrap();
    world.load(&docker_archive(&["app:1"], &[&base, &top]).finish()).unwrap();
    let app = world.images.resolve("app:1").unwrap();
    let removed = remove(&world, "app:1", false, &[]).unwrap();
    assert_eq!(removed, [untagged("app:1", app.id), Removed::Image(app.id), Removed::Layer(app.layers[1].chain_id)]);
    assert_eq!(world.contents(), (2, 1, 1));
}

#[test]
fn what_nobody_needs_is_pruned() {
    let world = World::new();
    let old = world.import("a", "12345");
    let new = world.import("a", "1");
    let used = world.import("b", "2");
    world.import("b", "3");
    let users = |id: &Digest| if *id == used { user(false) } else { Vec::new() };
    let pruned = world.images.prune(&Filters::default(), users).unwrap();
    assert_eq!((pruned.removed[0].clone(), pruned.reclaimed), (Removed::Image(old), 5));
    assert_eq!(pruned.removed.len(), 2);
    let pruned = world.images.prune(&Filters::one("dangling", "false"), users).unwrap();
    assert!(pruned.removed.contains(&untagged("a:latest", new)));
    assert_eq!(world.images.count().unwrap(), 1);
    assert_eq!(world.images.prune(&Filters::one("what", "x"), users).unwrap_err().class(), Class::InvalidArgument);
}

#[test]
fn the_digest_of_a_manifest_means_the_names_of_its_repository() {
    let world = World::new();
    let layout = Layout::new(&[&layer("a", "1")]);
    let manifest = layout.manifest();
    world.load(&layout.archive(&manifest, |entry| entry)).unwrap();
    let id = Digest::of(&layout.config);
    for name in ["app:1", "app:2", "other:1"] {
        tag(&world, &id.hex(), name);
    }
    let by_digest = format!("app@{}", Digest::of(&json(&manifest)));
    assert_eq!(remove(&world, &by_digest, false, &[]).unwrap(), [untagged("app:1", id), untagged("app:2", id)]);
    assert_eq!(world.images.resolve("other:1").unwrap().id, id);
}
