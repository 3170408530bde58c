//! `network create`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use dhow_api::network::{ConfigReference, CreateRequest, Ipam, IpamConfig};
use dhow_errdefs::{Error, Result};

use crate::command::{Arguments, Command};
use crate::failure::Outcome;
use crate::flags::{Flag, Parsed};
use crate::options::{check_label, pair};
use crate::output;
use crate::session::Session;

pub(super) static CREATE: Command = Command {
    names: &["network create"],
    usage: "[OPTIONS] NETWORK",
    summary: "Make a network",
    flags: &[FLAGS],
    arguments: Arguments::Exactly(1),
    interspersed: true,
    run: |session, flags| Box::pin(run(session, flags)),
};

const FLAGS: &[Flag] = &[
    Flag::bool("attachable", "Let containers be connected by hand (clusters)").since(25),
    Flag::list("aux-address", "Addresses that others have (name=address)").placeholder("map").shown("map[]"),
    Flag::text("config-from", "The network to take the configuration from").since(30),
    Flag::bool("config-only", "Only keep the configuration").since(30),
    Flag::text("driver", "What makes it").short(b'd').default("bridge"),
    Flag::list("gateway", "IPv4 or IPv6 gateway of a subnet").placeholder("strings"),
    Flag::bool("ingress", "Make the routing mesh of a cluster").since(29),
    Flag::bool("internal", "Without a way to the outside"),
    Flag::list("ip-range", "Give out addresses of this part of a subnet only").placeholder("strings"),
    Flag::text("ipam-driver", "Who gives out addresses").default("default"),
    Flag::list("ipam-opt", "Options of that driver (name=value)").placeholder("map").shown("map[]"),
    Flag::bool("ipv4", "With IPv4 addresses").default("true"),
    Flag::bool("ipv6", "With IPv6 addresses"),
    Flag::list("label", "Put a label on it").check(check_label),
    Flag::list("opt", "Options of the driver (name=value)").short(b'o').placeholder("map").shown("map[]"),
    Flag::text("scope", "How far it reaches").since(30),
    Flag::list("subnet", "Its addresses, as address and prefix (CIDR)").placeholder("strings"),
];

async fn run(session: &Session, flags: &Parsed) -> Outcome {
    let request = request(flags)?;
    let made = session.client().await?.network_create(&request).await?;
    if !made.warning.is_empty() {
        output::note(&format!("WARNING: {}", made.warning));
    }
    output::line(&made.id)?;
    Ok(0)
}

fn request(flags: &Parsed) -> Result<CreateRequest> {
    let pairs = |flag: &str| flags.list(flag).map(pair).collect::<BTreeMap<_, _>>();
    let choice = |flag: &str| flags.has(flag).then(|| flags.on(flag));
    Ok(CreateRequest {
        name: flags.args[0].clone(),
        check_duplicate: false,
        driver: flags.text("driver").to_owned(),
        scope: flags.text("scope").to_owned(),
        enable_ipv4: choice("ipv4"),
        enable_ipv6: choice("ipv6"),
        ipam: Some(Ipam {
            driver: flags.text("ipam-driver").to_owned(),
            options: Some(pairs("ipam-opt")),
            config: Some(pools(flags)?),
        }),
        internal: flags.on("internal"),
        attachable: flags.on("attachable"),
        ingress: flags.on("ingress"),
        config_only: flags.on("config-only"),
        config_from: flags.some("config-from").map(|network| ConfigReference { network: network.to_owned() }),
        options: Some(pairs("opt")),
        labels: Some(pairs("label")),
    })
}

/// Puts ranges, gateways and further addresses to the subnets that they are of.
fn pools(flags: &Parsed) -> Result<Vec<IpamConfig>> {
    let (subnets, ranges, gateways) = (words(flags, "subnet"), words(flags, "ip-range"), words(flags, "gateway"));
    if subnets.len() < ranges.len() || subnets.len() < gateways.len() {
        return Err(Error::invalid("every ip-range or gateway must have a corresponding subnet"));
    }
    let mut pools: Vec<IpamConfig> = Vec::new();
    for subnet in subnets {
        if pools.iter().any(|pool| contains(&pool.subnet, &subnet) || contains(&subnet, &pool.subnet)) {
            return Err(Error::invalid("multiple overlapping subnet configuration is not supported"));
        }
        pools.push(IpamConfig { subnet, ..IpamConfig::default() });
    }
    for range in ranges {
        let pool = of(&mut pools, &range, "range")?;
        if !pool.ip_range.is_empty() {
            let (other, subnet) = (&pool.ip_range, &pool.subnet);
            let text = format!("cannot configure multiple ranges ({range}, {other}) on the same subnet ({subnet})");
            return Err(Error::invalid(text));
        }
        pool.ip_range = range;
    }
    for gateway in gateways {
        let pool = of(&mut pools, &gateway, "gateway")?;
        if !pool.gateway.is_empty() {
            let (other, subnet) = (&pool.gateway, &pool.subnet);
            let text =
                format!("cannot configure multiple gateways ({gateway}, {other}) for the same subnet ({subnet})");
            return Err(Error::invalid(text));
        }
        pool.gateway = gateway;
    }
    for (name, address) in flags.list("aux-address").map(pair) {
        of(&mut pools, &address, "aux-address")?.auxiliary_addresses.insert(name, address);
    }
    Ok(pools)
}

