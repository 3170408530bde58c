//! `VOLUME` of images, what a volume finds in the image at its first use, and every form of `-v` and `--mount` that stock
//! Docker takes.

use dhow_testkit::World;

use super::{refused, same};
use crate::busybox;

/// An image with volumes of its own: one that it calls by a relative path, one with files of several owners.
fn image_with_volumes(world: &World) {
    let script = "mkdir -p /data/sub; echo text > /data/file; chown 5:6 /data/file; chmod 4750 /data/file
        chown 70:71 /data; chmod 750 /data; ln -s file /data/link; ln /data/file /data/second; mkfifo /data/pipe
        mkdir /plain; touch /plain/here";
    world.dhow(&["run", "--name", "maker", "busybox", "sh", "-c", script]).exits(0);
    for change in ["VOLUME /data plain", "VOLUME [\"/new\"]"] {
        world.docker(&["commit", "-c", change, "maker", "with-volumes"]).exits(0);
        world.dhow(&["rm", "-f", "-v", "maker"]).exits(0);
        world.dhow(&["create", "--name", "maker", "with-volumes", "sh"]).exits(0);
    }
    world.dhow(&["rm", "-v", "maker"]).exits(0);
}

#[test]
fn volumes_of_an_image_are_made_filled_and_go_with_their_container() {
    let world = busybox();
    image_with_volumes(&world);
    assert_eq!(
        world.dhow(&["image", "inspect", "-f", "{{json .Config.Volumes}}", "with-volumes"]).ok(),
        "{\"/data\":{},\"/new\":{},\"plain\":{}}"
    );
    for client in [World::dhow, World::docker] {
        client(&world, &["run", "-d", "--name", "user", "with-volumes", "sleep", "1000"]).exits(0);
        let places = world.inspect("user", "{{range .Mounts}}{{.Type}} {{.Destination}} {{.RW}};{{end}}");
        assert_eq!(places, "volume /data true;volume /new true;volume /plain true;");
        let stat = ["exec", "user", "sh", "-c", "cd /data; stat -c '%n %u %g %a %F %h' . file link second pipe sub"];
        assert_eq!(
            client(&world, &stat).ok(),
            ". 70 71 750 directory 3\nfile 5 6 4750 regular file 2\nlink 0 0 777 symbolic link 1\n\
             second 5 6 4750 regular file 2\npipe 0 0 644 fifo 1\nsub 0 0 755 directory 2"
        );
        client(&world, &["exec", "user", "ls", "/plain/here", "/new"]).exits(0);
        assert_eq!(client(&world, &["volume", "prune", "-af"]).ok(), "Total reclaimed space: 0B");
        client(&world, &["rm", "-f", "user"]).exits(0);
        assert_eq!(client(&world, &["volume", "ls", "-q"]).ok().lines().count(), 3, "only -v takes them along");
        client(&world, &["volume", "prune", "-f"]).exits(0);
        client(&world, &["run", "--rm", "with-volumes", "true"]).exits(0);
        client(&world, &["run", "--name", "user", "with-volumes", "true"]).exits(0);
        client(&world, &["rm", "-v", "user"]).exits(0);
        assert_eq!(client(&world, &["volume", "ls", "-q"]).ok(), "");
    }
    // A name of one's own in the place of one of the image's: the content and its owners come into it, once.
    let owners = ["run", "--rm", "-v", "mine:/data", "with-volumes", "stat", "-c", "%u %g %a", "/data", "/data/file"];
    assert_eq!(world.dhow(&owners).ok(), "70 71 750\n5 6 4750");
    world.docker(&["run", "--rm", "-v", "mine:/x", "busybox", "sh", "-c", "rm /x/file; chown 1:1 /x"]).exits(0);
    let again = world.dhow(&["run", "--rm", "-v", "mine:/data", "with-volumes", "stat", "-c", "%u", "/data"]);
    assert_eq!(again.ok(), "1");
    // A folder that the image does not have leaves the volume as it was made, ownerless and empty.
    world.dhow(&["run", "--rm", "-v", "bare:/nowhere", "busybox", "rmdir", "/nowhere/x"]).exits(1);
    assert_eq!(world.dhow(&["volume", "ls", "-q"]).ok(), "bare\nmine");
    world.is_in_order();
}

