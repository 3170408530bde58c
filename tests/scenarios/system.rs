//! What concerns all containers or the engine: lists and their filters, what takes space, taking away what is not used.

use std::process::Command;

use dhow_testkit::{Door, Outcome, Registry, World, finish, finish_with_input};

use crate::busybox;

/// Runs the same words with both command lines.
fn both(world: &World, args: &[&str]) -> [Outcome; 2] {
    [world.dhow(args), world.docker(args)]
}

/// Names of the containers that a filter finds, which must be the same with both command lines.
fn found(world: &World, filters: &[&str]) -> String {
    let flags: Vec<&str> = filters.iter().flat_map(|filter| ["--filter", filter]).collect();
    let [ours, stock] = both(world, &[&["ps", "-a", "--format", "{{.Names}}"], &flags[..]].concat());
    assert_eq!(ours.ok(), stock.ok(), "{filters:?}");
    ours.ok().replace('\n', " ")
}

#[test]
fn every_filter_of_ps_finds_its_containers() {
    let world = busybox();
    world.dhow(&["run", "--name", "ended-3", "busybox", "sh", "-c", "exit 3"]).exits(3);
    world.dhow(&["create", "--name", "web1", "-l", "tier=front", "-v", "data:/data", "busybox"]).exits(0);
    world.dhow(&["create", "--name", "web2", "-l", "tier=back", "--expose", "8080", "busybox"]).exits(0);
    world.dhow(&["run", "-d", "--name", "live", "--network", "none", "busybox", "sleep", "1000"]).exits(0);
    for (filters, names) in [
        (&["name=^web[0-9]$"][..], "web2 web1"),
        (&["name=b1|live"], "live web1"),
        (&["name=["], ""),
        (&["label=tier"], "web2 web1"),
        (&["label=tier=back"], "web2"),
        (&["status=exited"], "ended-3"),
        (&["status=created", "name=2"], "web2"),
        (&["exited=3"], "ended-3"),
        (&["exited=0"], ""),
        (&["ancestor=busybox", "status=running"], "live"),
        (&["ancestor=nothing"], ""),
        (&["before=web2"], "web1 ended-3"),
        (&["since=web1"], "live web2"),
        (&["volume=data"], "web1"),
        (&["volume=/data"], "web1"),
        (&["expose=8000-9000"], "web2"),
        (&["expose=8080/udp"], ""),
        (&["publish=80"], ""),
        (&["network=none"], "live"),
        (&["is-task=true"], ""),
        (&["isolation=default", "name=live"], "live"),
    ] {
        assert_eq!(found(&world, filters), names, "{filters:?}");
    }
    for (filter, words) in [
        ("status=strange", "invalid filter 'status=strange'"),
        ("nonsense=1", "invalid filter 'nonsense'"),
        ("publish=1:2", "should not contain ':'"),
        ("before=nobody", "No such container: nobody"),
    ] {
        for outcome in both(&world, &["ps", "--filter", filter]) {
            outcome.exits(1).says(words);
        }
    }
}

#[test]
fn a_prune_asks_first_and_removes_what_does_not_run() {
    let world = busybox();
    world.dhow(&["run", "-d", "--name", "live", "busybox", "sleep", "1000"]).exits(0);
    world.dhow(&["create", "--name", "kept", "-l", "keep=1", "busybox"]).exits(0);
    world.dhow(&["run", "--name", "gone", "busybox", "sh", "-c", "head -c 3000 /dev/zero > /file"]).exits(0);
    let id = world.inspect("gone", "{{.Id}}");
    let refused = finish_with_input(&mut world.command(&["container", "prune"]), b"n\n".to_vec());
    refused.exits(0);
    assert_eq!(
        refused.stdout(),
        "WARNING! This will remove all stopped containers.\nAre you sure you want to continue? [y/N] "
    );
    let old = world.dhow(&["container", "prune", "-f", "--filter", "until=24h"]);
    assert_eq!(old.ok(), "Total reclaimed space: 0B");
    let pruned = world.dhow(&["container", "prune", "-f", "--filter", "label!=keep"]);
    assert_eq!(pruned.stdout(), format!("Deleted Containers:\n{id}\n\nTotal reclaimed space: 3kB\n"));
    assert_eq!(world.dhow(&["ps", "-a", "--format", "{{.Names}}"]).ok(), "kept\nlive");
    let rest = finish_with_input(&mut world.stock_command(&["container", "prune"]), b"y\n".to_vec());
    assert!(rest.ok().contains("Deleted Containers:"), "{rest:?}");
    assert_eq!(world.dhow(&["ps", "-a", "--format", "{{.Names}}"]).ok(), "live");
    world.dhow(&["container", "prune", "-f", "--filter", "name=x"]).exits(1).says("invalid filter 'name'");
}

