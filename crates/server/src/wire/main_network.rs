//! What older versions of the API say about a container's main network elsewhere than newer ones.

use dhow_api::container::CreateRequest;
use dhow_api::network::EndpointSettings;
use dhow_api::version::Version;
use dhow_errdefs::{Error, Result};

/// The version that lets every network have its own hardware address.
const OWN_ADDRESSES: u16 = 44;

/// Docker's warning.
const DEPRECATED: &str =
    "The container-wide MacAddress field is now deprecated. It should be specified in EndpointsConfig instead.";

/// Brings a request into the form of the newest version; says what to warn of.
///
/// # Errors
/// What contradicts itself, in Docker's words.
pub(crate) fn bring_up(request: &mut CreateRequest, version: Version) -> Result<Option<String>> {
    if request.host_config.network_mode.is_empty() {
        request.host_config.network_mode = "default".to_owned();
    }
    let old = !version.at_least(OWN_ADDRESSES);
    let endpoints = request.networking_config.endpoints_config.get_or_insert_default();
    if old && endpoints.len() > 1 {
        let names: Vec<&str> = endpoints.keys().map(String::as_str).collect();
        let text = format!("Container cannot be created with multiple network endpoints: {}", names.join(", "));
        return Err(Error::invalid(text));
    }
    let address =
        if old { request.config.mac_address.clone() } else { std::mem::take(&mut request.config.mac_address) };
    if address.is_empty() {
        if old {
            // A version that did not know them would not have taken them.
            endpoints.values_mut().for_each(|endpoint| endpoint.mac_address.clear());
        }
        return Ok(None);
    }
    let mode = request.host_config.network_mode.clone();
    if mode == "host" || mode == "none" || mode.starts_with("container:") {
        let text = "conflicting options: mac-address and the network mode";
        return if old { Err(Error::invalid(text)) } else { Ok(Some(DEPRECATED.to_owned())) };
    }
    let endpoint = main_endpoint(request, &mode, old)?;
    if !old && !endpoint.mac_address.is_empty() && endpoint.mac_address != address {
        return Err(Error::invalid(
            "the container-wide MAC address must match the endpoint-specific MAC address for the main network, or be left \
             empty",
        ));
    }
    endpoint.mac_address = address;
    Ok((!old).then(|| DEPRECATED.to_owned()))
}

/// The settings in the network that the mode names.
fn main_endpoint<'a>(request: &'a mut CreateRequest, mode: &str, old: bool) -> Result<&'a mut EndpointSettings> {
    let endpoints = request.networking_config.endpoints_config.get_or_insert_default();
    let is_default = |name: &str| matches!(name, "default" | "bridge");
    let same = |name: &str| name == mode || (is_default(name) && is_default(mode));
    let name = match endpoints.keys().find(|name| same(name)) {
        Some(name) => name.clone(),
        None if endpoints.is_empty() => mode.to_owned(),
        // There was only one, so that it may be called by its id in one place and by its name in the other.
        None if old => endpoints.keys().next().cloned().unwrap_or_default(),
        None => {
            return Err(Error::invalid(
                "unable to migrate container-wide MAC address to a specific network: HostConfig.NetworkMode must match \
                 the identity of a network in NetworkSettings.Networks",
            ));
        }
    };
    Ok(endpoints.entry(name).or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: &str = "02:42:0a:00:00:09";

    fn brought(text: &str, minor: u16) -> Result<(serde_json::Value, Option<String>)> {
        let mut request = CreateRequest::from_slice(text.as_bytes()).expect("good");
        let warning = bring_up(&mut request, Version::new(1, minor))?;
        Ok((serde_json::to_value(request).expect("plain data"), warning))
    }

    fn address(value: &serde_json::Value, network: &str) -> String {
        let endpoint = &value["NetworkingConfig"]["EndpointsConfig"][network]["MacAddress"];
        endpoint.as_str().unwrap_or_default().to_owned()
    }

    #[test]
    fn the_address_of_a_container_becomes_that_of_its_main_network() {
        let text = format!(r#"{{"MacAddress":"{MAC}","HostConfig":{{"NetworkMode":"mine"}}}}"#);
        let (old, warning) = brought(&text, 43).expect("good");
        assert_eq!((address(&old, "mine").as_str(), &old["MacAddress"], warning), (MAC, &MAC.into(), None));
        let (new, warning) = brought(&text, 51).expect("good");
        assert_eq!((address(&new, "mine").as_str(), warning.as_deref()), (MAC, Some(DEPRECATED)));
        let by_id = format!(
            r#"{{"MacAddress":"{MAC}","HostConfig":{{"NetworkMode":"mine"}},"NetworkingConfig":{{"EndpointsConfig":{{"abc":{{}}}}}}}}"#
        );
        assert_eq!(address(&brought(&by_id, 43).expect("good").0, "abc"), MAC);
        assert!(brought(&by_id, 51).expect_err("which one").to_string().starts_with("unable to migrate"));
    }

    #[test]
    fn old_versions_know_one_network_and_no_address_of_it() {
        let own = format!(r#"{{"NetworkingConfig":{{"EndpointsConfig":{{"a":{{"MacAddress":"{MAC}"}}}}}}}}"#);
        assert_eq!(address(&brought(&own, 43).expect("good").0, "a"), "");
        assert_eq!(address(&brought(&own, 44).expect("good").0, "a"), MAC);
        let two = r#"{"NetworkingConfig":{"EndpointsConfig":{"a":{},"b":{}}}}"#;
        let error = brought(two, 43).expect_err("one only").to_string();
        assert_eq!(error, "Container cannot be created with multiple network endpoints: a, b");
        brought(two, 44).expect("good");
    }

    #[test]
    fn two_addresses_and_networks_without_any_are_refused() {
        let two = format!(
            r#"{{"MacAddress":"{MAC}","NetworkingConfig":{{"EndpointsConfig":{{"bridge":{{"MacAddress":"02:42:0a:00:00:01"}}}}}}}}"#
        );
        assert!(
            brought(&two, 51).expect_err("which one").to_string().starts_with("the container-wide MAC address must")
        );
        let host = format!(r#"{{"MacAddress":"{MAC}","HostConfig":{{"NetworkMode":"host"}}}}"#);
        let error = brought(&host, 43).expect_err("no link").to_string();
        assert_eq!(error, "conflicting options: mac-address and the network mode");
        assert_eq!(brought(&host, 51).expect("ignored").1.as_deref(), Some(DEPRECATED));
    }
}
