//! How registries are reached: mirrors, exceptions, certificates, proxies.

use std::env;
use std::path::PathBuf;

use dhow_engine::RegistrySettings;
use dhow_errdefs::Result;

use super::file::Proxies;
use super::invalid;
use super::registry_file::RegistryFile;

/// The settings. Proxies that neither flags nor file name are the environment's (as dockerd and Go's `net/http` have it).
pub(super) fn settings(
    mirrors: Vec<String>,
    insecure: Vec<String>,
    proxies: Proxies,
    certificates: Vec<PathBuf>,
    file: RegistryFile,
) -> Result<RegistrySettings> {
    for mirror in &mirrors {
        check_mirror(mirror)?;
    }
    let proxies = proxies.or(of_the_environment());
    Ok(RegistrySettings {
        mirrors,
        mirrors_of: file.mirrors,
        insecure: [insecure, file.insecure].concat(),
        certificates,
        http_proxy: proxies.http_proxy,
        https_proxy: proxies.https_proxy,
        no_proxy: Some(spared(proxies.no_proxy.as_deref())),
        user_agent: format!("dhow/{}", crate::VERSION),
    })
}

/// In dockerd's words.
pub(super) fn check_mirror(address: &str) -> Result<()> {
    let host = address.strip_prefix("https://").or_else(|| address.strip_prefix("http://"));
    match host {
        Some(host) if !host.trim_matches('/').is_empty() => Ok(()),
        _ => {
            Err(invalid(format!("invalid mirror: {address:?} is not an address that begins with http:// or https://")))
        }
    }
}

fn of_the_environment() -> Proxies {
    let variable = |name: &str| {
        let value = env::var(name).or_else(|_| env::var(name.to_lowercase()));
        value.ok().filter(|value| !value.is_empty())
    };
    Proxies { http_proxy: variable("HTTP_PROXY"), https_proxy: variable("HTTPS_PROXY"), no_proxy: variable("NO_PROXY") }
}

/// No proxy leads to this host.
fn spared(no_proxy: Option<&str>) -> String {
    let own = "localhost,127.0.0.0/8,::1";
    no_proxy.map_or_else(|| own.to_owned(), |hosts| format!("{own},{hosts}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors_are_addresses() {
        assert!(check_mirror("http://127.0.0.1:5555").is_ok() && check_mirror("https://m.example/").is_ok());
        for wrong in ["", "m.example", "ftp://m", "https://", "https:///"] {
            assert!(check_mirror(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn this_host_is_reached_without_a_proxy() {
        assert_eq!(spared(Some("a,b")), "localhost,127.0.0.0/8,::1,a,b");
    }
}
