use std::sync::atomic::{AtomicUsize, Ordering};

use dhow_errdefs::{Class, Error};
use dhow_oci::Digest;
use dhow_store::{ContainerRecord, Document, Durability, ImageRecord, NetworkRecord, Store};

fn document(text: &str) -> Document {
    Document { format: 3, json: text.into() }
}

fn container(number: u32) -> ContainerRecord {
    ContainerRecord {
        id: format!("{number:064x}"),
        name: format!("name{number}"),
        image: Some(Digest::of(b"image")),
        layer: None,
        created: i64::from(number),
        spec: document("{\"spec\":1}"),
        state: document("{\"state\":1}"),
    }
}

fn image(seed: &[u8], created: i64) -> ImageRecord {
    ImageRecord {
        id: Digest::of(seed),
        manifest: None,
        parent: Some(Digest::of(b"parent")),
        created,
        size: 5,
        platform: "linux/amd64".into(),
        layers: Vec::new(),
        blobs: vec![Digest::of(b"index")],
    }
}

#[test]
fn containers_come_back_as_they_were_written() {
    let dir = tempfile::tempdir().unwrap();
    {
        let store = Store::open(dir.path()).unwrap();
        store.metadata().insert_container(&container(1)).unwrap();
        store.metadata().insert_container(&container(2)).unwrap();
        store.metadata().set_container_state(&container(1).id, &document("new")).unwrap();
        store.metadata().set_container_spec(&container(1).id, &document("other")).unwrap();
        store.metadata().rename_container(&container(1).id, "renamed").unwrap();
        assert!(store.metadata().delete_container(&container(2).id).unwrap());
        assert!(!store.metadata().delete_container(&container(2).id).unwrap());
    }
    let store = Store::open(dir.path()).unwrap();
    let expected =
        ContainerRecord { name: "renamed".into(), state: document("new"), spec: document("other"), ..container(1) };
    assert_eq!(store.metadata().containers().unwrap(), std::slice::from_ref(&expected));
    assert_eq!(store.metadata().container(&expected.id).unwrap(), Some(expected));
}

#[test]
fn networks_come_back_as_they_were_written_and_names_are_unique() {
    let dir = tempfile::tempdir().unwrap();
    let network = |number: i64| NetworkRecord {
        id: format!("{number:064x}"),
        name: format!("net{number}"),
        created: number,
        network: document("{}"),
    };
    {
        let store = Store::open(dir.path()).unwrap();
        let metadata = store.metadata();
        for number in [3, 1, 2] {
            metadata.insert_network(&network(number)).unwrap();
        }
        let twin = NetworkRecord { name: "net1".into(), ..network(9) };
        assert_eq!(metadata.insert_network(&twin).unwrap_err().class(), Class::AlreadyExists);
        metadata.set_network(&network(2).id, &document("new")).unwrap();
        assert_eq!(metadata.set_network(&network(9).id, &document("")).unwrap_err().class(), Class::NotFound);
        assert!(metadata.delete_network(&network(3).id).unwrap());
        assert!(!metadata.delete_network(&network(3).id).unwrap());
    }
    let store = Store::open(dir.path()).unwrap();
    let changed = NetworkRecord { network: document("new"), ..network(2) };
    assert_eq!(store.metadata().networks().unwrap(), [network(1), changed]);
}

#[test]
fn a_name_belongs_to_one_container_in_dockers_words() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    store.metadata().insert_container(&container(1)).unwrap();
    store.metadata().insert_container(&container(2)).unwrap();
    let twin = ContainerRecord { name: "name1".into(), ..container(3) };
    let error = store.metadata().insert_container(&twin).unwrap_err();
    assert_eq!(error.class(), Class::Conflict);
    let words = "The container name \"/name1\" is already in use by container";
    assert!(error.message().contains(words), "{error}");
    let error = store.metadata().rename_container(&container(2).id, "name1").unwrap_err();
    assert!(error.message().contains(words), "{error}");
    let again = ContainerRecord { name: "free".into(), ..container(1) };
    assert_eq!(store.metadata().insert_container(&again).unwrap_err().class(), Class::AlreadyExists);
    assert_eq!(store.metadata().containers().unwrap().len(), 2, "nothing half-done is left");
}

#[test]
fn what_is_not_there_is_not_found() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let metadata = store.metadata();
    for error in [
        metadata.set_container_state("x", &document("")).unwrap_err(),
        metadata.set_container_spec("x", &document("")).unwrap_err(),
        metadata.rename_container("x", "y").unwrap_err(),
        metadata.set_tag("name:tag", &Digest::of(b"none")).unwrap_err(),
    ] {
        assert_eq!(error.class(), Class::NotFound, "{error}");
    }
    assert_eq!(metadata.container("x").unwrap(), None);
    assert_eq!(metadata.tag("x").unwrap(), None);
}

