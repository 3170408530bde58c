//! What networks are asked to be, without a kernel: values, their notations, and the checks that need nothing else.
//!
//! The values are stored inside documents of the engine, which carry the version of their form. A field that is added has
//! a default; one that changes its meaning needs a new version there.

mod check;
mod dns;
mod endpoint;
mod mac;
mod network;
mod options;
mod port;
mod subnet;
mod sysctl;

pub(crate) use check::is_link_local;
pub use check::{PoolTexts, check_endpoint, check_pool, check_static, parse_pools};
pub use dns::{DnsConfig, ExtraHost, HostAddress};
pub use endpoint::{AddressTexts, Attached, Endpoint, EndpointSpec};
pub use mac::Mac;
pub use network::{DEFAULT, Driver, IpamPool, IpamSpec, Network, NetworkSpec, PREDEFINED};
pub use options::{BridgeOptions, MacvlanMode, MacvlanOptions, name as option_name};
pub use port::{HostPorts, Port, PortBinding, Protocol, Published};
pub use subnet::Subnet;
pub use sysctl::LinkSysctl;
