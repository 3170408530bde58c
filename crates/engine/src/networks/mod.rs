//! Networks: what there are, who is in them, and the requests about them.
//!
//! [`Networks`] is the list; the records are in the database. A container's wish to be in a network is a part of its
//! specification (`networking`, by the network's name); that it *is* in it is known while it runs, as its
//! [`Attached`](dhow_network::model::Attached). Who enters a network is counted, so that none goes away below somebody.

mod attach;
mod configuration;
mod connect;
mod create;
mod exposure;
mod facts;
mod filter;
mod front;
mod given;
mod links;
mod membership;
mod prune;
mod publish;
mod remove;
mod sockets;
mod table;
mod view;

pub use exposure::{Exposure, Way};
pub use view::{Member, NetworkView};

pub use attach::HOLDER;
pub(crate) use attach::kernel;
pub(crate) use connect::{may_connect, may_disconnect};
pub(crate) use given::default_network;
pub(crate) use links::{owner_and_alias, resolve as resolve_links, without as without_link};
pub(crate) use membership::{is_user_defined, main_network, names, normalise, ports, with_own_address};
pub use publish::PublishChange;
pub(crate) use publish::changed as with_published;
pub(crate) use table::Networks;
