//! `HOME`, from the container's own /etc/passwd.

use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat};
use rustix::io::{Errno, read};

use crate::plan::Plan;

/// The longest line that is understood; others are skipped.
const LONGEST_LINE: usize = 4096;

/// Completes the variable that the plan left open; `/` for a user whom the container does not know.
pub(super) fn find(plan: &mut Plan<'_>) {
    let uid = plan.process.uid.as_raw();
    let Some(home) = &mut plan.process.home else { return };
    let mut line = [0; LONGEST_LINE];
    let directory = home_of(uid, &mut line).unwrap_or(b"/");
    // Within the capacity that the plan reserved: nothing is allocated.
    if home.variable.len() + directory.len() < home.variable.capacity() {
        home.variable.extend_from_slice(directory);
    }
    home.variable.push(0);
}

fn home_of(uid: u32, line: &mut [u8; LONGEST_LINE]) -> Option<&[u8]> {
    // Not blocking: the image may have put a pipe there.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = openat(CWD, c"/etc/passwd", flags, Mode::empty()).ok()?;
    if FileType::from_raw_mode(fstat(&file).ok()?.st_mode) != FileType::RegularFile {
        return None;
    }
    let mut chunk = [0; 4096];
    let mut length = 0;
    loop {
        let count = match read(&file, &mut chunk) {
            Ok(0) => break,
            Ok(count) => count,
            Err(Errno::INTR) => continue,
            Err(_) => return None,
        };
        for byte in chunk.get(..count)? {
            if *byte == b'\n' {
                if let Some(bounds) = home_in(line.get(..length).unwrap_or_default(), uid) {
                    return line.get(bounds.0..bounds.1);
                }
                length = 0;
            } else {
                if let Some(place) = line.get_mut(length) {
                    *place = *byte;
                }
                length += 1;
            }
        }
    }
    let bounds = home_in(line.get(..length)?, uid)?;
    line.get(bounds.0..bounds.1)
}

/// Where in a line of passwd(5) the home directory is, if the line is that user's.
fn home_in(line: &[u8], uid: u32) -> Option<(usize, usize)> {
    let mut start = 0;
    let mut mine = false;
    for (number, field) in line.split(|byte| *byte == b':').enumerate() {
        let end = start + field.len();
        match number {
            2 => mine = parse(field)? == uid,
            5 => return (mine && !field.is_empty()).then_some((start, end)),
            _ => {}
        }
        start = end + 1;
    }
    None
}

fn parse(digits: &[u8]) -> Option<u32> {
    str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn home(line: &str, uid: u32) -> Option<&str> {
        home_in(line.as_bytes(), uid).map(|(start, end)| &line[start..end])
    }

    #[test]
    fn the_sixth_field_of_the_users_line() {
        assert_eq!(home("root:x:0:0:root:/root:/bin/sh", 0), Some("/root"));
        assert_eq!(home("root:x:0:0:root:/root:/bin/sh", 1), None);
        assert_eq!(home("a:x:5:5::/h", 5), Some("/h"));
        for broken in ["", ":", "a:x:5", "a:x:five:0::/h:", "a:x:5:5:::", "a:x:99999999999:5::/h:"] {
            assert_eq!(home(broken, 5), None, "{broken}");
        }
    }

    proptest! {
        #[test]
        fn any_line_is_survived(line in prop::collection::vec(any::<u8>(), 0..200), uid: u32) {
            if let Some((start, end)) = home_in(&line, uid) {
                prop_assert!(start < end && end <= line.len());
            }
        }
    }
}