#[test]
fn images_are_found_by_prefix_and_tags_move() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let metadata = store.metadata();
    let (old, new) = (image(b"old", 1), image(b"new", 2));
    metadata.put_image(&old, &["a:1", "b:1"]).unwrap();
    metadata.put_image(&new, &[]).unwrap();
    assert_eq!(metadata.images().unwrap(), [new.clone(), old.clone()]);
    assert_eq!(metadata.images_with_prefix(&old.id.hex()[..12]).unwrap(), [old.id]);
    for bad in ["", "*", "A", "sha256:", "[0-9]"] {
        assert_eq!(metadata.images_with_prefix(bad).unwrap_err().class(), Class::InvalidArgument);
    }
    assert_eq!(metadata.set_tag("a:1", &new.id).unwrap(), Some(old.id));
    assert_eq!(metadata.tag("a:1").unwrap(), Some(new.id));
    let names = |id| metadata.tags_of(id).unwrap().into_iter().map(|tag| tag.name).collect::<Vec<_>>();
    assert_eq!((names(&old.id), names(&new.id)), (vec!["b:1".to_owned()], vec!["a:1".to_owned()]));

    let again = ImageRecord { manifest: Some(Digest::of(b"manifest")), ..old.clone() };
    metadata.put_image(&again, &[]).unwrap();
    assert_eq!(metadata.image(&old.id).unwrap(), Some(again));
    assert_eq!(names(&old.id), ["b:1"], "an image that is recorded again keeps its tags");
    assert_eq!(metadata.delete_tag("a:1").unwrap(), Some(new.id));
    assert!(metadata.delete_image(&old.id).unwrap());
    assert_eq!(metadata.tags().unwrap(), []);
}

#[test]
fn an_image_needs_its_layers() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let digest = Digest::of(b"x");
    let mut record = image(b"i", 1);
    record.layers.push(dhow_store::ImageLayer {
        diff_id: digest,
        chain_id: digest,
        blob: digest,
        blob_size: 1,
        media_type: String::new(),
    });
    assert_eq!(store.metadata().put_image(&record, &["a:1"]).unwrap_err().class(), Class::NotFound);
    assert_eq!(store.metadata().images().unwrap(), []);
}

#[test]
fn a_transaction_happens_whole_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let result: Result<(), Error> = store.metadata().transaction(Durability::Full, |transaction| {
        transaction.insert_container(&container(1))?;
        transaction.put_image(&image(b"i", 1))?;
        Err(Error::invalid("changed its mind"))
    });
    assert!(result.is_err());
    assert_eq!(store.metadata().containers().unwrap(), []);
    assert_eq!(store.metadata().images().unwrap(), []);
}

/// Many starts at once (USERS.md: "800 starts at once give database is locked").
#[test]
fn many_writers_and_readers_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let read = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (store, read) = (&store, &read);
            scope.spawn(move || {
                for number in 0..100 {
                    let record = container(thread * 1000 + number);
                    store.metadata().insert_container(&record).unwrap();
                    store.metadata().set_container_state(&record.id, &document("x")).unwrap();
                    if number % 10 == 0 {
                        store.metadata().put_image(&image(format!("{thread}{number}").as_bytes(), 1), &[]).unwrap();
                        read.fetch_add(store.metadata().containers().unwrap().len(), Ordering::Relaxed);
                    }
                    if number % 2 == 0 {
                        store.metadata().delete_container(&record.id).unwrap();
                    }
                }
            });
        }
    });
    assert!(read.into_inner() > 0);
    assert_eq!(store.metadata().containers().unwrap().len(), 400);
}

#[test]
fn a_container_that_nobody_can_read_is_listed_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    (1..=4).for_each(|number| store.metadata().insert_container(&container(number)).unwrap());
    let database = rusqlite::Connection::open(dir.path().join("metadata.db")).unwrap();
    let change = |sql: &str, number| database.execute(sql, [container(number).id]).unwrap();
    change("UPDATE containers SET image = 'no digest' WHERE id = ?", 1);
    change("DELETE FROM container_states WHERE id = ?", 2);
    change("UPDATE containers SET spec = x'ff00', created = 'then' WHERE id = ?", 3);
    let mut found = store.metadata().containers().unwrap();
    found.sort_by(|one, other| one.id.cmp(&other.id));
    let names: Vec<_> = found.iter().map(|record| record.name.as_str()).collect();
    assert_eq!(names, ["name1", "name2", "name3", "name4"]);
    let readable = |document: &Document| document.format != 0;
    let parts: Vec<_> = found.iter().map(|record| (readable(&record.spec), readable(&record.state))).collect();
    assert_eq!(parts, [(false, true), (true, false), (false, true), (true, true)]);
    for record in &found[..3] {
        assert!(store.metadata().delete_container(&record.id).unwrap());
    }
    assert_eq!(store.metadata().containers().unwrap(), [container(4)]);
}
