//! Names, lists, filters, history, embedded images.

use std::cell::Cell;
use std::collections::BTreeMap;

use dhow_errdefs::Class;
use dhow_image::{Embedded, Filters, ImportOptions};
use dhow_oci::{Digest, ImageConfig, Reference};

use crate::world::{World, docker_archive, layer};

fn tags(world: &World, filters: &Filters) -> Vec<String> {
    world.images.list(filters, false).unwrap().into_iter().flat_map(|image| image.tags).collect()
}

#[test]
fn images_are_found_by_name_id_and_prefix() {
    let world = World::new();
    let id = world.import("docker.io/library/app:1", "x");
    for text in [
        "app:1",
        "library/app:1",
        "docker.io/app:1",
        &id.to_string(),
        &id.hex(),
        &id.hex()[..12],
        &id.to_string()[..15],
    ] {
        assert_eq!(world.images.resolve(text).unwrap().id, id, "{text}");
    }
    let class = |text: &str| world.images.resolve(text).unwrap_err().class();
    assert_eq!(world.images.resolve("app").unwrap_err().to_string(), "No such image: app:latest");
    assert_eq!(class("app"), Class::NotFound);
    assert_eq!(class(&Digest::of(b"").hex()), Class::NotFound);
    assert_eq!(class("App"), Class::InvalidArgument);
    assert_eq!(class(""), Class::InvalidArgument);
}

#[test]
fn a_prefix_of_several_ids_is_ambiguous_unless_it_is_a_name() {
    let world = World::new();
    let mut firsts = BTreeMap::new();
    // Among seventeen IDs two begin with the same digit.
    let (first, second) = (0..17)
        .find_map(|number| {
            let id = world.import(&format!("image:{number}"), &number.to_string());
            firsts.insert(id.hex()[..1].to_owned(), id).map(|before| (before, id))
        })
        .unwrap();
    let prefix = &first.hex()[..1];
    let error = world.images.resolve(prefix).unwrap_err();
    assert_eq!(error.to_string(), format!("multiple IDs found with provided prefix: {prefix}"));
    world.images.tag(&second.to_string(), &Reference::parse(prefix).unwrap()).unwrap();
    assert_eq!(world.images.resolve(prefix).unwrap().id, second);
}

#[test]
fn names_are_given_and_moved() {
    let world = World::new();
    let (first, second) = (world.import("a", "1"), world.import("b", "2"));
    world.images.tag("a", &Reference::parse("b").unwrap()).unwrap();
    assert_eq!(world.images.resolve("b").unwrap().id, first);
    assert!(world.images.inspect(&second.to_string()).unwrap().tags.is_empty());
    let missing = world.images.tag("missing", &Reference::parse("c").unwrap()).unwrap_err();
    assert_eq!(missing.class(), Class::NotFound);
    let digest = Reference::parse(&format!("c@{first}")).unwrap();
    assert!(world.images.tag("a", &digest).unwrap_err().to_string().contains("digest reference"));
}