/// Values that may also be given together, between commas.
fn words(flags: &Parsed, flag: &str) -> Vec<String> {
    flags.list(flag).flat_map(|text| text.split(',')).map(|word| word.trim().to_owned()).collect()
}

fn of<'a>(pools: &'a mut [IpamConfig], inner: &str, what: &str) -> Result<&'a mut IpamConfig> {
    let pool = pools.iter_mut().find(|pool| contains(&pool.subnet, inner));
    pool.ok_or_else(|| Error::invalid(format!("no matching subnet for {what} {inner}")))
}

/// Whether an address, or the one with which a block is written, is in a subnet.
fn contains(subnet: &str, inner: &str) -> bool {
    let address = inner.split('/').next().unwrap_or_default();
    match (block(subnet), address.parse::<IpAddr>()) {
        (Some((IpAddr::V4(subnet), prefix)), Ok(IpAddr::V4(inner))) => {
            same(subnet.to_bits().into(), inner.to_bits().into(), 32 - prefix)
        }
        (Some((IpAddr::V6(subnet), prefix)), Ok(IpAddr::V6(inner))) => {
            same(subnet.to_bits(), inner.to_bits(), 128 - prefix)
        }
        _ => false,
    }
}

fn same(one: u128, other: u128, host_bits: u32) -> bool {
    let network = |bits: u128| bits.checked_shr(host_bits).unwrap_or_default();
    network(one) == network(other)
}

fn block(text: &str) -> Option<(IpAddr, u32)> {
    let (address, prefix) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let width = if address.is_ipv4() { 32 } else { 128 };
    prefix.parse().ok().filter(|prefix| *prefix <= width).map(|prefix| (address, prefix))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::parse;

    fn asked(line: &str) -> Result<CreateRequest> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        request(&parse(CREATE.flags, true, &words).unwrap_or_else(|_| panic!("{line} parses")))
    }

    #[test]
    fn a_plain_request_is_what_docker_sends() {
        let text = serde_json::to_string(&asked("n").unwrap()).unwrap();
        assert_eq!(
            text,
            r#"{"Name":"n","Driver":"bridge","Scope":"","IPAM":{"Driver":"default","Options":{},"Config":[]},"Internal":false,"Attachable":false,"Ingress":false,"ConfigOnly":false,"ConfigFrom":null,"Options":{},"Labels":{}}"#
        );
        let six = asked("--ipv6 --ipv4=false -o a=b --label c n").unwrap();
        assert_eq!((six.enable_ipv4, six.enable_ipv6), (Some(false), Some(true)));
        assert_eq!((&six.options.unwrap()["a"], &six.labels.unwrap()["c"]), (&"b".to_owned(), &String::new()));
    }

    #[test]
    fn everything_comes_to_its_subnet() {
        let line = "--subnet 10.1.0.0/16 --subnet fd00::/64 --gateway fd00::9 --gateway 10.1.0.9 --ip-range 10.1.4.0/24 \
                    --aux-address a=10.1.0.5 n";
        let pools = asked(line).unwrap().ipam.unwrap().config.unwrap();
        assert_eq!((pools[0].gateway.as_str(), pools[0].ip_range.as_str()), ("10.1.0.9", "10.1.4.0/24"));
        assert_eq!((pools[0].auxiliary_addresses["a"].as_str(), pools[1].gateway.as_str()), ("10.1.0.5", "fd00::9"));
    }

    #[test]
    fn what_does_not_fit_is_refused_in_dockers_words() {
        for (line, words) in [
            ("--gateway 10.0.0.1 n", "every ip-range or gateway must have a corresponding subnet"),
            ("--subnet 10.0.0.0/8,10.1.0.0/16 n", "multiple overlapping subnet configuration is not supported"),
            ("--subnet 10.0.0.0/8 --ip-range 192.168.0.0/24 n", "no matching subnet for range 192.168.0.0/24"),
            ("--subnet 10.0.0.0/8 --gateway 192.168.0.1 n", "no matching subnet for gateway 192.168.0.1"),
            ("--subnet 10.0.0.0/8 --aux-address a=192.168.0.1 n", "no matching subnet for aux-address 192.168.0.1"),
            (
                "--subnet 10.0.0.0/8 --subnet 11.0.0.0/8 --ip-range 10.1.0.0/16 --ip-range 10.2.0.0/16 n",
                "cannot configure multiple ranges (10.2.0.0/16, 10.1.0.0/16) on the same subnet (10.0.0.0/8)",
            ),
        ] {
            assert_eq!(asked(line).unwrap_err().to_string(), words, "{line}");
        }
        // What is no block, the engine says.
        assert_eq!(asked("--subnet 10.0.0.0/33 n").unwrap().ipam.unwrap().config.unwrap()[0].subnet, "10.0.0.0/33");
    }
}
