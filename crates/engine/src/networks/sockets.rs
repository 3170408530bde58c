//! Sockets of processes that wait for somebody to come (proc(5), `/proc/PID/net/tcp` and its like).

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use dhow_network::model::Protocol;

/// States in which a socket waits (`TCP_LISTEN`; a datagram socket that is connected with nobody is in `TCP_CLOSE`).
const WAITING: [(&str, Protocol, &str); 4] = [
    ("tcp", Protocol::Tcp, "0A"),
    ("tcp6", Protocol::Tcp, "0A"),
    ("udp", Protocol::Udp, "07"),
    ("udp6", Protocol::Udp, "07"),
];

/// Those of these processes, which are all in the namespace of the first.
pub(super) fn of(pids: &[i32]) -> Vec<(Protocol, SocketAddr)> {
    let Some(first) = pids.first() else { return Vec::new() };
    let own: BTreeSet<u64> = pids.iter().flat_map(|pid| inodes(*pid)).collect();
    let mut found = BTreeSet::new();
    for (file, protocol, state) in WAITING {
        let table = fs::read_to_string(format!("/proc/{first}/net/{file}")).unwrap_or_default();
        let rows = table.lines().skip(1).filter_map(|row| waiting(row, state));
        found.extend(rows.filter(|(_, inode)| own.contains(inode)).map(|(address, _)| (protocol, address)));
    }
    found.into_iter().collect()
}

/// Numbers of the sockets that a process has open.
fn inodes(pid: i32) -> Vec<u64> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { return Vec::new() };
    let links = entries.flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
    links.filter_map(|link| link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()).collect()
}

/// Address and number of a socket in a row of the table, if it is in that state.
fn waiting(row: &str, state: &str) -> Option<(SocketAddr, u64)> {
    let fields: Vec<&str> = row.split_ascii_whitespace().collect();
    let (address, inode) = (fields.get(1)?, fields.get(9)?);
    (*fields.get(3)? == state).then_some(())?;
    let (ip, port) = address.split_once(':')?;
    Some((SocketAddr::new(ip_of(ip)?, u16::from_str_radix(port, 16).ok()?), inode.parse().ok()?))
}

/// Words of four bytes, each in the host's order.
fn ip_of(text: &str) -> Option<IpAddr> {
    let word = |at: usize| Some(u32::from_str_radix(text.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    match text.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let words = [word(0)?, word(8)?, word(16)?, word(24)?];
            let bytes: [u8; 16] = words.concat().try_into().ok()?;
            Some(Ipv6Addr::from(bytes).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};

    use super::*;

    #[test]
    fn sockets_that_wait_are_found_by_their_process() {
        let four = TcpListener::bind("127.0.0.1:0").unwrap();
        let datagrams = UdpSocket::bind("127.0.0.1:0").unwrap();
        let found = of(&[i32::try_from(std::process::id()).unwrap()]);
        assert!(found.contains(&(Protocol::Tcp, four.local_addr().unwrap())), "{found:?}");
        assert!(found.contains(&(Protocol::Udp, datagrams.local_addr().unwrap())), "{found:?}");
        let address = four.local_addr().unwrap();
        drop(four);
        assert!(!of(&[i32::try_from(std::process::id()).unwrap()]).contains(&(Protocol::Tcp, address)));
    }

    #[test]
    fn addresses_of_both_families() {
        assert_eq!(ip_of("0100007F"), Some(Ipv4Addr::LOCALHOST.into()));
        assert_eq!(ip_of("00000000000000000000000001000000"), Some(Ipv6Addr::LOCALHOST.into()));
        assert_eq!(ip_of("1"), None);
    }
}
