//! Networks: starting in one, moving bytes through one, publishing very many ports.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use dhow_testkit::{StockEngine, World, eventually};

use super::parallel;
use super::report::Report;
use super::rivals::Bundle;
use super::turns::{Contestant, medians, time};
use crate::shell::{self, Result};

const ROUNDS: usize = 15;

/// What is sent through a network at once.
const BYTES: &str = "1G";

/// How many ports are published.
const PORTS: u16 = 5000;
const FIRST: u16 = 20_000;

/// The Docker of these measurements: one that makes bridges and rules, in the network of the measurement.
fn docker() -> Option<StockEngine> {
    ["dockerd", "docker"].iter().all(|program| shell::installed(program)).then(StockEngine::with_networks)
}

/// `run --rm busybox true` in the default network, and fifty of those at once.
pub(crate) fn start(world: &World, _: Option<&StockEngine>, report: &mut Report) -> Result {
    const RUN: [&str; 4] = ["run", "--rm", "busybox", "true"];
    let (bundle, docker) = (Bundle::new(world)?, docker());
    let mut contestants = vec![Contestant::command("dhow run", || world.command(&RUN))];
    if shell::installed("bwrap") {
        contestants.push(Contestant::command("bubblewrap", || bundle.bubblewrap()));
    }
    if let Some(docker) = &docker {
        contestants.push(Contestant::command("docker run", || docker.command("docker", &RUN)));
    }
    let promise = "at most 3 x bubblewrap, at least 25 x faster than Docker";
    report.race("run --rm busybox true, in the default network", promise, &medians(&contestants, ROUNDS)?);
    parallel::fifty_in("bridge", world, docker.as_ref(), report)
}

/// A gigabyte from container to container, and from the host to a published port.
pub(crate) fn throughput(world: &World, _: Option<&StockEngine>, report: &mut Report) -> Result {
    if !shell::installed("iperf3") {
        println!("iperf3 is not installed: nothing is sent");
        return Ok(());
    }
    let folder = world.path().join("iperf");
    iperf(&folder)?;
    let docker = docker();
    let dhow: &Client<'_> = &|args| world.command(args);
    let mut sides = vec![Side::new(("dhow", "dhow "), dhow, &folder, 5201)?];
    let stock = docker.as_ref().map(|docker| move |args: &[&str]| docker.command("docker", args));
    if let Some(stock) = &stock {
        sides.push(Side::new(("docker", "docker "), stock, &folder, 5202)?);
    }
    for (what, host) in [("1 GB from container to container", false), ("1 GB from the host to a published port", true)]
    {
        let contestants: Vec<Contestant<'_>> =
            sides.iter().map(|side| Contestant { name: side.name, once: Box::new(move || side.send(host)) }).collect();
        report.race(what, "no slower than Docker", &medians(&contestants, 5)?);
    }
    sides.iter().try_for_each(Side::remove)
}

type Client<'a> = dyn Fn(&[&str]) -> Command + 'a;

/// One engine with a server, and a container to send from.
struct Side<'a> {
    name: &'static str,
    client: &'a Client<'a>,
    server: String,
    gateway: String,
    port: String,
}

