//! `--device` and `--gpus`.

use std::collections::BTreeMap;

use dhow_api::container::{DeviceMapping, DeviceRequest};
use dhow_errdefs::Result;
use dhow_oci::DeviceName;

use super::mount::fields;
use super::wrong;

/// A device of the host, or the name of one described by a CDI file (`vendor.com/class=name`).
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Device {
    Host(DeviceMapping),
    Described(String),
}

fn is_mode(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| b"rwm".contains(&byte))
}

/// Reads `host[:container][:mode]`.
pub(super) fn parse(text: &str) -> Result<Device> {
    if text.parse::<DeviceName>().is_ok() {
        return Ok(Device::Described(text.to_owned()));
    }
    let parts: Vec<&str> = text.split(':').collect();
    let (host, container, mode) = match parts[..] {
        [host] => (host, host, "rwm"),
        [host, mode] if is_mode(mode) => (host, host, mode),
        [host, container] => (host, container, "rwm"),
        [_, _, mode] if !is_mode(mode) => return Err(wrong(format!("bad mode specified: {mode}"))),
        [host, container, mode] => (host, container, mode),
        _ => return Err(wrong(format!("bad format for path: {text}"))),
    };
    if host.is_empty() || container.is_empty() {
        return Err(wrong(format!("bad format for path: {text}")));
    }
    if !container.starts_with('/') {
        return Err(wrong(format!("{container} is not an absolute path")));
    }
    Ok(Device::Host(DeviceMapping {
        path_on_host: host.to_owned(),
        path_in_container: container.to_owned(),
        cgroup_permissions: mode.to_owned(),
    }))
}

/// Checks a value of `--device-cgroup-rule`: `c 1:3 rwm`.
pub(super) fn check_rule(text: &str) -> Result<(), String> {
    let number = |text: &str| text == "*" || !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let good = match text.split(' ').collect::<Vec<_>>()[..] {
        ["a" | "b" | "c", numbers, access] => {
            let numbers = numbers.split_once(':').is_some_and(|(major, minor)| number(major) && number(minor));
            numbers && access.len() <= 3 && is_mode(access)
        }
        _ => false,
    };
    if good { Ok(()) } else { Err(format!("invalid device cgroup format '{text}'")) }
}

/// Checks a value of `--gpus`.
pub(super) fn check_gpus(text: &str) -> Result<(), String> {
    gpus(text).map(drop)
}

/// Reads `all`, a number, or `device=…,driver=…,capabilities=…,count=…` as the request the API knows.
pub(super) fn gpus(text: &str) -> Result<DeviceRequest, String> {
    let (mut driver, mut count, mut devices) = (String::new(), 0, Vec::new());
    let mut capabilities = vec!["gpu".to_owned()];
    for field in fields(text)? {
        match field.split_once('=') {
            None => count = number(&field)?,
            Some(("count", value)) => count = number(value)?,
            Some(("driver", value)) => value.clone_into(&mut driver),
            Some(("device", value)) => devices = value.split(',').map(str::to_owned).collect(),
            Some(("capabilities", value)) => {
                capabilities = value.split(',').map(str::to_owned).chain(["gpu".to_owned()]).collect();
            }
            Some((key, _)) => return Err(format!("unexpected key '{key}' in '{field}'")),
        }
    }
    if count == 0 && devices.is_empty() {
        count = 1;
    }
    Ok(DeviceRequest {
        driver,
        count,
        device_ids: Some(devices),
        capabilities: Some(vec![capabilities]),
        options: Some(BTreeMap::new()),
    })
}

fn number(text: &str) -> Result<i64, String> {
    match text {
        "all" => Ok(-1),
        digits => digits.parse().map_err(|_| {
            format!("invalid count ({digits}): value must be either \"all\" or an integer: invalid syntax")
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> (String, String, String) {
        match parse(text).unwrap() {
            Device::Host(device) => (device.path_on_host, device.path_in_container, device.cgroup_permissions),
            Device::Described(name) => panic!("{name} is no path"),
        }
    }

    #[test]
    fn paths_and_modes() {
        assert_eq!(host("/dev/fuse"), ("/dev/fuse".into(), "/dev/fuse".into(), "rwm".into()));
        assert_eq!(host("/dev/fuse:r"), ("/dev/fuse".into(), "/dev/fuse".into(), "r".into()));
        assert_eq!(host("/dev/a:/dev/b:rw"), ("/dev/a".into(), "/dev/b".into(), "rw".into()));
        assert_eq!(parse("acme.com/gpu=all").unwrap(), Device::Described("acme.com/gpu=all".into()));
        assert_eq!(parse("a:b:c:d").unwrap_err().to_string(), "bad format for path: a:b:c:d");
        assert_eq!(parse("x:y:q").unwrap_err().to_string(), "bad mode specified: q");
    }

    #[test]
    fn rules_have_three_parts() {
        assert!(check_rule("c 1:3 rwm").is_ok() && check_rule("a *:* r").is_ok());
        for bad in ["foo", "c 1 r", "d 1:3 r", "c 1:3 rwmr", "c 1:3"] {
            assert_eq!(check_rule(bad).unwrap_err(), format!("invalid device cgroup format '{bad}'"));
        }
    }

    #[test]
    fn numbers_of_gpus() {
        assert_eq!(gpus("all").unwrap().count, -1);
        assert_eq!(gpus("2").unwrap().count, 2);
        assert_eq!(gpus("\"device=0,2\"").unwrap().device_ids, Some(vec!["0".to_owned(), "2".to_owned()]));
        assert!(gpus("x").unwrap_err().starts_with("invalid count (x)"));
    }
}
