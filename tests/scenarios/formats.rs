//! `--format`: both command lines make the same of the same things.

use std::process::Command;

use dhow_testkit::{Outcome, World, finish};

use crate::{DHOW, busybox};

fn same(world: &World, args: &[&str]) {
    let text = |outcome: Outcome| (outcome.code(), outcome.stdout(), outcome.stderr().replace("docker", "dhow"));
    let asked = || [text(world.dhow(args)), text(world.docker(args))];
    let [ours, stock] = asked();
    if ours != stock {
        // Ages may have changed between the two.
        let [ours, stock] = asked();
        assert_eq!(ours, stock, "{args:?}");
    }
}

fn prepared() -> World {
    let world = busybox();
    world.dhow(&["run", "-d", "--name", "one", "-l", "a=b", "-l", "c.d=e", "busybox", "sleep", "1000"]).exits(0);
    world.dhow(&["create", "--name", "two", "busybox", "sh", "-c", "echo a long line that is cut"]).exits(0);
    world
}

#[test]
fn lists() {
    let world = prepared();
    for template in [
        "json",
        "{{.ID}} {{.Names}} {{.Label \"a\"}} {{.Labels}} {{.Mounts}} {{.Networks}} {{.LocalVolumes}}",
        "table {{.ID}}\t{{.Names}}\t{{.Label \"a\"}}",
        "table {{upper .Names}}\t{{lower .Image}}\t{{json .Names}}\t{{title .Image}}",
        "table {{truncate .ID 4}}\t{{pad .Names 2 3}}",
        "table {{split .Names \"n\"}}\t{{join (split .Names \"n\") \"-\"}}",
        "{{split .Names \"n\"}} {{join (split .Names \"n\") \"-\"}} {{len .Names}} {{index (split .Names \"n\") 0}}",
        "{{println .Names .Image}}",
        "{{printf \"%-10s|%5s|%q\" .Names .Image .State}}",
        "{{if eq .State \"running\"}}up{{else}}down{{end}} {{with .Labels}}{{.}}{{else}}none{{end}}",
        "{{range $i, $x := split .Names \"\"}}{{$i}}{{$x}} {{end}}",
        "{{if and (eq .State \"running\") (ne .Image \"x\")}}A{{end}}{{if or false true}}B{{end}}{{not true}}",
        "{{html .Command}} {{urlquery .Command}} {{js .Command}}",
        "{{/* comment */}}{{- .Names -}} x",
        "{{$x := .Names}}{{$x | upper | printf \"%s!\"}}",
        "x\\ty\\nz",
        "raw",
        "{{.Foo}}",
        "{{.Names.Foo}}",
        "{{foo .Names}}",
        "{{.Names",
    ] {
        // Without the fields that change from second to second.
        if template != "json" && template != "raw" {
            same(&world, &["ps", "-a", "--format", template]);
        }
    }
    for template in
        ["json", "raw", "table {{.Repository}}\t{{.Tag}}\t{{.Size}}", "{{.ID}} {{.Foo}}", "{{.Foo", "table {{.Foo}}"]
    {
        if !matches!(template, "json") {
            same(&world, &["images", "--format", template]);
        }
    }
    same(
        &world,
        &[
            "images",
            "--format",
            "{{.Repository}}:{{.Tag}} {{.Digest}} {{.CreatedAt}} {{.VirtualSize}} {{.SharedSize}} {{.Containers}}",
        ],
    );
    for template in ["{{.ID}} {{.Size}} {{.CreatedBy}}", "table {{.ID}}\t{{.Size}}", "{{.Foo}}", "{{.Foo"] {
        same(&world, &["history", "busybox", "--format", template]);
    }
    for template in ["json", "table {{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}", "{{.Foo"] {
        same(&world, &["system", "df", "--format", template]);
    }
}

