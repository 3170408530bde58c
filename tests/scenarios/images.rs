//! Images in and out, without a registry.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use dhow_testkit::{World, busybox_tar, finish_with_input};

use crate::{DHOW, busybox};

#[test]
fn import_takes_changes_and_runs() {
    let world = World::new(DHOW);
    let id = finish_with_input(
        &mut world.command(&[
            "import",
            "-c",
            "CMD [\"echo\", \"imported\"]",
            "-c",
            "ENV A=1",
            "-m",
            "note",
            "-",
            "my/linux:1",
        ]),
        busybox_tar(),
    );
    assert!(id.ok().starts_with("sha256:"));
    assert_eq!(world.dhow(&["run", "--rm", "my/linux:1"]).ok(), "imported");
    assert_eq!(world.dhow(&["image", "inspect", "-f", "{{.Config.Env}}", "my/linux:1"]).ok(), "[A=1]");
    let file = world.path().join("root.tar");
    std::fs::write(&file, busybox_tar()).expect("written");
    world.dhow(&["import", &file.to_string_lossy(), "from-file"]).exits(0);
    assert!(world.dhow(&["history", "my/linux:1"]).ok().contains("note"));
}

/// How many layers are unpacked: their folders are numbered.
fn layers(world: &World) -> usize {
    let folders = std::fs::read_dir(world.data_root().join("layers")).expect("layers").flatten();
    folders.filter(|entry| entry.file_name().to_string_lossy().parse::<u64>().is_ok()).count()
}

#[test]
fn the_same_layer_is_stored_once() {
    let world = busybox();
    world.import_busybox("second");
    assert_eq!(layers(&world), 1);
}

#[test]
fn images_are_listed_as_docker_does() {
    let world = busybox();
    let table = world.dhow(&["images"]).ok();
    assert!(table.starts_with("REPOSITORY   TAG       IMAGE ID       CREATED"), "{table}");
    assert!(table.contains("busybox      latest"), "{table}");
    assert_eq!(world.dhow(&["images", "--format", "{{.Repository}}:{{.Tag}}"]).ok(), "busybox:latest");
    assert_eq!(world.dhow(&["images", "-q", "nothing"]).ok(), "");
    assert!(world.dhow(&["images", "-q", "--no-trunc"]).ok().starts_with("sha256:"));
}

#[test]
fn tags_and_removal_follow_dockers_rules() {
    let world = busybox();
    let id = world.dhow(&["images", "-q", "--no-trunc"]).ok();
    world.dhow(&["tag", "busybox", "other:v1"]).exits(0);
    let short = &id["sha256:".len()..][..12];
    world.dhow(&["rmi", short]).exits(1).says("image is referenced in multiple repositories");
    assert_eq!(world.dhow(&["rmi", "other:v1"]).ok(), "Untagged: other:v1");
    world.dhow(&["create", "--name", "holder", "busybox"]).exits(0);
    world.dhow(&["rmi", "busybox"]).exits(1).says("is using its referenced image");
    world.dhow(&["rm", "holder"]).exits(0);
    let removed = world.dhow(&["rmi", short]).ok();
    assert!(removed.contains("Untagged: busybox:latest") && removed.contains(&format!("Deleted: {id}")), "{removed}");
    world.dhow(&["rmi", "busybox"]).exits(1).says("No such image: busybox");
    assert_eq!(layers(&world), 0, "its layer went with it");
}

#[test]
fn an_image_in_use_by_a_running_container_is_never_deleted() {
    let world = busybox();
    let id = world.dhow(&["images", "-q", "--no-trunc"]).ok();
    world.dhow(&["run", "-d", "--name", "user", "busybox", "sleep", "1000"]).exits(0);
    world.dhow(&["rmi", "-f", &id]).exits(1).says("cannot be forced");
    world.dhow(&["exec", "user", "ls", "/bin/sh"]).exits(0);
}

