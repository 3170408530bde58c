//! `update`.

use dhow_api::container::{PublishRequest, RestartPolicy, UpdateRequest, UpdateResponse};
use dhow_client::Client;
use dhow_errdefs::{Error, Result};

use crate::command::{Arguments, Command};
use crate::failure::{Failure, Outcome, with_hint};
use crate::flags::{Flag, Parsed};
use crate::options::{check_published, check_weight, limits, published, restart_policy};
use crate::output;
use crate::session::Session;

pub(super) static UPDATE: Command = Command {
    names: &["container update", "update"],
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    summary: "Change limits and restart policies of containers",
    flags: &[LIMITS, PORTS],
    arguments: Arguments::AtLeast(1),
    interspersed: true,
    run: |session, flags| Box::pin(run(session, flags)),
};

const LIMITS: &[Flag] = &[
    Flag::uint("blkio-weight", "uint16", "Share of block I/O, 10 to 1000; 0 for no change")
        .default("0")
        .check(check_weight),
    Flag::int("cpu-period", "Period of the CFS quota in microseconds"),
    Flag::int("cpu-quota", "Processor time per period in microseconds"),
    Flag::int("cpu-rt-period", "Real-time period in microseconds").since(25),
    Flag::int("cpu-rt-runtime", "Real-time processor time per period in microseconds").since(25),
    Flag::int("cpu-shares", "Share of the processors, relative to others").short(b'c'),
    Flag::checked("cpus", "decimal", limits::check_cpus, "How many processors it may use").since(29),
    Flag::text("cpuset-cpus", "Which processors it may use (0-3, 0,1)"),
    Flag::text("cpuset-mems", "Which memory nodes it may use (0-3, 0,1)"),
    Flag::checked("kernel-memory", "bytes", limits::check_bytes, "Limit of kernel memory").hidden(),
    Flag::checked("memory", "bytes", limits::check_bytes, "Limit of memory").short(b'm'),
    Flag::checked("memory-reservation", "bytes", limits::check_bytes, "Memory it keeps when the host runs short"),
    Flag::checked(
        "memory-swap",
        "bytes",
        limits::check_swap,
        "Limit of memory and swap together; '-1' for no limit of swap",
    ),
    Flag::int("pids-limit", "How many processes it may have; '-1' for no limit").since(40),
    Flag::text("restart", "When to start it again: no, on-failure[:n], on-unhealthy[:n], always, unless-stopped"),
];

/// Not Docker's.
const PORTS: &[Flag] = &[
    Flag::list("publish-add", "Publish another port, as --publish of run does").check(check_published),
    Flag::list("publish-rm", "Publish a port no more (PORT for all of it, HOST_PORT:PORT for one)")
        .check(check_published),
];

async fn run(session: &Session, flags: &Parsed) -> Outcome {
    let asked = |list: &[Flag]| list.iter().any(|flag| flags.has(flag.long));
    let ports = asked(PORTS).then(|| ports(flags)).transpose()?;
    if !asked(LIMITS) && ports.is_none() {
        return Err(Error::invalid("you must provide one or more flags when using this command").into());
    }
    let request = request(flags)?;
    let client = session.client().await?;
    let (mut warnings, mut failures) = (Vec::new(), Vec::new());
    for name in &flags.args {
        match change(client, name, asked(LIMITS).then_some(&request), ports.as_ref()).await {
            Ok(answer) => {
                output::line(name)?;
                warnings.extend(answer.warnings.unwrap_or_default());
            }
            Err(error) => failures.push(with_hint(&error)),
        }
    }
    if !warnings.is_empty() {
        output::line(&warnings.join("\n"))?;
    }
    if failures.is_empty() { Ok(0) } else { Err(Failure::text(failures.join("\n"))) }
}

async fn change(
    client: &Client,
    name: &str,
    limits: Option<&UpdateRequest>,
    ports: Option<&PublishRequest>,
) -> Result<UpdateResponse> {
    if let Some(ports) = ports {
        client.container_publish(name, ports).await?;
    }
    match limits {
        Some(limits) => client.container_update(name, limits).await,
        None => Ok(UpdateResponse::default()),
    }
}

fn ports(flags: &Parsed) -> Result<PublishRequest> {
    Ok(PublishRequest { add: published(flags.list("publish-add"))?, remove: published(flags.list("publish-rm"))? })
}

fn request(flags: &Parsed) -> Result<UpdateRequest> {
    let cpus = flags.some("cpus").map_or(Ok(0), limits::cpus).map_err(Error::invalid)?;
    let pids_limit = Some(flags.number("pids-limit")).filter(|limit| *limit != 0);
    Ok(UpdateRequest {
        restart_policy: flags.some("restart").map_or_else(|| Ok(RestartPolicy::default()), restart_policy)?,
        cpu_shares: flags.number("cpu-shares"),
        memory: limits::bytes(flags.text("memory")),
        nano_cpus: cpus,
        blkio_weight: u16::try_from(flags.number("blkio-weight")).unwrap_or(0),
        cpu_period: flags.number("cpu-period"),
        cpu_quota: flags.number("cpu-quota"),
        cpu_realtime_period: flags.number("cpu-rt-period"),
        cpu_realtime_runtime: flags.number("cpu-rt-runtime"),
        cpuset_cpus: flags.text("cpuset-cpus").to_owned(),
        cpuset_mems: flags.text("cpuset-mems").to_owned(),
        kernel_memory: limits::bytes(flags.text("kernel-memory")),
        memory_reservation: limits::bytes(flags.text("memory-reservation")),
        memory_swap: limits::bytes(flags.text("memory-swap")),
        pids_limit,
        ..UpdateRequest::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::parse;

    #[test]
    fn only_what_was_typed_is_asked_for() {
        let words = ["-m", "64m", "--memory-swap", "-1", "--cpus", "1.5", "--restart", "on-failure:3", "box"];
        let flags = parse(UPDATE.flags, true, &words.map(str::to_owned)).unwrap_or_else(|_| panic!("parses"));
        let asked = request(&flags).unwrap();
        assert_eq!((asked.memory, asked.memory_swap, asked.nano_cpus), (64 << 20, -1, 1_500_000_000));
        assert_eq!((asked.restart_policy.maximum_retry_count, asked.pids_limit, asked.cpu_shares), (3, None, 0));
    }
}
