//! Links, addresses and routes as they are.

use std::time::{Duration, Instant};

use dhow_errdefs::{Class, Error, Result};

use super::{
    DISABLED, GET_ADDRESS, GET_LINK, GET_ROUTE, Link, LinkAddress, Links, NEW_ADDRESS, NEW_LINK, NEW_ROUTE, UP, ifla,
    link_header,
};
use crate::model::{Mac, Subnet};
use crate::netlink::{Attributes, Batch, address, flags, string, u32_of};

/// `IF_OPER_UP`.
const OPERATIONAL: u8 = 6;

/// How long one waits for the kernel to connect two links: it takes less than a millisecond.
const PATIENCE: Duration = Duration::from_secs(2);

impl Links {
    /// Waits until packets pass a link. The kernel connects links in the background, and throws away what is sent before
    /// that; recent kernels do it at once when asked like this.
    pub(crate) fn wait_for(&self, name: &str) -> Result<()> {
        let start = Instant::now();
        while !self.named(name)?.operational {
            if start.elapsed() >= PATIENCE {
                tracing::warn!(link = name, "no packets pass a link yet that was made for a container");
                break;
            }
            std::thread::sleep(Duration::from_micros(100));
        }
        Ok(())
    }

    /// The link of a name.
    ///
    /// # Errors
    /// `NotFound`; an error of the kernel.
    pub(crate) fn named(&self, name: &str) -> Result<Link> {
        let mut batch = Batch::default();
        let mut message = batch.message("look for the link", GET_LINK, 0, &link_header(0, 0, false));
        message.put_str(ifla::NAME, name);
        drop(message);
        self.0.get(&batch, link).map_err(|error| {
            let gone = error.os_error() == Some(rustix::io::Errno::NODEV.raw_os_error());
            let class = if gone { Class::NotFound } else { error.class() };
            Error::new(class, format!("network link {name}")).with_cause(error)
        })
    }

    /// All links.
    pub(crate) fn all(&self) -> Result<Vec<Link>> {
        let mut batch = Batch::default();
        drop(batch.message("list the links", GET_LINK, flags::DUMP, &link_header(0, 0, false)));
        let mut links = Vec::new();
        self.0.dump(&batch, |kind, payload| {
            links.extend(link(payload).filter(|_| kind == NEW_LINK));
        })?;
        Ok(links)
    }

    /// All addresses.
    pub(crate) fn addresses(&self) -> Result<Vec<LinkAddress>> {
        let mut batch = Batch::default();
        drop(batch.message("list the addresses", GET_ADDRESS, flags::DUMP, &[0; 8]));
        let mut addresses = Vec::new();
        self.0.dump(&batch, |kind, payload| {
            addresses.extend(link_address(payload).filter(|_| kind == NEW_ADDRESS));
        })?;
        Ok(addresses)
    }

    /// The blocks that the main table has a route for, but for the one that fits everything.
    pub(crate) fn routes(&self) -> Result<Vec<Subnet>> {
        let mut batch = Batch::default();
        drop(batch.message("list the routes", GET_ROUTE, flags::DUMP, &[0; 12]));
        let mut routes = Vec::new();
        self.0.dump(&batch, |kind, payload| {
            routes.extend(route(payload).filter(|_| kind == NEW_ROUTE));
        })?;
        Ok(routes)
    }
}

fn link(payload: &[u8]) -> Option<Link> {
    let head = payload.get(..16)?;
    let attributes = Attributes(payload.get(16..)?);
    let number = |kind| attributes.get(kind).and_then(u32_of);
    let info = Attributes(attributes.get(ifla::INFO).unwrap_or_default());
    let port = Attributes(info.get(ifla::INFO_PORT).unwrap_or_default());
    Some(Link {
        index: u32_of(&head[4..8])?,
        name: attributes.get(ifla::NAME).map(string)?,
        alias: attributes.get(ifla::ALIAS).map(string).unwrap_or_default(),
        mac: attributes.get(ifla::ADDRESS).and_then(|bytes| Some(Mac(bytes.try_into().ok()?))),
        master: number(ifla::MASTER),
        up: u32_of(&head[8..12])? & UP != 0,
        bridge: info.get(ifla::INFO_KIND).map(string).as_deref() == Some("bridge"),
        operational: attributes.get(ifla::OPERATION) == Some(&[OPERATIONAL])
            && port.get(ifla::PORT_STATE) != Some(&[DISABLED]),
        mtu: number(ifla::MTU).unwrap_or_default(),
    })
}

fn link_address(payload: &[u8]) -> Option<LinkAddress> {
    let head = payload.get(..8)?;
    let attributes = Attributes(payload.get(8..)?);
    // IFA_LOCAL where there is one: the other is the far end of a line.
    let address = attributes.get(2).or_else(|| attributes.get(1)).and_then(address)?;
    Some(LinkAddress { index: u32_of(&head[4..8])?, subnet: Subnet::new(address, head[1])? })
}

fn route(payload: &[u8]) -> Option<Subnet> {
    let head = payload.get(..12)?;
    let (prefix, table, kind) = (head[1], head[4], head[7]);
    // The main table; RTN_UNICAST.
    if table != 254 || kind != 1 || prefix == 0 {
        return None;
    }
    let attributes = Attributes(payload.get(12..)?);
    Subnet::new(attributes.get(1).and_then(address)?, prefix)
}
