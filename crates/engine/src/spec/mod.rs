//! What a container, and a further process in it, is asked to be. Stored; independent of the wire.

mod container;
mod exec;
mod host;

pub use container::{ContainerSpec, Healthcheck};
pub use exec::ExecSpec;
pub use host::{
    BindOptions, DeviceMapping, DeviceRate, DeviceRequest, HostSpec, ImageOptions, LogSpec, MountSpec, PortBinding,
    Resources, RestartPolicy, TmpfsOptions, Ulimit, VolumeOptions,
};
