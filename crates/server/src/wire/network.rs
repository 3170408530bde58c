//! Networks: wire ↔ engine.

use dhow_api::network::{
    ConfigReference, CreateRequest, EndpointResource, Exposure, Ipam, IpamConfig, IpamStatus, Network, NetworkStatus,
    SubnetStatus,
};
use dhow_engine::network::{Driver, Endpoint, IpamPool, IpamSpec, NetworkSpec, PoolTexts, Subnet, parse_pools};
use dhow_engine::{AddressUsage, Member, NetworkView};
use dhow_errdefs::{Error, Result, message};

use super::time;

/// What is asked for.
///
/// # Errors
/// In Docker's words for what makes no sense, and for what belongs to a cluster.
pub(crate) fn spec(request: CreateRequest) -> Result<NetworkSpec> {
    let of_cluster = request.ingress || request.scope == "swarm";
    let driver = if of_cluster { "overlay" } else { &request.driver };
    if request.config_only && (of_cluster || !request.scope.is_empty()) {
        return Err(Error::denied(message::CONFIGURATION_ONLY));
    }
    Ok(NetworkSpec {
        name: request.name,
        driver: driver.parse()?,
        options: request.options.unwrap_or_default(),
        ipam: request.ipam.map(ipam).transpose()?.unwrap_or_default(),
        internal: request.internal,
        attachable: request.attachable,
        ipv4: request.enable_ipv4.unwrap_or(true),
        ipv6: request.enable_ipv6.unwrap_or_default(),
        labels: request.labels.unwrap_or_default(),
        config_only: request.config_only,
        config_from: request.config_from.unwrap_or_default().network,
    })
}

fn ipam(ipam: Ipam) -> Result<IpamSpec> {
    let config = ipam.config.unwrap_or_default();
    let texts = config.iter().map(|pool| PoolTexts {
        subnet: &pool.subnet,
        range: &pool.ip_range,
        gateway: &pool.gateway,
        auxiliary: &pool.auxiliary_addresses,
    });
    let pools = parse_pools(&texts.collect::<Vec<_>>())?;
    Ok(IpamSpec { driver: ipam.driver, options: ipam.options, pools })
}

/// A network as it is shown.
pub(crate) fn network(view: &NetworkView) -> Network {
    let (network, spec) = (&view.network, &view.network.spec);
    let addressed = spec.driver.has_addresses() || spec.config_only;
    let driver = match (spec.driver, spec.ipam.driver.as_str()) {
        (Driver::Null | Driver::Host, _) if !spec.config_only => "default",
        (_, "") => "default",
        (_, driver) => driver,
    };
    Network {
        name: spec.name.clone(),
        id: network.id.clone(),
        created: time::text(Some(view.created())),
        scope: "local".to_owned(),
        driver: spec.driver.as_str().to_owned(),
        enable_ipv4: spec.ipv4,
        enable_ipv6: spec.ipv6,
        ipam: Ipam {
            driver: driver.to_owned(),
            options: spec.ipam.options.clone().filter(|_| !network.is_predefined()),
            config: Some(if addressed { network.pools.iter().map(pool).collect() } else { Vec::new() }),
        },
        internal: spec.internal,
        attachable: spec.attachable,
        ingress: false,
        config_from: ConfigReference { network: spec.config_from.clone() },
        config_only: spec.config_only,
        containers: view.members.iter().map(|member| (member.container.to_string(), resource(member))).collect(),
        options: spec.options.clone(),
        labels: spec.labels.clone(),
        status: view.usage.as_deref().map(status),
    }
}

fn status(usage: &[(Subnet, AddressUsage)]) -> NetworkStatus {
    let subnet = |(subnet, usage): &(Subnet, AddressUsage)| {
        (subnet.to_string(), SubnetStatus { in_use: usage.in_use, available: usage.available })
    };
    NetworkStatus { ipam: IpamStatus { subnets: usage.iter().map(subnet).collect() } }
}

fn pool(pool: &IpamPool) -> IpamConfig {
    IpamConfig {
        subnet: pool.subnet.to_string(),
        ip_range: pool.range.map(|range| range.to_string()).unwrap_or_default(),
        gateway: pool.gateway.map(|gateway| gateway.to_string()).unwrap_or_default(),
        auxiliary_addresses: pool.auxiliary.iter().map(|(name, it)| (name.clone(), it.to_string())).collect(),
    }
}

