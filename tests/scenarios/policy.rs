//! Which images may be used: one file, asked in pull, run, load and push.

use std::fs;
use std::process::Command;

use dhow_testkit::{Registry, World, eventually, finish};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{DHOW, busybox};

/// A folder with `registries.toml`, and with a pair of keys as cosign makes them.
struct Rules {
    folder: TempDir,
}

impl Rules {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (private, public) = (folder.path().join("key.pem"), folder.path().join("key.pub"));
        let curve = ["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out"];
        finish(Command::new("openssl").args(curve).arg(&private)).exits(0);
        finish(Command::new("openssl").args(["ec", "-pubout", "-in"]).arg(&private).arg("-out").arg(&public)).exits(0);
        fs::write(folder.path().join("registries.toml"), text).expect("written");
        Self { folder }
    }

    fn world(&self) -> World {
        World::with_flags(DHOW, &["--registry-config", &self.folder.path().join("registries.toml").to_string_lossy()])
    }

    /// Signs a manifest as `cosign sign --key --tlog-upload=false` does, and puts the signature beside it.
    fn sign(&self, registry: &Registry, repository: &str, digest: &str) {
        let work = self.folder.path();
        let statement = format!(
            "{{\"critical\":{{\"identity\":{{\"docker-reference\":\"{}\"}},\"image\":{{\"docker-manifest-digest\":\
             \"{digest}\"}},\"type\":\"cosign container image signature\"}},\"optional\":null}}",
            registry.name(repository)
        );
        fs::write(work.join("statement"), &statement).expect("written");
        let script = format!(
            "set -e; cd {work}
             signature=$(openssl dgst -sha256 -sign key.pem statement | base64 -w0)
             printf '{{}}' > config
             digest() {{ echo sha256:$(sha256sum < $1 | cut -d' ' -f1); }}
             send() {{
                 location=$(curl -sfi -X POST http://{address}/v2/{repository}/blobs/uploads/ | tr -d '\\r' |
                     sed -n 's/^Location: //Ip')
                 curl -sf -X PUT --data-binary @$1 -H 'Content-Type: application/octet-stream' \
                     \"$location&digest=$(digest $1)\"
             }}
             send statement; send config
             cat > manifest <<END
             {{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"config\":{{\"mediaType\":\
             \"application/vnd.oci.image.config.v1+json\",\"size\":2,\"digest\":\"$(digest config)\"}},\"layers\":[{{\
             \"mediaType\":\"application/vnd.dev.cosign.simplesigning.v1+json\",\"size\":$(stat -c %s statement),\
             \"digest\":\"$(digest statement)\",\"annotations\":{{\"dev.cosignproject.cosign/signature\":\"$signature\"}}}}]}}
END
             curl -sf -X PUT --data-binary @manifest -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' \
                 http://{address}/v2/{repository}/manifests/sha256-{hex}.sig",
            work = work.display(),
            address = registry.address(),
            hex = digest.trim_start_matches("sha256:"),
        );
        finish(Command::new("bash").arg("-c").arg(script)).exits(0);
    }
}

/// Busybox in a registry under these names.
fn registry_with(names: &[&str]) -> (World, Registry) {
    let (world, registry) = (busybox(), Registry::start());
    for name in names {
        world.dhow(&["tag", "busybox", &registry.name(name)]).exits(0);
        world.dhow(&["push", &registry.name(name)]).exits(0);
    }
    (world, registry)
}

fn digest(world: &World, name: &str) -> String {
    let named = world.inspect(name, "{{join .RepoDigests \"\\n\"}}");
    named.lines().find_map(|name| name.split_once('@')).expect("a digest").1.to_owned()
}

#[test]
fn names_are_allowed_blocked_and_pinned() {
    let (maker, registry) = registry_with(&["team/app:1", "other/app:1", "pinned/app:1"]);
    let address = registry.address();
    let rules = Rules::new(&format!(
        "[policy]\ndefault = \"block\"\n\
         [[policy.rule]]\nname = \"ours\"\nmatch = \"{address}/team\"\n\
         [[policy.rule]]\nname = \"not theirs\"\nmatch = \"{address}/other\"\naction = \"block\"\n\
         [[policy.rule]]\nname = \"exact\"\nmatch = \"{address}/pinned\"\nby-digest = true\n"
    ));
    let world = rules.world();
    world.dhow(&["run", "--rm", "--network", "none", &registry.name("team/app:1"), "true"]).exits(0);
    for client in [World::dhow, World::docker] {
        let refused = client(&world, &["pull", &registry.name("other/app:1")]);
        refused.exits(1).says("may not be used: the rule \"not theirs\" of").says("registries.toml blocks it");
        client(&world, &["pull", "busybox"]).exits(1).says("no rule of");
    }
    world.dhow(&["pull", &registry.name("pinned/app:1")]).exits(1).says("wants it named by digest");
    let exact = format!("{}@{}", registry.name("pinned/app"), digest(&maker, &registry.name("pinned/app:1")));
    world.dhow(&["run", "--rm", "--network", "none", &exact, "true"]).exits(0);
    // Another name for what is here does not help, nor does an archive.
    world.dhow(&["tag", &exact, &registry.name("other/app:1")]).exits(0);
    world.dhow(&["run", "--rm", &registry.name("other/app:1"), "true"]).exits(125).says("\"not theirs\"");
    let mount = format!("type=image,source={},target=/x", registry.name("other/app:1"));
    let mounts = ["create", "--mount", &mount, &registry.name("team/app:1")];
    world.dhow(&mounts).exits(1).says("\"not theirs\"");
    world.dhow(&["push", &registry.name("other/app:1")]).exits(1).says("\"not theirs\"");
    let archive = rules.folder.path().join("archive.tar").display().to_string();
    maker.dhow(&["save", "-o", &archive, &registry.name("other/app:1")]).exits(0);
    world.dhow(&["load", "-i", &archive]).exits(1).says("\"not theirs\"");
}

#[test]
fn signatures_are_verified_when_pulled_and_again_without_the_registry() {
    let (maker, registry) = registry_with(&["app:signed", "app:bare"]);
    let text =
        format!("[[policy.rule]]\nname = \"signed\"\nmatch = \"{}\"\nsigned-by = [\"key.pub\"]\n", registry.address());
    let (rules, others) = (Rules::new(&text), Rules::new(&text));
    let name = registry.name("app:signed");
    let (world, stranger) = (rules.world(), others.world());
    world.dhow(&["pull", &name]).exits(1).says("the rule \"signed\" of").says("wants a signature of it");
    rules.sign(&registry, "app", &digest(&maker, &name));
    world.dhow(&["pull", &name]).exits(0);
    stranger.dhow(&["pull", &name]).exits(1).says("it is not signed with a key of the rule");
    assert_eq!(stranger.dhow(&["images", "-q"]).ok(), "", "nothing of it stays");
    let archive = rules.folder.path().join("archive.tar").display().to_string();
    maker.dhow(&["save", "-o", &archive, &name]).exits(0);
    world.dhow(&["load", "-i", &archive]).exits(1).says("which archives do not have");
    drop(registry);
    world.dhow(&["run", "--rm", "--network", "none", &name, "true"]).exits(0);
}

#[test]
fn mirrors_of_any_registry_are_asked_first() {
    let (maker, mirror) = registry_with(&["team/app:1"]);
    let rules = Rules::new(&format!("[registry.\"127.0.0.1:1\"]\nmirrors = [\"http://{}\"]\n", mirror.address()));
    let world = rules.world();
    world.dhow(&["pull", "127.0.0.1:1/team/app:1"]).exits(0);
    assert_eq!(digest(&world, "127.0.0.1:1/team/app:1"), digest(&maker, &mirror.name("team/app:1")));
    world.dhow(&["push", "127.0.0.1:1/team/app:1"]).exits(1).says("connection refused");
}

#[test]
fn rules_are_read_again_at_a_hangup() {
    let (_maker, registry) = registry_with(&["app:1"]);
    let block = |name: &str| {
        format!("[[policy.rule]]\nname = \"{name}\"\nmatch = \"{}\"\naction = \"block\"\n", registry.address())
    };
    let rules = Rules::new(&block("first"));
    let world = rules.world();
    let name = registry.name("app:1");
    world.dhow(&["pull", &name]).exits(1).says("\"first\"");
    let pid = i32::try_from(world.engine_pid().expect("it runs")).ok().and_then(Pid::from_raw).expect("a pid");
    let change = |text: &str, said: &str| {
        fs::write(rules.folder.path().join("registries.toml"), text).expect("written");
        let before = world.engine_log().len();
        kill_process(pid, Signal::HUP).expect("our engine");
        eventually("the engine has looked", || world.engine_log()[before..].contains(said));
    };
    change("", "the configuration was read again");
    world.dhow(&["pull", &name]).exits(0);
    change("[policy]\ndefualt = 1\n", "the configuration stays as it was");
    world.dhow(&["run", "--rm", "--network", "none", &name, "true"]).exits(0);
    change(&block("second"), "the configuration was read again");
    world.dhow(&["run", "--rm", "--network", "none", &name, "true"]).exits(125).says("\"second\"");
    change("[registry.\"docker.io\"]\ninsecure = true\n", "how registries are reached has changed");
}

#[test]
fn a_file_that_is_not_understood_is_said_at_once() {
    let rules = Rules::new("[policy]\ndefualt = \"block\"\n");
    let config = rules.folder.path().join("registries.toml");
    let mut daemon = Command::new(DHOW);
    daemon.arg("daemon").arg("--registry-config").arg(config);
    daemon.arg("--data-root").arg(rules.folder.path().join("data"));
    daemon.arg("--exec-root").arg(rules.folder.path().join("exec"));
    let refused = finish(&mut daemon);
    refused.says("registries.toml").says("defualt");
    assert_ne!(refused.code(), 0);
}
