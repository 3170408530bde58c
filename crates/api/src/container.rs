//! Containers.

mod config;
mod create;
mod files;
mod host_config;
mod inspect;
mod lifecycle;
mod stats;
mod summary;

pub use config::{Config, Empty, HealthConfig, Set, StrSlice};
pub use create::{CreateRequest, CreateResponse};
pub use files::{CommitResponse, FileMode, FilesystemChange, PathStat};
pub use host_config::{
    BindOptions, DeviceMapping, DeviceRequest, DriverConfig, HostConfig, LogConfig, Mount, PortBinding, PortMap,
    PublishRequest, RestartPolicy, ThrottleDevice, TmpfsOptions, Ulimit, UpdateRequest, VolumeOptions, WeightDevice,
};
pub use inspect::{GraphDriver, Health, HealthcheckResult, Inspect, LogLosses, MountPoint, NetworkSettings, State};
pub use lifecycle::{PruneResponse, TopResponse, UpdateResponse, WaitError, WaitResponse};
pub use stats::{
    BlkioEntry, BlkioStats, CpuStats, CpuUsage, MemoryStats, NetworkStats, PidsStats, Stats, StorageStats,
    ThrottlingData,
};
pub use summary::{Port, Summary, SummaryHostConfig, SummaryNetworks};