#[test]
fn a_system_prune_removes_containers_and_images() {
    for client in ["dhow", "docker"] {
        let world = busybox();
        let run = |args: &[&str]| if client == "dhow" { world.dhow(args) } else { world.docker(args) };
        world.import_busybox("unused");
        world.dhow(&["create", "--name", "idle", "busybox"]).exits(0);
        world.dhow(&["run", "-d", "--name", "live", "busybox", "sleep", "1000"]).exits(0);
        let some = run(&["system", "prune", "-f"]).ok();
        assert!(some.contains("Deleted Containers:") && some.contains("Total reclaimed space:"), "{some}");
        assert_eq!(world.dhow(&["images", "--format", "{{.Repository}}"]).ok().lines().count(), 2, "{some}");
        let all = run(&["system", "prune", "-a", "-f"]).ok();
        assert!(all.contains("untagged: unused:latest"), "{all}");
        assert_eq!(world.dhow(&["images", "--format", "{{.Repository}}"]).ok(), "busybox");
        assert_eq!(world.dhow(&["ps", "-a", "--format", "{{.Names}}"]).ok(), "live");
    }
    let world = busybox();
    let refused = finish_with_input(&mut world.command(&["system", "prune", "-a"]), b"\n".to_vec());
    refused.exits(0);
    assert!(refused.stdout().contains("  - all images without at least one container associated to them\n"));
    world.dhow(&["system", "prune", "--volumes", "--filter", "until=1h"]).exits(1).says("is not supported");
}

#[test]
fn an_image_prune_takes_images_without_names_and_with_all_also_others() {
    let world = busybox();
    // Under the same name, so that the first loses it.
    let again = ["import", "-c", "CMD [\"ls\"]", "-", "busybox"];
    finish_with_input(&mut world.command(&again), dhow_testkit::busybox_tar()).exits(0);
    let pruned = world.dhow(&["image", "prune", "-f"]).ok();
    assert!(pruned.starts_with("Deleted Images:\ndeleted: sha256:"), "{pruned}");
    assert_eq!(world.dhow(&["image", "prune", "-f"]).ok(), "Total reclaimed space: 0B");
    let all = world.docker(&["image", "prune", "-af"]).ok();
    assert!(all.contains("untagged: busybox:latest"), "{all}");
    assert_eq!(world.dhow(&["images", "-q"]).ok(), "");
}

#[test]
fn shared_layers_are_counted_once() {
    let world = busybox();
    let other = ["import", "-c", "CMD [\"ls\"]", "-", "other"];
    finish_with_input(&mut world.command(&other), dhow_testkit::busybox_tar()).exits(0);
    world.dhow(&["run", "--name", "box", "busybox", "sh", "-c", "head -c 5000 /dev/zero > /file"]).exits(0);
    let megabytes = |size: &str| size.trim_end_matches("MB").parse::<f64>().expect("megabytes");
    let size = megabytes(&world.dhow(&["images", "--format", "{{.Size}}", "busybox"]).ok());
    for outcome in both(&world, &["system", "df", "--format", "{{.Type}}|{{.TotalCount}}|{{.Active}}|{{.Size}}"]) {
        let lines = outcome.ok();
        let images = lines.lines().next().and_then(|line| line.strip_prefix("Images|2|1|")).expect("a line");
        // The layer and its blob, each once.
        assert!((2.0 * size..3.0 * size).contains(&megabytes(images)), "{lines} {size}");
        assert!(lines.contains("Containers|1|0|5kB"), "{lines}");
    }
    let [ours, stock] = both(&world, &["system", "df", "-v", "--format", "{{json .Images}}"]);
    let unique = |outcome: &Outcome| outcome.ok().matches("\"UniqueSize\":\"0B\"").count();
    assert_eq!((unique(&ours), unique(&stock)), (2, 2), "{ours:?}\n{stock:?}");
    let tables = world.dhow(&["system", "df", "-v"]).ok();
    assert!(tables.contains("UNIQUE SIZE") && tables.contains("Build cache usage: 0B"), "{tables}");
}

