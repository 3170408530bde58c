//! `network connect` and `network disconnect`.

use dhow_api::network::{ConnectRequest, DisconnectRequest, EndpointIpam, EndpointSettings};
use dhow_errdefs::{Error, Result};

use crate::command::{Arguments, Command};
use crate::failure::Outcome;
use crate::flags::{Flag, Parsed};
use crate::options::{check_link, pair};
use crate::session::Session;

pub(super) static CONNECT: Command = Command {
    names: &["network connect"],
    usage: "[OPTIONS] NETWORK CONTAINER",
    summary: "Connect a container to a network",
    flags: &[&[
        Flag::list("alias", "Another name of the container in the network"),
        Flag::list("driver-opt", "Options of the network's driver (name=value)"),
        Flag::int("gw-priority", "Whose gateway is the default: the highest wins"),
        Flag::text("ip", "IPv4 address (172.30.100.104)"),
        Flag::text("ip6", "IPv6 address (2001:db8::33)"),
        Flag::list("link", "Give another container a name that only this one knows").check(check_link),
        Flag::list("link-local-ip", "Link-local addresses"),
    ]],
    arguments: Arguments::Exactly(2),
    interspersed: true,
    run: |session, flags| Box::pin(connect(session, flags)),
};

pub(super) static DISCONNECT: Command = Command {
    names: &["network disconnect"],
    usage: "[OPTIONS] NETWORK CONTAINER",
    summary: "Take a container off a network",
    flags: &[&[Flag::bool("force", "Also where the network is gone").short(b'f')]],
    arguments: Arguments::Exactly(2),
    interspersed: true,
    run: |session, flags| Box::pin(disconnect(session, flags)),
};

async fn connect(session: &Session, flags: &Parsed) -> Outcome {
    let request = request(flags)?;
    session.client().await?.network_connect(&flags.args[0], &request).await?;
    Ok(0)
}

fn request(flags: &Parsed) -> Result<ConnectRequest> {
    let given = |flag: &str| Some(flags.strings(flag)).filter(|words| !words.is_empty());
    if flags.list("driver-opt").any(|text| !text.contains('=')) {
        return Err(Error::invalid("invalid key/value pair format in driver options"));
    }
    let options: std::collections::BTreeMap<_, _> = flags.list("driver-opt").map(pair).collect();
    let settings = EndpointSettings {
        ipam_config: Some(EndpointIpam {
            ipv4_address: flags.text("ip").to_owned(),
            ipv6_address: flags.text("ip6").to_owned(),
            link_local_ips: flags.strings("link-local-ip"),
        }),
        links: given("link"),
        aliases: given("alias"),
        driver_opts: Some(options).filter(|options| !options.is_empty()),
        gw_priority: flags.number("gw-priority"),
        ..EndpointSettings::default()
    };
    Ok(ConnectRequest { container: flags.args[1].clone(), endpoint_config: Some(settings) })
}

async fn disconnect(session: &Session, flags: &Parsed) -> Outcome {
    let request = DisconnectRequest { container: flags.args[1].clone(), force: flags.on("force") };
    session.client().await?.network_disconnect(&flags.args[0], &request).await?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::parse;

    #[test]
    fn everything_arrives() {
        let line = "--alias a --alias b --ip 10.0.0.9 --link db:base --gw-priority -1 --driver-opt x=y net box";
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let flags = parse(CONNECT.flags, true, &words).unwrap_or_else(|_| panic!("{line} parses"));
        let request = request(&flags).unwrap();
        let settings = request.endpoint_config.unwrap();
        assert_eq!((request.container.as_str(), settings.gw_priority), ("box", -1));
        assert_eq!(settings.aliases.unwrap(), ["a", "b"]);
        assert_eq!(settings.links.unwrap(), ["db:base"]);
        assert_eq!(settings.ipam_config.unwrap().ipv4_address, "10.0.0.9");
        assert_eq!(settings.driver_opts.unwrap()["x"], "y");
    }
}