#[test]
fn memory_is_mounted_with_its_size_and_mode_in_both_spellings() {
    let world = busybox();
    let look =
        "stat -c '%a %u' /m; df -k /m | tail -n 1 | tr -s ' ' | cut -d ' ' -f 2; grep -c ' /m tmpfs ro' /proc/mounts";
    for (flags, said) in [
        (&["--tmpfs", "/m:size=1m,mode=700,uid=5"][..], "700 5\n1024\n0\n"),
        (&["--mount", "type=tmpfs,dst=/m,tmpfs-size=1m,tmpfs-mode=1770"], "1770 0\n1024\n0\n"),
        (&["--mount", "type=tmpfs,dst=/m,tmpfs-size=2048k,readonly"], "1777 0\n2048\n1\n"),
        (&["--tmpfs", "/m:ro,size=64k"], "1777 0\n64\n1\n"),
    ] {
        let line = [&["run", "--rm"], flags, &["busybox", "sh", "-c", look]].concat();
        for client in [World::dhow, World::docker] {
            assert_eq!(client(&world, &line).stdout(), said, "{flags:?}");
        }
    }
    for (options, words) in
        [("foo", "invalid tmpfs option [\"foo\"]"), ("size=abc", "invalid tmpfs option [\"size\" \"abc\"]")]
    {
        for client in [World::dhow, World::docker] {
            refused(&client(&world, &["create", "--tmpfs", &format!("/m:{options}"), "busybox"])).says(words);
        }
    }
}

#[test]
fn forms_that_docker_takes_are_taken_and_what_goes_with_no_mount_is_named() {
    let world = busybox();
    let here = world.path().display().to_string();
    std::fs::write(world.path().join("here"), "").expect("written");
    for flags in [
        &["-v", &format!("{here}:/x:z,ro,rprivate")][..],
        &["-v", &format!("{here}:/x:cached")],
        &["-v", &format!("{here}/../{}:/x", world.path().file_name().expect("a name").display())],
        &["--mount", &format!("type=bind,source={here},target=/x,bind-nonrecursive,consistency=cached")],
        &["--mount", &format!("type=bind,src={here},destination=/x,readonly=true")],
        &["--mount", &format!("Type=BIND,src={here},dst=/x,bind-recursive=enabled")],
    ] {
        let line = [&["run", "--rm", "--privileged"], flags, &["busybox", "ls", "/x/here"]].concat();
        assert_eq!(same(&world, &line).ok(), "/x/here", "{flags:?}");
    }
    let in_volume = |what: &str| format!("invalid mount config for type \"volume\": {what}");
    let in_bind = |what: &str| format!("invalid mount config for type \"bind\": {what}");
    for (bind, words) in [
        ("data:/", in_volume("invalid specification: destination can't be '/'")),
        ("data:/x:rslave", in_volume("field BindOptions must not be specified")),
        ("/tmp:/x:nocopy", in_bind("field VolumeOptions must not be specified")),
        ("/tmp:/..", in_bind("invalid specification: destination can't be '/'")),
        ("data:/x:ro,rw", "invalid mode: ro,rw".to_owned()),
    ] {
        for client in [World::dhow, World::docker] {
            refused(&client(&world, &["create", "-v", bind, "busybox"])).says(&words);
        }
    }
    world.dhow(&["create", "--name", "owner", "-v", "data:/x", "busybox"]).exits(0);
    for (from, words) in [
        ("", "volumes-from specification cannot be an empty string"),
        ("owner:rslave", "invalid mode: rslave"),
        ("owner:nocopy", "invalid mode: nocopy"),
        ("owner:ro,rw", "invalid mode: ro,rw"),
    ] {
        refused(&world.dhow(&["create", "--volumes-from", from, "busybox"])).says(words);
    }
    for mode in ["ro,z", "Z,ro"] {
        let from = format!("owner:{mode}");
        for client in [World::dhow, World::docker] {
            let written = client(&world, &["run", "--rm", "--volumes-from", &from, "busybox", "touch", "/x/y"]);
            written.exits(1).says("Read-only");
        }
    }
    // Two hundred and fifty-five bytes are a name, as long as a file's may be.
    let long = "v".repeat(255);
    for client in [World::docker, World::dhow] {
        assert_eq!(client(&world, &["volume", "create", &long]).ok(), long);
        client(&world, &["run", "--rm", "-v", &format!("{long}:/etc"), "busybox", "true"]).exits(0);
        assert_eq!(client(&world, &["volume", "rm", &long]).ok(), long);
    }
    refused(&world.docker(&["volume", "create", &"v".repeat(256)])).says("volume name is too long");
    refused(&world.docker(&["volume", "create", "-d", "none", "data"]))
        .says("error looking up volume plugin none: plugin \"none\" not found");
}

