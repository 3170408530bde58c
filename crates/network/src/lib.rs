//! Networks of containers, and the only owner of the host's links, firewall and name service for them.
//!
//! [`model`] is what a network, an endpoint in it and a published port *are*: plain values, parsed and checked, with no
//! kernel behind them. Everything else in this room makes them true.

pub mod model;

mod connection;
pub mod dns;
mod driver;
mod firewall;
mod home;
pub mod ipam;
mod link;
mod netlink;
mod networks;
mod ports;
mod sandbox;

pub use connection::{Attachment, Connection, Limited, Place, Request};
pub use home::holder::main as holder_main;
pub use home::{HomeSettings, ROLE as HOLDER_ROLE, connect as connect_holder};
pub use networks::{Networks, Settings, Survivor, usual_gateway};
pub use sandbox::Sandbox;