#[test]
fn save_and_load_keep_the_id() {
    let world = busybox();
    let file = world.path().join("saved.tar");
    let path = file.to_string_lossy().into_owned();
    world.dhow(&["tag", "busybox", "again:2"]).exits(0);
    world.dhow(&["save", "-o", &path, "busybox", "again:2"]).exits(0);
    let id = world.dhow(&["images", "-q", "--no-trunc", "busybox"]).ok();
    let other = World::new(DHOW);
    let loaded = other.dhow(&["load", "-i", &path]).ok();
    assert!(loaded.contains("Loaded image: busybox:latest") && loaded.contains("Loaded image: again:2"), "{loaded}");
    assert_eq!(other.dhow(&["images", "-q", "--no-trunc", "busybox"]).ok(), id);
    assert_eq!(other.dhow(&["run", "--rm", "again:2", "echo", "ok"]).ok(), "ok");
}

#[test]
fn compressed_archives_load_from_standard_input() {
    let world = busybox();
    let saved = world.dhow(&["save", "busybox"]).stdout_bytes().to_vec();
    for compressor in ["gzip", "zstd"] {
        let packed = finish_with_input(std::process::Command::new(compressor).arg("-c"), saved.clone());
        let other = World::new(DHOW);
        finish_with_input(&mut other.command(&["load"]), packed.stdout_bytes().to_vec()).exits(0);
        assert_eq!(other.dhow(&["run", "--rm", "busybox", "echo", compressor]).ok(), compressor);
    }
}

#[test]
fn damaged_archives_are_refused_and_leave_nothing() {
    let world = busybox();
    let saved = world.dhow(&["save", "busybox"]).stdout_bytes().to_vec();
    let other = World::new(DHOW);
    let truncated = saved[..saved.len() / 2].to_vec();
    let mut flipped = saved.clone();
    let middle = flipped.len() / 2;
    flipped[middle..middle + 64].iter_mut().for_each(|byte| *byte ^= 0xff);
    for damaged in [truncated, flipped, b"not an archive at all".to_vec(), Vec::new()] {
        assert_ne!(finish_with_input(&mut other.command(&["load"]), damaged).code(), 0);
    }
    assert_eq!(other.dhow(&["images", "-aq"]).ok(), "");
    let blobs = other.data_root().join("content/sha256");
    assert_eq!(std::fs::read_dir(blobs).map_or(0, Iterator::count), 0, "blobs of refused archives are gone");
}

#[test]
fn a_hostile_layer_cannot_leave_its_folder() {
    let world = World::new(DHOW);
    let outside = world.path().join("outside");
    std::fs::create_dir(&outside).expect("made");
    let mut archive = tar::Builder::new(Vec::new());
    let mut link = tar::Header::new_gnu();
    link.set_entry_type(tar::EntryType::Symlink);
    link.set_size(0);
    archive.append_link(&mut link, "door", &outside).expect("memory");
    let mut file = tar::Header::new_gnu();
    file.set_mode(0o644);
    file.set_size(5);
    file.set_path("door/escaped").expect("short");
    file.set_cksum();
    archive.append(&file, &b"owned"[..]).expect("memory");
    let tar = archive.into_inner().expect("memory");
    // Refused or kept inside: either is safe; written outside is not.
    finish_with_input(&mut world.command(&["import", "-", "evil"]), tar);
    assert_eq!(std::fs::read_dir(&outside).expect("there").count(), 0);
}

/// Answers one request after the other with these bytes, cut in the middle where that is asked for.
fn web_server(bytes: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound").to_string();
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let mut request = Vec::new();
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\n") && client.read(&mut byte).is_ok_and(|read| read == 1) {
                request.push(byte[0]);
            }
            let path = String::from_utf8_lossy(&request).split(' ').nth(1).unwrap_or_default().to_owned();
            let (status, body) = match path.as_str() {
                "/rootfs.tar" => ("200 OK", &bytes[..]),
                "/cut.tar" => ("200 OK", &bytes[..bytes.len() / 2]),
                _ => ("404 Not Found", &b""[..]),
            };
            let length = if body.is_empty() { 0 } else { bytes.len() };
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
            drop(client.write_all(head.as_bytes()).and_then(|()| client.write_all(body)));
        }
    });
    address
}

