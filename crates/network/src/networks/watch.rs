//! Noticing what others do to our links and rules, and undoing it.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Weak};
use std::time::Duration;

use dhow_errdefs::{Result, ResultExt};
use rustix::event::{PollFd, PollFlags};
use rustix::pipe::PipeFlags;

use super::{Networks, lock};
use crate::connection::Connection;
use crate::firewall;
use crate::link;
use crate::netlink::{Family, Socket};

/// Whoever flushes rules or reloads a firewall does more than one thing: all of it is waited for.
const SETTLE: Duration = Duration::from_millis(50);

/// The watching. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Watch {
    _stop: OwnedFd,
}

/// What has been noticed.
#[derive(Debug, Default, Clone, Copy)]
struct Noticed {
    rules: bool,
    links: bool,
}

impl Networks {
    /// Watches from the first use of a network on, without a beat of its own.
    pub(super) fn watch(self: &Arc<Self>) {
        self.home.watch(Arc::downgrade(self));
        self.watch.get_or_init(|| match begin(Arc::downgrade(self)) {
            Ok(watch) => Some(watch),
            Err(error) => {
                tracing::warn!(%error, "nobody watches over the networks' rules and links");
                None
            }
        });
    }

    /// Makes bridges, links and rules what they are to be, whatever somebody did to them.
    ///
    /// # Errors
    /// What the kernel refuses; the rest is repaired all the same.
    pub fn restore(&self) -> Result<()> {
        self.at_home(|| {
            let links = self.restore_links();
            self.firewall.restore().and(links)
        })
    }

    fn undo(&self, noticed: Noticed) {
        let done = if noticed.links { self.restore_links() } else { Ok(()) };
        let done = if noticed.rules { done.and(self.firewall.restore()) } else { done };
        match done {
            Ok(()) => tracing::info!(?noticed, "networks were changed by somebody else, and are restored"),
            Err(error) => tracing::warn!(%error, "restore what somebody else has changed of networks"),
        }
    }

    fn is_ours(&self, link: &str) -> bool {
        let live: Vec<_> = lock(&self.live).values().cloned().collect();
        let bridge = live.iter().any(|live| lock(live).raised.as_ref().is_some_and(|raised| raised.name == link));
        let has_it = |connection: &Connection| connection.attachments.iter().any(|it| it.port == link);
        bridge || self.containers.find(|_, connection| has_it(connection).then_some(())).is_some()
    }
}

fn begin(networks: Weak<Networks>) -> Result<Watch> {
    let links = Socket::listen(Family::Route, link::NEWS)?;
    let rules = Socket::listen(Family::Netfilter, firewall::NEWS)?;
    let (stopped, stop) =
        rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(std::io::Error::from).context(|| "make a pipe")?;
    let watch = move || while look(&networks, &links, &rules, &stopped).is_some() {};
    std::thread::Builder::new()
        .name("networks".to_owned())
        .stack_size(512 << 10)
        .spawn(watch)
        .context(|| "start a thread")?;
    Ok(Watch { _stop: stop })
}

/// Waits for news and sees to them; `None` when there is nothing to watch any more.
fn look(networks: &Weak<Networks>, links: &Socket, rules: &Socket, stopped: &OwnedFd) -> Option<()> {
    let mut noticed = Noticed::default();
    loop {
        let patience = rustix::time::Timespec { tv_sec: 0, tv_nsec: i64::try_from(SETTLE.as_nanos()).ok()? };
        let patience = (noticed.rules || noticed.links).then_some(&patience);
        let of = |fd| PollFd::from_borrowed_fd(fd, PollFlags::IN);
        let mut polled = [of(links.as_fd()), of(rules.as_fd()), of(stopped.as_fd())];
        let count = rustix::io::retry_on_intr(|| rustix::event::poll(&mut polled, patience)).ok()?;
        let ready = polled.map(|polled| !polled.revents().is_empty());
        let networks = networks.upgrade().filter(|_| !ready[2])?;
        if count == 0 {
            networks.undo(noticed);
            return Some(());
        }
        if ready[0] {
            let gone = |kind, _, payload: &[u8]| noticed.links |= link::gone(kind, payload, |it| networks.is_ours(it));
            links.news(gone).ok()?;
        }
        if ready[1] {
            let touched = |kind, sender, payload: &[u8]| {
                noticed.rules |= networks.firewall.is_touched(kind, sender, payload);
                if let Some(passage) = &networks.passage {
                    passage.look_after(kind, payload);
                }
            };
            rules.news(touched).ok()?;
        }
    }
}