#[test]
fn objects() {
    let world = prepared();
    for template in [
        "{{.Name}} {{.State.Status}} {{.Config.Labels}} {{json .Config.Labels}}",
        "{{range $k, $v := .Config.Labels}}{{$k}}={{$v}} {{end}}",
        "{{index .Config.Labels \"c.d\"}} {{index .Config.Cmd 0}} {{len .Config.Cmd}}|{{index .Config.Labels \"nope\"}}",
        "{{range .NetworkSettings.Networks}}{{.IPAddress}}|{{.Gateway}}{{end}}",
        "{{json .NetworkSettings.Networks}} {{.Mounts}} {{json .Mounts}}",
        "{{.HostConfig.Memory}} {{.HostConfig.Binds}} {{.HostConfig.RestartPolicy.Name}}",
        "{{with .State}}{{.Running}}{{end}} {{.State.Health}} {{if .State.Health}}sick{{else}}no{{end}}",
        "{{printf \"%d %s %v %t\" .State.ExitCode .Name .State.Running .State.Running}}",
        "{{eq .State.ExitCode 0}} {{lt .RestartCount 5}} {{gt 3 2}}",
        "{{.State.Foo}}",
        "{{.Foo}}",
        "json",
        "{{json .}}",
    ] {
        same(&world, &["inspect", "--format", template, "one"]);
    }
    same(&world, &["inspect", "--format", "{{.Name}}", "one", "nope", "two"]);
    same(
        &world,
        &[
            "inspect",
            "--format",
            "{{.RepoTags}} {{.Id}} {{.Size}} {{.Os}}/{{.Architecture}} {{.RootFS.Layers}}",
            "busybox",
        ],
    );
    for template in [
        "{{json .Driver}} {{.Containers}} {{.NCPU}} {{.Name}} {{.ServerVersion}} {{.Warnings}}",
        "{{.Plugins.Volume}} {{.Plugins.Network}} {{.SecurityOptions}} {{range .Plugins.Log}}{{.}} {{end}}",
        "{{.Runtimes.dhow.Path}} {{.DefaultRuntime}} {{.Swarm.LocalNodeState}} {{.DriverStatus}}",
        "{{.Foo",
    ] {
        same(&world, &["info", "--format", template]);
    }
    for template in [
        "{{.Server.Version}} {{.Server.APIVersion}} {{.Server.Os}}/{{.Server.Arch}} {{.Client.Context}}",
        "{{range .Server.Components}}{{.Name}} {{.Version}} {{end}}",
        "{{json .Server}} {{json .Server.Components}}",
        "{{.Server.KernelVersion}} {{.Server.Experimental}} {{.Server.BuildTime}} {{.Server.Platform.Name}}",
    ] {
        same(&world, &["version", "--format", template]);
    }
    // Not `0s`: what the stock client makes of it has no fraction, and then nothing has happened yet.
    let until = crate::events::now();
    for template in
        ["{{.Type}} {{.Action}} {{.Actor.Attributes.name}} {{.Actor.ID}}", "json", "{{json .Actor}}", "{{.Foo"]
    {
        same(&world, &["events", "--since", "1h", "--until", &until, "--format", template]);
    }
}

/// An address of Go's heap is nobody's business.
fn without_addresses(text: &str) -> String {
    let mut parts = text.split("0xc0");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + "0x" + part.trim_start_matches(|digit: char| digit.is_ascii_hexdigit()))
}

/// What templates print of structures, and what they find in them under the names of Go or of the API.
#[test]
fn structures() {
    let world = prepared();
    world
        .dhow(&[
            "create",
            "--name",
            "three",
            "-p",
            "8080:80",
            "-v",
            "/tmp:/host:ro",
            "--ulimit",
            "nofile=1:2",
            "--memory",
            "64m",
            "--health-cmd",
            "true",
            "--health-interval",
            "90s",
            "--device",
            "/dev/null",
            "busybox",
            "sleep",
            "7",
        ])
        .exits(0);
    let check = |args: &[&str]| {
        let (ours, stock) = (world.dhow(args), world.docker(args));
        let text = |outcome: &Outcome| {
            (outcome.code(), without_addresses(&outcome.stdout()), outcome.stderr().replace("docker", "dhow"))
        };
        assert_eq!(text(&ours), text(&stock), "{args:?}");
    };
    for template in [
        "{{.}}",
        "{{.State}}",
        "{{.Config}} {{.Config.Healthcheck}} {{.Config.ExposedPorts}}",
        "{{.HostConfig}}",
        "{{.HostConfig.Resources}} {{.HostConfig.Resources.Memory}} {{.HostConfig.DNS}}",
        "{{.NetworkSettings}} {{.NetworkSettings.Networks}}",
        "{{.Mounts}} {{range .Mounts}}{{.}}{{end}} {{index .Mounts 0}}",
        "{{.HostConfig.PortBindings}} {{.HostConfig.Ulimits}} {{.HostConfig.Devices}} {{.HostConfig.LogConfig}}",
        "{{range $port, $bindings := .HostConfig.PortBindings}}{{$port}} {{(index $bindings 0).HostPort}}{{end}}",
        "{{(index (index .HostConfig.PortBindings \"80/tcp\") 0).HostPort}}",
        "{{printf \"%v\" .State}} {{println .Mounts}} {{.State | print}}",
        "{{json .Config.Healthcheck}} {{.Config.Healthcheck.Interval}} {{.Config.StopTimeout}}",
        "{{.State.Health}} {{.State.Health.Status}}",
        "{{range .State}}{{.}},{{end}} {{index .State \"Status\"}}",
        "{{.Config.Labels.nope}} {{.NetworkSettings.Networks.nope}} {{.GraphDriver.Name}}",
        "{{index .Config.Cmd 9}}",
        "{{.Config.Foo.Bar}}",
        "{{$x := .State}}{{$x.Foo}}",
        "{{if false}}{{foo}}{{end}}",
        "{{end}}",
        "{{if .Name}}",
        "{{break}}",
        "{{.ID}}\\t{{slice .ID 0 4}}",
    ] {
        for name in ["one", "three"] {
            check(&["inspect", "--format", template, name]);
        }
    }
    check(&["inspect", "--format", "{{.}} {{.Config}} {{.RootFS}} {{.Metadata}} {{.ID}} {{.Variant}}", "busybox"]);
    check(&["network", "inspect", "--format", "{{.}} {{.IPAM}} {{.Containers}}", "bridge"]);
    world.dhow(&["volume", "create", "kept"]).exits(0);
    check(&["volume", "inspect", "--format", "{{.}} {{.Labels.x}} {{.Status}}", "kept"]);
    check(&["volume", "inspect", "--format", "{{.Foo}}", "kept"]);
    check(&["info", "--format", "{{.Swarm}} {{.Plugins}} {{.Runtimes}} {{.ClientErrors}}"]);
    check(&["version", "--format", "{{.Server}}"]);
    check(&["context", "inspect", "--format", "{{.Endpoints}} {{.Metadata}} {{.Storage}}"]);
}

