//! Block I/O: weights and throttling.

use dhow_errdefs::{Error, Result};
use dhow_oci::runtime::{LinuxBlockIo, LinuxThrottleDevice};

use crate::cgroup::Member;
use crate::file::Directory;
use crate::hierarchy::Version;
use crate::warning;

/// Whether the section asks for anything.
pub(crate) fn is_wanted(io: &LinuxBlockIo) -> bool {
    wants_weight(io) || throttles(io).iter().any(|throttle| !throttle.devices.is_empty())
}

/// Whether the section asks for a weight.
pub(crate) fn wants_weight(io: &LinuxBlockIo) -> bool {
    let set = |weight: Option<u16>| weight.is_some_and(|weight| weight != 0);
    set(io.weight) || set(io.leaf_weight) || !io.weight_device.is_empty()
}

/// The warnings for the throttles that are asked for, on a host without them.
pub(crate) fn throttle_warnings(io: &LinuxBlockIo) -> impl Iterator<Item = &'static str> {
    throttles(io).into_iter().filter(|throttle| !throttle.devices.is_empty()).map(|throttle| throttle.warning)
}

/// Writes the limits.
pub(crate) fn apply(member: &Member, io: &LinuxBlockIo, warnings: &mut Vec<String>) -> Result<()> {
    weights(member, io, warnings)?;
    throttles(io)
        .iter()
        .try_for_each(|throttle| throttle.devices.iter().try_for_each(|one| throttle.write(member, one)))
}

/// One of the four throttles.
struct Throttle<'a> {
    v1_file: &'static str,
    /// The key in v2's `io.max`.
    v2_key: &'static str,
    warning: &'static str,
    devices: &'a [LinuxThrottleDevice],
}

fn throttles(io: &LinuxBlockIo) -> [Throttle<'_>; 4] {
    let throttle = |v1_file, v2_key, warning, devices| Throttle { v1_file, v2_key, warning, devices };
    [
        throttle("blkio.throttle.read_bps_device", "rbps", warning::BPS_READ, &io.throttle_read_bps_device[..]),
        throttle("blkio.throttle.write_bps_device", "wbps", warning::BPS_WRITE, &io.throttle_write_bps_device),
        throttle("blkio.throttle.read_iops_device", "riops", warning::IOPS_READ, &io.throttle_read_iops_device),
        throttle("blkio.throttle.write_iops_device", "wiops", warning::IOPS_WRITE, &io.throttle_write_iops_device),
    ]
}

impl Throttle<'_> {
    /// A rate of zero takes the limit off: v1 writes it as 0, v2 as `max`.
    fn write(&self, member: &Member, device: &LinuxThrottleDevice) -> Result<()> {
        let LinuxThrottleDevice { major, minor, rate } = device;
        let key = self.v2_key;
        match member.version {
            Version::V1 => member.directory.write(self.v1_file, &format!("{major}:{minor} {rate}")),
            Version::V2 if *rate == 0 => member.directory.write("io.max", &format!("{major}:{minor} {key}=max")),
            Version::V2 => member.directory.write("io.max", &format!("{major}:{minor} {key}={rate}")),
        }
    }
}

/// Weights belong to the scheduler: BFQ has files of its own, `io.weight` is io.cost's and `blkio.weight` was CFQ's.
fn weights(member: &Member, io: &LinuxBlockIo, warnings: &mut Vec<String>) -> Result<()> {
    let directory = &member.directory;
    let bfq = if member.version == Version::V1 { "blkio.bfq.weight" } else { "io.bfq.weight" };
    let bfq_devices = if member.version == Version::V1 { "blkio.bfq.weight_device" } else { bfq };
    let plain = if member.version == Version::V1 { "blkio.weight" } else { "io.weight" };
    let plain_devices = if member.version == Version::V1 { "blkio.weight_device" } else { plain };
    let use_bfq = directory.has(bfq);
    let scale = |weight: u16| if use_bfq || member.version == Version::V1 { weight.into() } else { io_weight(weight) };
    if let Some(weight) = io.weight.filter(|weight| *weight != 0) {
        check(weight)?;
        let file = if use_bfq { bfq } else { plain };
        write_or_warn(directory, file, &scale(weight).to_string(), warnings)?;
    }
    if let Some(weight) = io.leaf_weight.filter(|weight| *weight != 0 && member.version == Version::V1) {
        write_or_warn(directory, "blkio.leaf_weight", &weight.to_string(), warnings)?;
    }
    for device in &io.weight_device {
        if let Some(weight) = device.weight.filter(|weight| *weight != 0) {
            check(weight)?;
            let file = if use_bfq { bfq_devices } else { plain_devices };
            let line = format!("{}:{} {}", device.major, device.minor, scale(weight));
            write_or_warn(directory, file, &line, warnings)?;
        }
    }
    Ok(())
}

fn write_or_warn(directory: &Directory, file: &str, value: &str, warnings: &mut Vec<String>) -> Result<()> {
    if !directory.write_if_there(file, value)? && !warnings.iter().any(|known| known == warning::BLKIO_WEIGHT) {
        warnings.push(warning::BLKIO_WEIGHT.to_owned());
    }
    Ok(())
}

fn check(weight: u16) -> Result<()> {
    if (10..=1000).contains(&weight) {
        return Ok(());
    }
    Err(Error::invalid(format!("invalid block I/O weight {weight}: valid is 10 to 1000")))
}

/// `io.weight` (1 to 10,000) from a block I/O weight (10 to 1,000), on a straight line as runc and crun draw it.
fn io_weight(weight: u16) -> u64 {
    1 + (u64::from(weight) - 10) * 9_999 / 990
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_the_scale_meet() {
        assert_eq!((io_weight(10), io_weight(1000)), (1, 10_000));
        assert!(check(9).is_err() && check(1001).is_err() && check(500).is_ok());
    }
}
