//! Names nobody has to think about.

use rustix::rand::{GetRandomFlags, getrandom};

/// 64 hexadecimal digits: the id of a container or an exec, the name of an anonymous volume.
///
/// The short form is never all digits, because people and tools would take it for a number.
pub(crate) fn random_id() -> String {
    loop {
        let mut bytes = [0_u8; 32];
        // Before the kernel's generator is ready, moments after boot, another one does: ids have to differ, not to be secret.
        if getrandom(&mut bytes, GetRandomFlags::NONBLOCK) != Ok(bytes.len()) {
            fastrand::fill(&mut bytes);
        }
        let id: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        if !id[..12].bytes().all(|byte| byte.is_ascii_digit()) {
            return id;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_long_and_differ() {
        let (one, other) = (random_id(), random_id());
        assert_eq!(one.len(), 64);
        assert_ne!(one, other);
    }
}