#[test]
fn import_fetches_from_a_web_server() {
    let world = World::new(DHOW);
    let server = web_server(busybox_tar());
    for (number, client) in [World::dhow, World::docker].into_iter().enumerate() {
        let name = format!("fetched{number}");
        let url = format!("http://{server}/rootfs.tar");
        let told = client(&world, &["import", "-c", "CMD [\"echo\", \"fetched\"]", &url, &name]).ok();
        assert!(told.contains("sha256:"), "{told}");
        assert_eq!(world.dhow(&["run", "--rm", &name]).ok(), "fetched");
        let comment = world.dhow(&["image", "inspect", "-f", "{{.Comment}}", &name]).ok();
        assert_eq!(comment, format!("Imported from {url}"));
        for (path, words) in [("no.tar", "Got HTTP status code >= 400: 404 Not Found"), ("cut.tar", "")] {
            let failed = client(&world, &["import", &format!("http://{server}/{path}"), "failed"]);
            failed.exits(1).says(words);
            world.dhow(&["image", "inspect", "failed"]).exits(1);
        }
    }
    world.dhow(&["import", "http://127.0.0.1:1/x.tar"]).exits(1).says("connection refused");
}

/// Ours and the stock one print it alike.
#[test]
fn an_image_that_another_was_made_of_stays_and_goes_with_it() {
    let world = busybox();
    let id = |name: &str| world.dhow(&["image", "inspect", "-f", "{{.Id}}", name]).ok();
    let make = |from: &str, name: &str| {
        world.dhow(&["run", "--name", name, from, "touch", &format!("/{name}")]).exits(0);
        world.dhow(&["commit", name, name]).exits(0);
        world.dhow(&["rm", name]).exits(0);
        id(name)
    };
    let (middle, top) = (make("busybox", "middle"), make("middle", "top"));
    let short = &middle["sha256:".len()..][..12];
    // It has a child: only its name goes, and it is shown on demand.
    assert_eq!(world.dhow(&["rmi", "middle"]).ok(), "Untagged: middle:latest");
    let listed = |words: &[&str]| world.dhow(&[&["images", "-q"], words].concat()).ok().contains(short);
    assert!(!listed(&[]) && listed(&["-a"]));
    assert!(!listed(&["-a", "-f", "dangling=true"]) && !listed(&["-a", "-f", "dangling=false"]));
    for flags in [&[][..], &["-f"]] {
        let refusal = format!("unable to delete {short} (cannot be forced) - image has dependent child images");
        world.docker(&[&["rmi"], flags, &[short]].concat()).exits(1).says(&refusal);
    }
    assert_eq!(world.dhow(&["image", "prune", "-f"]).ok(), "Total reclaimed space: 0B");
    // With the child go those that it was made of, up to the first that has a name.
    let removed = world.docker(&["rmi", "top"]).ok();
    let images: Vec<&str> =
        removed.lines().filter(|line| [&*top, &*middle].iter().any(|id| line.ends_with(id))).collect();
    assert_eq!(images, [format!("Deleted: {top}"), format!("Deleted: {middle}")], "{removed}");
    id("busybox");

    let (middle, _) = (make("busybox", "middle"), make("middle", "top"));
    world.dhow(&["rmi", "middle"]).exits(0);
    world.dhow(&["rmi", "--no-prune", "top"]).exits(0);
    assert_eq!(world.dhow(&["images", "-q", "--no-trunc", "-f", "dangling=true"]).ok(), middle);
    assert!(world.dhow(&["image", "prune", "-f"]).ok().contains(&format!("deleted: {middle}")));

    make("busybox", "middle");
    make("middle", "top");
    world.dhow(&["image", "prune", "-af"]).exits(0);
    assert_eq!(world.dhow(&["images", "-aq"]).ok(), "");
}
