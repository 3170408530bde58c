//! `update`: other limits for a running container.

use std::io::Read;

use clap::{Arg, ArgMatches, Command};
use dhow_errdefs::{Error, Result, ResultExt};
use dhow_oci::runtime::{LinuxPids, LinuxResources};

use super::record::{Container, read_json};
use super::{Globals, id, pause, text};

pub(crate) fn command() -> Command {
    let number = |name: &'static str| {
        Arg::new(name).long(name).value_parser(clap::value_parser!(i64)).allow_negative_numbers(true)
    };
    Command::new("update")
        .about("change the limits of a container")
        .arg(Arg::new("resources").long("resources").short('r').help("file with the limits, - for standard input"))
        .args(NUMBERS.map(number))
        .arg(Arg::new("cpuset-cpus").long("cpuset-cpus"))
        .arg(Arg::new("cpuset-mems").long("cpuset-mems"))
        .arg(id())
}

const NUMBERS: [&str; 10] = [
    "blkio-weight",
    "cpu-period",
    "cpu-quota",
    "cpu-share",
    "cpu-rt-period",
    "cpu-rt-runtime",
    "memory",
    "memory-reservation",
    "memory-swap",
    "pids-limit",
];

pub(crate) fn run(globals: &Globals, matches: &ArgMatches) -> Result<u8> {
    let container = Container::load(globals, text(matches, "id"))?;
    let resources = match text(matches, "resources") {
        "" => from_options(matches),
        "-" => from_input()?,
        file => read_json(file.as_ref())?,
    };
    for warning in pause::cgroup(&container)?.apply(&resources)? {
        globals.log.warning(&warning);
    }
    Ok(0)
}

fn from_input() -> Result<LinuxResources> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).context(|| "read the limits")?;
    serde_json::from_str(&text).map_err(|error| Error::invalid("read the limits").with_cause(error))
}

fn from_options(matches: &ArgMatches) -> LinuxResources {
    let number = |name: &str| matches.get_one::<i64>(name).copied();
    let positive = |name: &str| number(name).and_then(|value| u64::try_from(value).ok());
    let mut resources = LinuxResources::default();
    let memory = resources.memory.get_or_insert_default();
    (memory.limit, memory.reservation, memory.swap) =
        (number("memory"), number("memory-reservation"), number("memory-swap"));
    let cpu = resources.cpu.get_or_insert_default();
    (cpu.shares, cpu.quota, cpu.period) = (positive("cpu-share"), number("cpu-quota"), positive("cpu-period"));
    (cpu.realtime_runtime, cpu.realtime_period) = (number("cpu-rt-runtime"), positive("cpu-rt-period"));
    cpu.cpus = matches.get_one::<String>("cpuset-cpus").cloned();
    cpu.mems = matches.get_one::<String>("cpuset-mems").cloned();
    resources.block_io.get_or_insert_default().weight = number("blkio-weight").and_then(|n| u16::try_from(n).ok());
    resources.pids = number("pids-limit").map(|limit| LinuxPids { limit });
    resources
}