fn resource(member: &Member) -> EndpointResource {
    let Endpoint { id, mac, ipv4, ipv6, .. } = &member.endpoint;
    EndpointResource {
        name: member.name.clone(),
        endpoint_id: id.clone(),
        mac_address: mac.map(|mac| mac.to_string()).unwrap_or_default(),
        ipv4_address: ipv4.map(|(address, prefix)| format!("{address}/{prefix}")).unwrap_or_default(),
        ipv6_address: ipv6.map(|(address, prefix)| format!("{address}/{prefix}")).unwrap_or_default(),
    }
}

/// A way to a container.
pub(crate) fn exposure(exposure: &dhow_engine::Exposure) -> Exposure {
    Exposure {
        container: exposure.container.to_string(),
        name: exposure.name.clone(),
        way: exposure.way.as_str().to_owned(),
        at: exposure.at.clone(),
        to: exposure.to.clone(),
        network: exposure.network.clone(),
        from: exposure.from.clone(),
        why: exposure.why.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn request(text: &str) -> Result<NetworkSpec> {
        spec(dhow_api::json::from_slice(text.as_bytes()).expect("good"))
    }

    #[test]
    fn what_is_asked_for_is_shown_again() {
        let spec = request(
            r#"{"Name":"n","Driver":"","EnableIPv6":true,"Internal":true,"Labels":{"a":"b"},"Options":{"o":"p"},
            "IPAM":{"Driver":"default","Config":[{"Subnet":"10.0.0.0/24","IPRange":"10.0.0.128/25","Gateway":"10.0.0.1",
            "AuxiliaryAddresses":{"x":"10.0.0.9"}}]}}"#,
        )
        .expect("good");
        let pools = spec.ipam.pools.clone();
        let endpoint = Endpoint {
            id: "e".into(),
            ipv4: Some(([10, 0, 0, 130].into(), 24)),
            mac: "02:42:0a:00:00:82".parse().ok(),
            ..Endpoint::default()
        };
        let network = dhow_engine::network::Network { id: "i".into(), spec, pools, created: 0 };
        let member = Member { container: "c".into(), name: "web".into(), endpoint };
        let usage = Some(vec![("10.0.0.0/24".parse().expect("a block"), AddressUsage { in_use: 5, available: 126 })]);
        let shown = super::network(&NetworkView { network: Arc::new(network), members: vec![member], usage });
        let shown = serde_json::to_value(shown).expect("plain data");
        assert_eq!(shown["Driver"], "bridge");
        let subnets = serde_json::json!({"10.0.0.0/24": {"IPsInUse": 5, "DynamicIPsAvailable": 126}});
        assert_eq!(shown["Status"]["IPAM"]["Subnets"], subnets);
        assert_eq!(shown["IPAM"]["Options"], serde_json::Value::Null, "none were given");
        assert_eq!((&shown["EnableIPv4"], &shown["EnableIPv6"]), (&true.into(), &true.into()));
        let pool = serde_json::json!({"Subnet": "10.0.0.0/24", "IPRange": "10.0.0.128/25", "Gateway": "10.0.0.1",
            "AuxiliaryAddresses": {"x": "10.0.0.9"}});
        assert_eq!(shown["IPAM"]["Config"][0], pool);
        let container = serde_json::json!({"Name": "web", "EndpointID": "e", "MacAddress": "02:42:0a:00:00:82",
            "IPv4Address": "10.0.0.130/24", "IPv6Address": ""});
        assert_eq!(shown["Containers"]["c"], container);
        assert_eq!((&shown["Options"]["o"], &shown["Labels"]["a"]), (&"p".into(), &"b".into()));
    }

    #[test]
    fn what_belongs_to_a_cluster_is_refused_as_by_docker_without_one() {
        for text in [r#"{"Driver":"overlay"}"#, r#"{"Ingress":true}"#, r#"{"Scope":"swarm"}"#] {
            let error = request(text).expect_err("no cluster").to_string();
            assert!(error.starts_with("This node is not a swarm manager."), "{error}");
        }
        for text in [r#"{"ConfigOnly":true,"Scope":"local"}"#, r#"{"ConfigOnly":true,"Ingress":true}"#] {
            let error = request(text).expect_err("of an operator").to_string();
            assert!(error.starts_with("configuration network can only contain network specific fields."), "{error}");
        }
        assert_eq!(request(r#"{"ConfigFrom":{"Network":"x"}}"#).expect("good").config_from, "x");
    }

    #[test]
    fn all_faults_of_the_pools_are_told() {
        let error = request(r#"{"IPAM":{"Config":[{"Subnet":"10.0.0.1/24"},{"Subnet":"x"}]}}"#).expect_err("bad");
        assert_eq!(
            error.to_string(),
            "invalid network config:\n* invalid subnet 10.0.0.1/24: it should be 10.0.0.0/24\n\
             * invalid subnet x: invalid CIDR block notation"
        );
    }
}