#[test]
fn lists_are_filtered() {
    let world = World::new();
    let import = |name: &str, contents: &str, change: &str| {
        let reference = Some(Reference::parse(name).unwrap());
        let options = ImportOptions { reference, changes: vec![change.to_owned()], ..ImportOptions::default() };
        world.images.import(&layer("f", contents)[..], &options).unwrap()
    };
    world.load(&docker_archive(&["old:1", "me/old:2"], &[&layer("o", "o")]).finish()).unwrap();
    import("one", "1", "LABEL a=b");
    let two = import("two", "2", "LABEL a=c");
    let three = import("three", "3", "ENV X=1");
    world.images.tag("two", &Reference::parse("three").unwrap()).unwrap();

    let list = |word: &str, value: &str| tags(&world, &Filters::one(word, value));
    assert_eq!(tags(&world, &Filters::default()), ["three:latest", "two:latest", "one:latest", "old:1", "me/old:2"]);
    assert_eq!(list("reference", "t*"), ["three:latest", "two:latest"]);
    assert_eq!(list("reference", "*:1"), ["old:1"]);
    assert_eq!(list("reference", "*/old"), ["me/old:2"]);
    assert_eq!(list("label", "a"), ["three:latest", "two:latest", "one:latest"]);
    assert_eq!(list("label", "a=b"), ["one:latest"]);
    assert_eq!(list("before", "two"), ["one:latest", "old:1", "me/old:2"]);
    assert_eq!(list("since", "one"), ["three:latest", "two:latest"]);
    assert_eq!(list("until", "2024-06-01"), ["old:1", "me/old:2"]);
    assert_eq!(list("dangling", "true"), Vec::<String>::new());
    let dangling = world.images.list(&Filters::one("dangling", "true"), false).unwrap();
    assert_eq!(dangling.iter().map(|image| image.id).collect::<Vec<_>>(), [three]);
    assert_eq!(world.images.list(&Filters::one("dangling", "false"), false).unwrap().len(), 3);
    assert_eq!(
        world.images.list(&Filters::one("since", "one"), false).unwrap().iter().filter(|image| image.id == two).count(),
        1
    );

    let refused = |word: &str, value: &str| world.images.list(&Filters::one(word, value), false).unwrap_err();
    assert_eq!(refused("what", "x").to_string(), "invalid filter 'what'");
    assert_eq!(refused("dangling", "x").class(), Class::InvalidArgument);
    assert_eq!(refused("before", "x").to_string(), "No such image: x:latest");
    assert_eq!(refused("reference", "[").class(), Class::InvalidArgument);
}

#[test]
fn history_is_told_from_the_newest_step() {
    let world = World::new();
    world.load(&docker_archive(&["a:1"], &[&layer("a", "12"), &layer("b", "345")]).finish()).unwrap();
    let history = world.images.history("a:1").unwrap();
    assert_eq!(history.iter().map(|step| step.size).collect::<Vec<_>>(), [3, 2]);
    assert_eq!((history[0].tags.as_slice(), history[1].id), (&["a:1".to_owned()][..], None));
    assert_eq!(world.images.inspect("a:1").unwrap().record.size, 5);
}

#[test]
fn an_embedded_image_is_made_once_and_gives_way_to_another_of_its_name() {
    let world = World::new();
    let made = Cell::new(0);
    let make = || {
        made.set(made.get() + 1);
        let config = ImageConfig { architecture: "amd64".into(), os: "linux".into(), ..ImageConfig::default() };
        Embedded { config, layers: vec![layer("hello", "hi")] }
    };
    let id = world.images.ensure_embedded("hello-world", make).unwrap();
    assert_eq!(world.images.ensure_embedded("hello-world:latest", make).unwrap(), id);
    assert_eq!(made.get(), 1);
    let other = world.import("hello-world", "mine");
    assert_eq!(world.images.ensure_embedded("hello-world", make).unwrap(), other);
    assert_eq!(made.get(), 1);
}

#[test]
fn everything_is_there_when_the_root_is_opened_again() {
    let root = tempfile::tempdir().unwrap();
    let open = || dhow_image::Images::open(std::sync::Arc::new(dhow_store::Store::open(root.path()).unwrap()));
    let reference = Some(Reference::parse("a").unwrap());
    let id = open().import(&layer("f", "x")[..], &ImportOptions { reference, ..ImportOptions::default() }).unwrap();
    let images = open();
    let details = images.inspect("a").unwrap();
    assert_eq!(details.record.id, id);
    assert_eq!(std::fs::read_to_string(details.layers[0].join("f")).unwrap(), "x");
}

#[test]
fn an_image_with_a_lost_config_is_listed_and_can_be_removed() {
    let world = World::new();
    let (lost, good) = (world.import("lost", "1"), world.import("good", "2"));
    let store = world.images.store();
    std::fs::write(store.content().path(&lost), "damaged").unwrap();
    let images = dhow_image::Images::open(std::sync::Arc::clone(&world.store));
    assert_eq!(images.config(&lost).unwrap_err().class(), Class::DataLoss);
    assert_eq!(
        images.list(&Filters::default(), true).unwrap().iter().map(|image| image.id).collect::<Vec<_>>(),
        [good, lost]
    );
    images.remove("lost", dhow_image::RemoveOptions::default(), |_| Vec::new()).unwrap();
    assert_eq!(images.count().unwrap(), 1);
}
