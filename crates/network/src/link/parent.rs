//! Links of ours that links of containers are on.

use dhow_errdefs::{Result, ResultExt};

use super::{Links, NEW_LINK, ifla, link_header};
use crate::netlink::{Batch, flags};

/// `IFF_NOARP`: it answers nobody who asks for an address.
const NO_ARP: u32 = 0x80;

impl Links {
    /// Makes the part of a link that has the frames with a VLAN's number (IEEE 802.1Q), and takes it up.
    pub(crate) fn make_vlan(&self, name: &str, alias: &str, parent: u32, number: u16) -> Result<()> {
        let mut batch = Batch::default();
        let create = flags::CREATE | flags::EXCLUSIVE;
        let mut message = batch.message("create the VLAN", NEW_LINK, create, &link_header(0, 0, false));
        message.put_str(ifla::NAME, name).put_u32(ifla::PARENT, parent);
        message.nest(ifla::INFO, |info| {
            info.put_str(ifla::INFO_KIND, "vlan");
            info.nest(ifla::INFO_DATA, |data| {
                data.put(ifla::VLAN_NUMBER, &number.to_ne_bytes());
            });
        });
        drop(message);
        up(&mut batch, name, Some(alias), 0);
        self.0.send(&batch).context(|| format!("network link {name}"))
    }

    /// Makes a link that leads nowhere: one end of a pair whose other end listens to nobody. (A `dummy` would do, but not
    /// every kernel has those.)
    pub(crate) fn make_dead_end(&self, name: &str, far: &str, alias: &str) -> Result<()> {
        let mut batch = Batch::default();
        let create = flags::CREATE | flags::EXCLUSIVE;
        let mut message = batch.message("create the pair of links", NEW_LINK, create, &link_header(0, 0, false));
        message.put_str(ifla::NAME, name);
        message.nest(ifla::INFO, |info| {
            info.put_str(ifla::INFO_KIND, "veth");
            info.nest(ifla::INFO_DATA, |data| {
                data.nest_after(ifla::VETH_PEER, &link_header(0, 0, false), |peer| {
                    peer.put_str(ifla::NAME, far);
                });
            });
        });
        drop(message);
        up(&mut batch, far, None, NO_ARP);
        up(&mut batch, name, Some(alias), NO_ARP);
        self.0.send(&batch).context(|| format!("network link {name}"))
    }
}

/// Takes a link up, without an address of IPv6 that the kernel makes up; with these flags beside.
fn up(batch: &mut Batch, name: &str, alias: Option<&str>, flags: u32) {
    let mut header = link_header(0, 0, true);
    for at in [8, 12] {
        let word = u32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]) | flags;
        header[at..at + 4].copy_from_slice(&word.to_ne_bytes());
    }
    let mut message = batch.message("take the link up", NEW_LINK, 0, &header);
    message.put_str(ifla::NAME, name);
    if let Some(alias) = alias {
        message.put_str(ifla::ALIAS, alias);
    }
    super::change::link_local(&mut message, None, false);
}