/// What is promised to be free when images go is what a prune can free: the image of a container stays.
#[test]
fn an_image_that_is_used_is_not_to_be_freed() {
    let world = busybox();
    let share = |world: &World| {
        both(world, &["system", "df", "--format", "{{.Reclaimable}}"]).map(|outcome| {
            let lines = outcome.ok();
            let images = lines.lines().next().and_then(|line| line.split_once(" (")).expect("a share of all");
            images.1.trim_end_matches("%)").parse::<u32>().expect("a number")
        })
    };
    assert_eq!(share(&world), [100, 100]);
    world.dhow(&["create", "--name", "box", "busybox"]).exits(0);
    // Folders and manifests are nobody's.
    assert!(share(&world).iter().all(|percent| *percent < 10), "{:?}", share(&world));
    let refused = Door::open(&world.socket()).and_then(|mut door| door.ask("GET", "/system/df?type=nothing", ""));
    let refused = refused.expect("an answer");
    assert!(refused.status == 400 && refused.body.contains("unknown object type: nothing"), "{refused:?}");
}

#[test]
fn version_and_info_are_the_same_with_both_clients() {
    let world = busybox();
    for template in [
        "{{.Server.Version}} {{.Server.Os}} {{.Server.Arch}} {{.Server.KernelVersion}} {{.Server.MinAPIVersion}}",
        "{{range .Server.Components}}{{.Name}} {{.Version}} {{json .Details}}{{end}}",
    ] {
        let [ours, stock] = both(&world, &["version", "--format", template]);
        assert_eq!(ours.ok(), stock.ok());
    }
    let fields = "{{.NCPU}} {{.MemTotal}} {{.CgroupVersion}} {{.CgroupDriver}} {{.Plugins.Log}} {{.DefaultRuntime}} \
                  {{.SecurityOptions}} {{.LoggingDriver}} {{.KernelVersion}} {{.OperatingSystem}} {{.DockerRootDir}} \
                  {{.Runtimes}} {{.LiveRestoreEnabled}} {{.InitBinary}} {{.MemoryLimit}} {{.PidsLimit}} {{.Warnings}}";
    let [ours, stock] = both(&world, &["info", "--format", fields]);
    assert!(!ours.ok().is_empty() && !stock.ok().is_empty());
    let server = |outcome: &Outcome| {
        let text = outcome.stdout();
        text.split_once("Server:\n").expect("a server").1.to_owned()
    };
    let [ours, stock] = both(&world, &["info"]);
    assert_eq!(server(&ours), server(&stock));
}

#[test]
fn the_size_of_images_is_what_the_disk_gives_them() {
    let (world, registry) = (busybox(), Registry::start());
    world.dhow(&["run", "--name", "box", "--network", "none", "busybox", "seq", "100000"]).exits(0);
    world.dhow(&["commit", "box", &registry.name("app:1")]).exits(0);
    world.dhow(&["push", &registry.name("app:1")]).exits(0);
    let socket = world.socket().display().to_string();
    let told = || {
        let mut curl = Command::new("curl");
        let answer = finish(curl.args(["-sf", "--unix-socket", &socket, "http://d/system/df"])).ok();
        serde_json::from_str::<serde_json::Value>(&answer).expect("JSON")["LayersSize"].as_u64().expect("a number")
    };
    let du = || {
        let folders = ["content", "layers"].map(|folder| world.data_root().join(folder));
        let lines = finish(Command::new("du").args(["-s", "--block-size=1"]).args(folders)).ok();
        lines
            .lines()
            .map(|line| line.split_whitespace().next().expect("a size").parse::<u64>().expect("a number"))
            .sum()
    };
    let before: u64 = du();
    assert_eq!(told(), before);
    world.dhow(&["rm", "box"]).exits(0);
    world.dhow(&["rmi", &registry.name("app:1"), "busybox"]).exits(0);
    assert_eq!(told(), du());
    assert!(told() < before / 2, "what was removed is freed");
}
