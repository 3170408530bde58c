//! Hosts with firewalld: it refuses what goes on between networks that it knows nothing of.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use dhow_testkit::{Outcome, World, eventually, finish, isolate};

use crate::DHOW;
use crate::outside::{HOST, NEIGHBOUR, neighbour};

/// Who may send what to whom on the bus: everybody everything.
const BUS: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path=SOCKET</listen><auth>EXTERNAL</auth><policy context="default">
<allow user="*"/><allow own="*"/><allow send_destination="*"/><allow receive_type="method_call"/>
<allow receive_type="method_return"/><allow receive_type="error"/><allow receive_type="signal"/></policy></busconfig>
"#;

/// A firewalld in the test's network, and the bus at which it is asked.
struct Firewalld {
    folder: tempfile::TempDir,
    programs: Vec<Child>,
}

impl Firewalld {
    fn start() -> Self {
        isolate();
        let folder = tempfile::Builder::new().prefix("dhow-firewalld-").tempdir().expect("a folder");
        let mut it = Self { folder, programs: Vec::new() };
        fs::write(it.path("bus.conf"), BUS.replace("SOCKET", &it.path("bus").display().to_string())).expect("written");
        let mut bus = Command::new("dbus-daemon");
        it.run(bus.arg("--nofork").arg("--config-file").arg(it.path("bus.conf")));
        eventually("the bus is there", || it.path("bus").exists());
        let mut firewalld = Command::new("/usr/sbin/firewalld");
        firewalld.args(["--nofork", "--nopid", "--log-file"]).arg(it.path("log"));
        firewalld.arg("--system-config").arg(it.path("config")).env("DBUS_SYSTEM_BUS_ADDRESS", it.bus());
        fs::create_dir(it.path("config")).expect("made");
        it.run(&mut firewalld);
        eventually("firewalld runs", || it.ask("--state").code() == 0);
        it
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn bus(&self) -> String {
        format!("unix:path={}", self.path("bus").display())
    }

    fn run(&mut self, command: &mut Command) {
        self.programs.push(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it is installed"));
    }

    fn ask(&self, words: &str) -> Outcome {
        let mut command = Command::new("firewall-cmd");
        finish(command.args(words.split(' ')).env("DBUS_SYSTEM_BUS_ADDRESS", self.bus()))
    }

    fn trusted(&self) -> String {
        self.ask("--zone=trusted --list-interfaces").ok()
    }

    /// Our program, which finds that firewalld as it finds the host's.
    fn program(&self) -> PathBuf {
        let path = self.path("dhow");
        let binary = dhow_testkit::binary(Path::new(DHOW));
        let script = format!("#!/bin/sh\nDBUS_SYSTEM_BUS_ADDRESS={} exec {} \"$@\"\n", self.bus(), binary.display());
        fs::write(&path, script).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("changed");
        path
    }
}

impl Drop for Firewalld {
    fn drop(&mut self) {
        for program in self.programs.iter_mut().rev() {
            drop(program.kill());
            drop(program.wait());
        }
    }
}

/// Whether a container comes out of the host.
fn comes_out(world: &World, network: &str) -> bool {
    let ask = format!("timeout 5 busybox wget -q -O /dev/null http://{NEIGHBOUR}/etc/hosts; exit $?");
    world.dhow(&["run", "--rm", "--network", network, "busybox", "sh", "-c", &ask]).code() == 0
}

#[test]
fn firewalld_lets_containers_out_and_knows_their_bridges_as_long_as_they_are_there() {
    let firewalld = Firewalld::start();
    let mut world = World::with_flags(firewalld.program(), &[]);
    world.import_busybox("busybox");
    neighbour(&world);
    world.dhow(&["network", "create", "front"]).exits(0);
    eventually("it comes out", || comes_out(&world, "front"));
    let bridges = firewalld.trusted();
    assert!(bridges.starts_with("br-"), "{bridges}");
    // Firewalld forgets it.
    firewalld.ask("--reload").exits(0);
    eventually("it comes out again", || comes_out(&world, "front"));
    assert_eq!(firewalld.trusted(), bridges);
    // What a person has decided stays so.
    world.dhow(&["network", "create", "-o", "com.docker.network.bridge.name=mine0", "mine"]).exits(0);
    eventually("it is known", || firewalld.trusted().contains("mine0"));
    firewalld.ask("--zone=dmz --change-interface=mine0").exits(0);
    world.dhow(&["network", "create", "idle"]).exits(0);
    eventually("it is known", || firewalld.trusted().split_whitespace().count() == 2);
    world.crash_engine();
    world.start_engine();
    for network in ["front", "mine"] {
        world.dhow(&["run", "--rm", "--network", network, "busybox", "true"]).exits(0);
    }
    // Whoever puts that one back has looked at the other one, too.
    firewalld.ask(&format!("--zone=trusted --remove-interface={bridges}")).exits(0);
    eventually("it is put back", || firewalld.trusted().contains(&bridges));
    assert_eq!(firewalld.ask("--zone=dmz --list-interfaces").ok(), "mine0");
    // One that nobody has used since.
    world.dhow(&["network", "rm", "idle"]).exits(0);
    eventually("it is taken out", || firewalld.trusted() == bridges);
    world.dhow(&["network", "rm", "front", "mine"]).exits(0);
    eventually("nothing of them is left", || firewalld.trusted().is_empty());
}

#[test]
fn no_bridge_is_trusted_where_the_hosts_policy_decides() {
    let firewalld = Firewalld::start();
    let world = World::with_flags(firewalld.program(), &["--firewall", "respect-host"]);
    world.import_busybox("busybox");
    neighbour(&world);
    world
        .dhow(&["run", "-d", "--name", "web", "-p", "8080:80", "busybox", "busybox", "httpd", "-f", "-h", "/"])
        .exits(0);
    let url = format!("http://{HOST}:8080/etc/hosts");
    let ask = ["exec", "neighbour", "timeout", "5", "busybox", "wget", "-q", "-O", "/dev/null", &url];
    let comes = || world.dhow(&ask).code() == 0;
    assert!(!comes(), "firewalld does not let it in");
    firewalld.ask("--add-port=8080/tcp").exits(0);
    eventually("it lets it in", comes);
    assert_eq!(firewalld.trusted(), "");
}
