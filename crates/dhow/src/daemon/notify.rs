//! Telling systemd how the engine is doing (sd_notify(3)): a datagram to the socket it named.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use rustix::time::{ClockId, clock_gettime};

/// The one who wants to know; nobody, when systemd did not start us.
#[derive(Debug, Default)]
pub(crate) struct Notifier(Option<SocketAddr>);

impl Notifier {
    /// The socket of `NOTIFY_SOCKET`: a path, or a name that begins with `@`.
    pub(crate) fn of(name: Option<&str>) -> Self {
        Self(name.and_then(|name| match name.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name).ok(),
            None => SocketAddr::from_pathname(name).ok(),
        }))
    }

    /// The doors are open.
    pub(crate) fn ready(&self) {
        self.say("READY=1");
    }

    /// The end has begun.
    pub(crate) fn stopping(&self) {
        self.say("STOPPING=1");
    }

    /// The configuration is being read; [`Notifier::ready`] is to follow.
    pub(crate) fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        // Microseconds, which `Type=notify-reload` compares with the moment of its signal.
        self.say(&format!("RELOADING=1\nMONOTONIC_USEC={}", now.tv_sec * 1_000_000 + now.tv_nsec / 1000));
    }

    fn say(&self, text: &str) {
        let Some(address) = &self.0 else { return };
        let sent = UnixDatagram::unbound().and_then(|socket| socket.send_to_addr(text.as_bytes(), address));
        if let Err(error) = sent {
            tracing::warn!("tell systemd {text:?}: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_is_one_datagram() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).expect("bound");
        let notifier = Notifier::of(path.to_str());
        let read = |of: &dyn Fn(&Notifier)| {
            of(&notifier);
            let mut text = [0; 100];
            let length = socket.recv(&mut text).expect("a datagram");
            String::from_utf8_lossy(&text[..length]).into_owned()
        };
        assert_eq!(read(&Notifier::ready), "READY=1");
        assert_eq!(read(&Notifier::stopping), "STOPPING=1");
        assert!(read(&Notifier::reloading).starts_with("RELOADING=1\nMONOTONIC_USEC="));
        Notifier::of(None).ready();
    }
}
