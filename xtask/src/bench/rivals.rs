//! Starting, entering and listing containers, against bubblewrap, the OCI runtimes and Docker.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use dhow_testkit::{StockEngine, World, busybox_rootfs};

use super::report::Report;
use super::turns::{Contestant, medians};
use crate::shell::{self, Result};

const ROUNDS: usize = 31;

/// `run --rm --network none busybox true`, from the shell's prompt and back.
pub(crate) fn start(world: &World, dockerd: Option<&StockEngine>, report: &mut Report) -> Result {
    const RUN: [&str; 6] = ["run", "--rm", "--network", "none", "busybox", "true"];
    let bundle = &Bundle::new(world)?;
    let mut contestants = vec![Contestant::command("dhow run", || world.command(&RUN))];
    if shell::installed("bwrap") {
        contestants.push(Contestant::command("bubblewrap", || bundle.bubblewrap()));
    }
    contestants.push(Contestant::command("dhow runtime run", || bundle.runtime(&super::binary(), &["runtime"])));
    for name in ["crun", "runc"] {
        let works = |name| super::turns::time(&mut bundle.runtime(&PathBuf::from(name), &[])).is_ok();
        // crun refuses hybrid cgroup hosts: it takes part where it can.
        if shell::installed(name) && works(name) {
            contestants.push(Contestant::command(name, move || bundle.runtime(&PathBuf::from(name), &[])));
        } else {
            println!("{name} is not installed, or refuses this host: no comparison with it");
        }
    }
    if let Some(dockerd) = dockerd {
        contestants.push(Contestant::command("docker run", || dockerd.command("docker", &RUN)));
    }
    report.race("run --rm --network none busybox true", "at most 2 x bubblewrap", &medians(&contestants, ROUNDS)?);
    Ok(())
}

/// `exec` of `true` in a running container.
pub(crate) fn exec(world: &World, dockerd: Option<&StockEngine>, report: &mut Report) -> Result {
    let begin = ["run", "-d", "--network", "none", "--name", "bench", "busybox", "sleep", "1000"];
    world.dhow(&begin).exits(0);
    let mut contestants = vec![Contestant::command("dhow exec", || world.command(&["exec", "bench", "true"]))];
    if let Some(dockerd) = dockerd {
        shell::run(dockerd.command("docker", &begin).stdout(std::process::Stdio::null()))?;
        contestants.push(Contestant::command("docker exec", || dockerd.command("docker", &["exec", "bench", "true"])));
    }
    report.race("exec true", "at most 5 ms, at least 12 x faster than Docker", &medians(&contestants, ROUNDS)?);
    world.dhow(&["rm", "-f", "bench"]).exits(0);
    if let Some(dockerd) = dockerd {
        shell::run(dockerd.command("docker", &["rm", "-f", "bench"]).stdout(std::process::Stdio::null()))?;
    }
    Ok(())
}

/// `ps -a` with 20 containers, then with 1,000 (Docker takes part only in the first: it needs minutes to make them).
pub(crate) fn list(world: &World, dockerd: Option<&StockEngine>, report: &mut Report) -> Result {
    for _ in 0..20 {
        world.dhow(&["create", "busybox"]).exits(0);
        if let Some(dockerd) = dockerd {
            shell::output(&mut dockerd.command("docker", &["create", "busybox"]))?;
        }
    }
    let mut contestants = vec![Contestant::command("dhow ps -a", || world.command(&["ps", "-a"]))];
    if let Some(dockerd) = dockerd {
        contestants.push(Contestant::command("docker ps -a", || dockerd.command("docker", &["ps", "-a"])));
    }
    report.race("ps -a of 20 containers", "at most 3 ms", &medians(&contestants, ROUNDS)?);
    for _ in 20..1000 {
        world.dhow(&["create", "busybox"]).exits(0);
    }
    let contestants = [Contestant::command("dhow ps -a", || world.command(&["ps", "-a"]))];
    report.race("ps -a of 1,000 containers", "at most 10 ms", &medians(&contestants, ROUNDS)?);
    let ids = world.dhow(&["ps", "-aq"]).ok();
    world.dhow(&[vec!["rm", "-f"], ids.lines().collect()].concat()).exits(0);
    Ok(())
}

/// An unpacked busybox with an OCI configuration, for those that need a bundle.
pub(super) struct Bundle {
    folder: PathBuf,
}

impl Bundle {
    pub(super) fn new(world: &World) -> Result<Self> {
        let folder = world.path().join("bundle");
        // Another measurement has made it.
        if folder.exists() {
            return Ok(Self { folder });
        }
        busybox_rootfs(&folder.join("rootfs"));
        shell::run(Command::new(super::binary()).args(["runtime", "spec", "--bundle"]).arg(&folder))?;
        let path = folder.join("config.json");
        let text = fs::read_to_string(&path).map_err(|error| error.to_string())?;
        let mut config: serde_json::Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        config["process"]["args"] = serde_json::json!(["true"]);
        config["process"]["terminal"] = false.into();
        fs::write(&path, config.to_string()).map_err(|error| error.to_string())?;
        Ok(Self { folder })
    }

    pub(super) fn bubblewrap(&self) -> Command {
        let mut command = Command::new("bwrap");
        command.arg("--unshare-all").arg("--bind").arg(self.folder.join("rootfs")).arg("/");
        command.args(["--proc", "/proc", "--dev", "/dev", "/bin/true"]);
        command
    }

    fn runtime(&self, program: &PathBuf, words: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(words).arg("--root").arg(self.folder.join("state")).args(["run", "--bundle"]).arg(&self.folder);
        command.arg(format!("bench-{}", std::process::id()));
        command
    }
}