#[test]
fn what_is_protected_or_used_outlives_every_way_to_remove_volumes() {
    let world = busybox();
    world.dhow(&["create", "--name", "user", "-v", "/anonymous", "busybox"]).exits(0);
    let anonymous = world.inspect("user", "{{(index .Mounts 0).Name}}");
    world.dhow(&["volume", "create", "named"]).exits(0);
    world.dhow(&["volume", "protect", "named", &anonymous]).exits(0);
    world.dhow(&["run", "-d", "--name", "used", "-v", "/x", "busybox", "sleep", "1000"]).exits(0);
    let used = world.inspect("used", "{{(index .Mounts 0).Name}}");
    for client in [World::dhow, World::docker] {
        client(&world, &["volume", "rm", "-f", "named"]).exits(1).says("remove named: volume is protected");
        client(&world, &["volume", "rm", &used]).exits(1).says("volume is in use");
        client(&world, &["volume", "prune", "-a", "-f"]).exits(0);
        client(&world, &["system", "prune", "-f", "--volumes"]).exits(0);
        let mut names: Vec<_> = vec![anonymous.clone(), used.clone(), "named".to_owned()];
        names.sort();
        let list = client(&world, &["volume", "ls", "-q"]).ok();
        let mut listed: Vec<_> = list.lines().collect();
        listed.sort_unstable();
        assert_eq!(listed, names);
    }
    // `system prune` took the container that did not run, and `rm -v` takes no more along than that.
    world.dhow(&["create", "--name", "user", "-v", &format!("{anonymous}:/x"), "busybox"]).exits(0);
    world.docker(&["rm", "-v", "user"]).exits(0);
    world.dhow(&["run", "--rm", "-v", &format!("{anonymous}:/x"), "busybox", "true"]).exits(0);
    world.dhow(&["rm", "-f", "-v", "used"]).exits(0);
    assert_eq!(world.dhow(&["volume", "ls", "-q", "--filter", &format!("name={used}")]).ok(), "");
    let kept = world.dhow(&["run", "-d", "--name", "own", "-v", "/own", "busybox", "sleep", "1000"]).ok();
    let own = world.inspect(&kept, "{{(index .Mounts 0).Name}}");
    world.dhow(&["volume", "protect", &own]).exits(0);
    world.docker(&["rm", "-f", "-v", "own"]).exits(0);
    world.dhow(&["volume", "inspect", &own]).exits(0);
    world.dhow(&["volume", "protect", "--off", "named", &anonymous, &own]).exits(0);
    world.dhow(&["volume", "rm", "named", &anonymous, &own]).exits(0);
}
