//! Chance, from the kernel. Not for the child between `clone3` and `execve`: it allocates.

use rustix::rand::{GetRandomFlags, getrandom};

/// 64 hexadecimal digits: the id of a container, an exec or an endpoint, the name of an anonymous volume.
///
/// The short form is never all digits, because people and tools would take it for a number.
#[must_use]
pub fn id() -> String {
    loop {
        let id: String = bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        if !id[..12].bytes().all(|byte| byte.is_ascii_digit()) {
            return id;
        }
    }
}

/// Before the kernel's generator is ready, moments after boot, it gives what it has where it can (Linux 5.6): ids have to
/// differ, not to be secret.
fn bytes() -> [u8; 32] {
    let mut bytes = [0; 32];
    let ways = [GetRandomFlags::NONBLOCK, GetRandomFlags::INSECURE, GetRandomFlags::empty()];
    let filled = ways.into_iter().any(|way| getrandom(&mut bytes, way) == Ok(bytes.len()));
    debug_assert!(filled, "the last one waits until it can");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_long_and_differ() {
        let (one, other) = (id(), id());
        assert_eq!(one.len(), 64);
        assert_ne!(one, other);
    }
}
