//! Sockets that systemd opened for us (sd_listen_fds(3)).

use std::os::fd::{AsFd, OwnedFd, RawFd};

use dhow_errdefs::{Error, Result, ResultExt};
use rustix::net::{AddressFamily, sockopt};

/// The first number that systemd uses.
const FIRST: RawFd = 3;

/// One socket that was left for us.
#[derive(Debug)]
pub(crate) struct Inherited {
    number: RawFd,
    name: String,
    socket: OwnedFd,
}

/// What the environment says about sockets; read once, before any thread.
#[derive(Debug, Default, Clone)]
pub(crate) struct Surroundings {
    pub(crate) pid: Option<String>,
    pub(crate) count: Option<String>,
    pub(crate) names: Option<String>,
}

/// Takes all of them. None, if they were left for another process.
pub(crate) fn take(around: &Surroundings, pid: u32) -> Result<Vec<Inherited>> {
    let number = |text: &Option<String>| text.as_ref().and_then(|text| text.parse::<RawFd>().ok());
    if number(&around.pid) != i32::try_from(pid).ok() {
        return Ok(Vec::new());
    }
    let count = number(&around.count).unwrap_or_default().max(0);
    let names: Vec<&str> = around.names.as_deref().unwrap_or_default().split(':').collect();
    let take = |(index, number): (usize, RawFd)| {
        let socket = dhow_sys::inherited::socket(number).context(|| format!("take inherited socket {number}"))?;
        let name = names.get(index).map(|name| (*name).to_owned()).unwrap_or_default();
        Ok(Inherited { number, name, socket })
    };
    (FIRST..FIRST + count).enumerate().map(take).collect()
}

/// The sockets that an `fd://` address means; they are taken out of `all`.
pub(crate) fn choose(all: &mut Vec<Inherited>, which: Option<&str>) -> Result<Vec<OwnedFd>> {
    let is = |one: &Inherited| which.is_none_or(|which| which == one.name || which == one.number.to_string());
    let (chosen, rest) = std::mem::take(all).into_iter().partition::<Vec<_>, _>(is);
    *all = rest;
    if chosen.is_empty() {
        let address = format!("fd://{}", which.unwrap_or_default());
        return Err(Error::invalid(format!("no sockets found for {address}: systemd passed none that match"))
            .with_hint("enable dhow.socket, or listen at unix:///path/of/a/socket"));
    }
    Ok(chosen.into_iter().map(|one| one.socket).collect())
}

/// Whether a socket is of the local kind.
pub(crate) fn is_unix(socket: impl AsFd) -> Result<bool> {
    let family =
        sockopt::socket_domain(socket).map_err(std::io::Error::from).context(|| "look at an inherited socket")?;
    Ok(family == AddressFamily::UNIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inherited(number: RawFd, name: &str) -> Inherited {
        let socket = std::os::unix::net::UnixDatagram::unbound().expect("a socket").into();
        Inherited { number, name: name.to_owned(), socket }
    }

    #[test]
    fn sockets_for_another_process_are_left_alone() {
        let around = Surroundings { pid: Some("1".to_owned()), count: Some("2".to_owned()), names: None };
        assert!(take(&around, 2).expect("none").is_empty());
        assert!(take(&Surroundings::default(), 2).expect("none").is_empty());
    }

    #[test]
    fn they_are_chosen_by_number_or_name() {
        let mut all = vec![inherited(3, "dhow.socket"), inherited(4, "tls"), inherited(5, "tls")];
        assert_eq!(choose(&mut all, Some("tls")).expect("two").len(), 2);
        assert_eq!(choose(&mut all, Some("3")).expect("one").len(), 1);
        assert!(choose(&mut all, None).expect_err("none left").to_string().contains("fd://"));
    }
}