impl<'a> Side<'a> {
    fn new((name, _): (&'static str, &str), client: &'a Client<'a>, folder: &Path, port: u16) -> Result<Self> {
        let mut tar = Command::new("tar").arg("-C").arg(folder).args(["-c", "."]).stdout(Stdio::piped()).spawn();
        let tar = tar.as_mut().map_err(|error| error.to_string())?;
        let out = tar.stdout.take().ok_or("no output of tar")?;
        shell::output(client(&["import", "-", "iperf"]).stdin(out))?;
        tar.wait().map_err(|error| error.to_string())?;
        let publish = format!("{port}:5201");
        let run = ["run", "-d", "--name", "server", "-p", &publish, "iperf", "/usr/bin/iperf3", "-s"];
        shell::output(&mut client(&run))?;
        shell::output(&mut client(&["run", "-d", "--name", "sender", "iperf", "/usr/bin/iperf3", "-s"]))?;
        let network = |field: &str| {
            let format = format!("{{{{(index .NetworkSettings.Networks \"bridge\").{field}}}}}");
            shell::output(&mut client(&["inspect", "-f", &format, "server"])).map(|text| text.trim().to_owned())
        };
        let side =
            Self { name, client, server: network("IPAddress")?, gateway: network("Gateway")?, port: port.to_string() };
        eventually("the server listens", || TcpStream::connect((side.server.as_str(), 5201)).is_ok());
        Ok(side)
    }

    fn send(&self, from_host: bool) -> Result<Duration> {
        if from_host {
            return time(Command::new("iperf3").args(["-c", &self.gateway, "-p", &self.port, "-n", BYTES]));
        }
        time(&mut (self.client)(&["exec", "sender", "/usr/bin/iperf3", "-c", &self.server, "-n", BYTES]))
    }

    fn remove(&self) -> Result {
        shell::output(&mut (self.client)(&["rm", "-f", "server", "sender"])).map(drop)
    }
}

/// The host's iperf3 with its libraries, as a root file system.
fn iperf(folder: &Path) -> Result {
    let listed = shell::output(Command::new("ldd").arg("/usr/bin/iperf3"))?;
    let libraries: BTreeSet<&str> = listed.split_whitespace().filter(|word| word.starts_with('/')).collect();
    for file in libraries.into_iter().chain(["/usr/bin/iperf3"]) {
        let target = folder.join(file.trim_start_matches('/'));
        let place = target.parent().ok_or("no folder")?;
        fs::create_dir_all(place).map_err(|error| format!("{}: {error}", place.display()))?;
        fs::copy(file, &target).map_err(|error| format!("{file}: {error}"))?;
    }
    fs::create_dir_all(folder.join("tmp")).map_err(|error| error.to_string())
}

/// A container with 5,000 published ports: how long it takes to start, and what one more costs, and a connection.
pub(crate) fn ports(world: &World, _: Option<&StockEngine>, report: &mut Report) -> Result {
    let serve = "mkdir -p /www; exec busybox httpd -f -h /www -p 80";
    let run = |name: &str, publish: &str| {
        time(&mut world.command(&["run", "-d", "--name", name, "-p", publish, "busybox", "sh", "-c", serve]))
    };
    run("few", "19000:80")?;
    let few = more(world, "few", 19_100)?;
    let last = FIRST + PORTS - 1;
    let taken = run("many", &format!("{FIRST}-{last}:{FIRST}-{last}"))?;
    report.race("start a container with 5,000 published ports", "seconds", &[("dhow", taken)]);
    let many = more(world, "few", 19_200)?;
    let what = "publish one more port of a running container";
    report.race(what, "beside 5,000 no dearer than alone", &[("beside 5,000", many), ("alone", few)]);
    report.race("one more for the container with 5,000", "none", &[("dhow", more(world, "many", 19_300)?)]);
    let connect = [("the last port", connect(19_309)?), ("the first port", connect(19_000)?)];
    report.race("connect to a published port", "the last is as cheap as the first", &connect);
    world.dhow(&["rm", "-f", "few", "many"]).exits(0);
    Ok(())
}

/// The median of publishing single ports from that number on.
fn more(world: &World, name: &str, from: u16) -> Result<Duration> {
    let times = (from..from + 10).map(|port| {
        let publish = format!("{port}:80");
        time(&mut world.command(&["update", "--publish-add", &publish, name]))
    });
    times.collect::<Result<Vec<_>>>().map(super::turns::median)
}

/// The median of a thousand connections.
fn connect(port: u16) -> Result<Duration> {
    eventually("it answers", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    let once = |_| {
        let begin = Instant::now();
        TcpStream::connect(("127.0.0.1", port)).map(|_| begin.elapsed()).map_err(|error| format!("{port}: {error}"))
    };
    (0..1000).map(once).collect::<Result<Vec<_>>>().map(super::turns::median)
}
