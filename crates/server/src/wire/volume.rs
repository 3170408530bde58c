//! Volumes: engine → wire.

use std::collections::BTreeMap;

use dhow_api::volume as wire;
use dhow_engine::Volume;

use super::time;

/// A volume as `inspect` and lists show it.
pub(crate) fn volume(volume: Volume) -> wire::Volume {
    wire::Volume {
        created_at: time::seconds(volume.created),
        driver: volume.driver,
        labels: volume.labels,
        mountpoint: volume.mountpoint,
        name: volume.name,
        options: volume.options,
        scope: volume.scope,
        status: volume.status,
        protected: volume.protected,
        usage_data: None,
    }
}

/// The same with the bytes in it.
pub(crate) fn counted(counted: Volume) -> wire::Volume {
    let ref_count = counted.users.try_into().unwrap_or(i64::MAX);
    let size = counted.size.map_or(-1, |size| size.try_into().unwrap_or(i64::MAX));
    wire::Volume { usage_data: Some(wire::UsageData { ref_count, size }), ..volume(counted) }
}

/// What is asked for.
pub(crate) fn request(request: wire::CreateRequest) -> dhow_engine::VolumeRequest {
    let wire::CreateRequest { name, driver, driver_opts, labels, .. } = request;
    // Go's clients send an empty map for none.
    let options = driver_opts.filter(|options: &BTreeMap<_, _>| !options.is_empty());
    dhow_engine::VolumeRequest { name, driver, labels, options }
}