/// Formats of `config.json`, which are in force when no flag says otherwise.
#[test]
fn usual_formats() {
    let world = prepared();
    std::fs::create_dir_all(world.path().join(".docker")).expect("made");
    let config = r#"{"psFormat": "table {{.Names}}\t{{.Image}}", "imagesFormat": "{{.Repository}}"}"#;
    std::fs::write(world.path().join(".docker/config.json"), config).expect("written");
    assert_eq!(world.dhow(&["images"]).ok(), "busybox");
    for args in [&["ps", "-a"][..], &["images"], &["ps", "-aq"], &["ps", "-a", "--format", "{{.ID}}"]] {
        same(&world, args);
    }
}

/// Neither help nor the client's version needs an engine.
#[test]
fn without_an_engine() {
    let world = World::new(DHOW);
    let nowhere = |args: &[&str]| finish(world.command(args).env("DOCKER_HOST", "unix:///nowhere"));
    nowhere(&["run", "--help"]).exits(0);
    nowhere(&["--version"]).exits(0);
    let version = nowhere(&["version"]);
    version.exits(1).says("Cannot connect to the Docker daemon at unix:///nowhere");
    assert!(version.stdout().starts_with("Client:") && !version.stdout().contains("Server:"), "{version:?}");
}

#[test]
fn a_format_of_ones_own_counts_beside_quiet() {
    let world = prepared();
    world.dhow(&["volume", "create", "hold"]).exits(0);
    for list in [&["images", "-q"][..], &["network", "ls", "-q"], &["volume", "ls", "-q"]] {
        for format in ["x", "table", "raw", "json", "{{.Nope}}", " {{.Driver}}{{.ID}} "] {
            same(&world, &[list, &["--format", format]].concat());
        }
    }
    same(&world, &["system", "df", "--format", "{{.Nope}}"]);
}

#[test]
fn functions_take_as_many_arguments_as_dockers() {
    let world = prepared();
    for template in ["{{upper \"a\" \"b\"}}", "{{json}}", "{{truncate .ID -1}}", "{{pad .ID -1 2}}", "{{join .ID}}"] {
        let codes =
            [world.dhow(&["ps", "--format", template]).code(), world.docker(&["ps", "--format", template]).code()];
        assert_eq!(codes, [1, 1], "{template}");
    }
}

/// Zones by their names are those of the machine that the client runs on.
#[test]
fn times_are_those_of_the_zone_that_is_named() {
    let world = busybox();
    world.dhow(&["create", "--name", "box", "busybox"]).exits(0);
    let list = ["ps", "-a", "--format", "{{.CreatedAt}}"];
    for zone in ["Asia/Tokyo", ":Asia/Tokyo"] {
        let ours = finish(world.command(&list).env("TZ", zone)).ok();
        assert!(ours.ends_with(" +0900 JST"), "{zone}: {ours}");
    }
    let tokyo = |command: &mut Command| finish(command.env("TZ", "Asia/Tokyo")).ok();
    assert_eq!(tokyo(&mut world.command(&list)), tokyo(&mut world.stock_command(&list)));
    let created = tokyo(&mut world.command(&list)).replacen(' ', "T", 1)[..19].to_owned();
    let since = ["events", "--since", &created, "--until", "0s", "--filter", "event=create"];
    assert_eq!(tokyo(&mut world.command(&since)).lines().count(), 1, "{created}");
}
