//! Limits as the runtime-spec words them.

use dhow_errdefs::{Result, ResultExt};
use dhow_oci::runtime::{
    LinuxBlockIo, LinuxCpu, LinuxDeviceCgroup, LinuxMemory, LinuxPids, LinuxResources, LinuxThrottleDevice,
    LinuxWeightDevice,
};

use crate::spec::{DeviceRate, Resources};

/// The CFS period, microseconds, to which `--cpus` is turned into a quota.
const PERIOD: i64 = 100_000;

/// The limits of a container. What is not limited is not mentioned, so that no controller is joined for it.
pub(crate) fn linux(resources: &Resources, devices: Vec<LinuxDeviceCgroup>) -> LinuxResources {
    LinuxResources {
        devices,
        memory: memory(resources),
        cpu: cpu(resources),
        pids: resources.pids_limit.filter(|limit| *limit != 0).map(|limit| LinuxPids { limit: limit.max(-1) }),
        block_io: block_io(resources),
        ..LinuxResources::default()
    }
}

/// A positive number.
fn given(number: i64) -> Option<i64> {
    (number > 0).then_some(number)
}

fn unsigned(number: i64) -> Option<u64> {
    u64::try_from(number).ok().filter(|number| *number > 0)
}

fn memory(resources: &Resources) -> Option<LinuxMemory> {
    let memory = LinuxMemory {
        limit: given(resources.memory),
        reservation: given(resources.memory_reservation),
        // -1 is "as much swap as there is", and only means something beside a limit.
        swap: Some(resources.memory_swap).filter(|swap| resources.memory > 0 && *swap != 0),
        swappiness: resources.memory_swappiness.and_then(|value| u64::try_from(value).ok()),
        disable_oom_killer: resources.oom_kill_disable.filter(|disable| *disable),
        ..LinuxMemory::default()
    };
    (memory != LinuxMemory::default()).then_some(memory)
}

fn cpu(resources: &Resources) -> Option<LinuxCpu> {
    let list = |list: &String| Some(list.clone()).filter(|list| !list.is_empty());
    let mut cpu = LinuxCpu {
        shares: unsigned(resources.cpu_shares),
        quota: Some(resources.cpu_quota).filter(|quota| *quota != 0),
        period: unsigned(resources.cpu_period),
        realtime_runtime: given(resources.cpu_realtime_runtime),
        realtime_period: unsigned(resources.cpu_realtime_period),
        cpus: list(&resources.cpuset_cpus),
        mems: list(&resources.cpuset_mems),
        ..LinuxCpu::default()
    };
    if resources.nano_cpus > 0 {
        cpu.period = unsigned(PERIOD);
        cpu.quota = Some(resources.nano_cpus / (1_000_000_000 / PERIOD));
    }
    (cpu != LinuxCpu::default()).then_some(cpu)
}

fn block_io(resources: &Resources) -> Option<LinuxBlockIo> {
    let block_io = LinuxBlockIo {
        weight: Some(resources.blkio_weight).filter(|weight| *weight > 0),
        weight_device: devices(&resources.blkio_weight_device, |major, minor, rate| LinuxWeightDevice {
            major,
            minor,
            weight: u16::try_from(rate).ok(),
            leaf_weight: None,
        }),
        throttle_read_bps_device: throttle(&resources.blkio_device_read_bps),
        throttle_write_bps_device: throttle(&resources.blkio_device_write_bps),
        throttle_read_iops_device: throttle(&resources.blkio_device_read_iops),
        throttle_write_iops_device: throttle(&resources.blkio_device_write_iops),
        ..LinuxBlockIo::default()
    };
    (block_io != LinuxBlockIo::default()).then_some(block_io)
}

fn throttle(rates: &[DeviceRate]) -> Vec<LinuxThrottleDevice> {
    devices(rates, |major, minor, rate| LinuxThrottleDevice { major, minor, rate })
}

/// Refuses to start with limits for devices that are not there.
///
/// # Errors
/// Docker's words.
pub(super) fn check_devices(resources: &Resources) -> Result<()> {
    let rates = [
        &resources.blkio_weight_device,
        &resources.blkio_device_read_bps,
        &resources.blkio_device_write_bps,
        &resources.blkio_device_read_iops,
        &resources.blkio_device_write_iops,
    ];
    rates.into_iter().flatten().try_for_each(|DeviceRate { path, .. }| {
        let there = rustix::fs::stat(path.as_str()).map_err(std::io::Error::from);
        there.map(drop).context(|| format!("stat {path}"))
    })
}

/// Block devices by number. One that is not there is refused at the start; one that has gone since has nothing to limit.
fn devices<T>(rates: &[DeviceRate], make: impl Fn(i64, i64, u64) -> T) -> Vec<T> {
    let number = |path: &str| rustix::fs::stat(path).ok().map(|stat| stat.st_rdev);
    rates
        .iter()
        .filter_map(|rate| number(&rate.path).map(|device| (device, rate.rate)))
        .map(|(device, rate)| make(i64::from(rustix::fs::major(device)), i64::from(rustix::fs::minor(device)), rate))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_is_not_there_is_refused() {
        let rate = |path: &str| vec![DeviceRate { path: path.to_owned(), rate: 1 }];
        check_devices(&Resources { blkio_device_read_bps: rate("/dev/null"), ..Resources::default() }).unwrap();
        let missing = Resources { blkio_device_write_iops: rate("/dev/no-such-device"), ..Resources::default() };
        let refused = check_devices(&missing).unwrap_err().to_string();
        assert_eq!(refused, "stat /dev/no-such-device: no such file or directory");
    }

    #[test]
    fn no_limits_mention_no_controller() {
        assert_eq!(linux(&Resources::default(), Vec::new()), LinuxResources::default());
    }

    #[test]
    fn cpus_become_a_quota_of_a_tenth_of_a_second() {
        let resources = Resources { nano_cpus: 1_500_000_000, ..Resources::default() };
        let cpu = cpu(&resources).unwrap();
        assert_eq!((cpu.quota, cpu.period), (Some(150_000), Some(100_000)));
    }

    #[test]
    fn swap_is_mentioned_beside_a_memory_limit_only() {
        let swap = |memory, memory_swap| memory_of(memory, memory_swap).and_then(|memory| memory.swap);
        assert_eq!(swap(1 << 30, -1), Some(-1));
        assert_eq!(swap(1 << 30, 1 << 31), Some(1 << 31));
        assert_eq!(swap(0, -1), None);
    }

    fn memory_of(memory: i64, memory_swap: i64) -> Option<LinuxMemory> {
        super::memory(&Resources { memory, memory_swap, ..Resources::default() })
    }
}
