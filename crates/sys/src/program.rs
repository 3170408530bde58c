//! The pages of the running program.

use std::ptr;

use rustix::mm::{Advice, madvise};
use rustix::param::page_size;

unsafe extern "C" {
    /// Where the program begins in memory; the linker's word (ELF, as GNU ld and lld have it).
    static __executable_start: u8;
    /// Where its code and constants end and its data begins.
    static etext: u8;
}

/// Takes code and constants out of this process's memory. What is needed again comes from the page cache when it is used, a
/// minor fault for each stretch; what only the start needed does not come again. A program on disk that cannot be read any
/// more would be needed then, as for any page that the kernel has taken itself.
pub fn release_text() {
    let (start, end) = (&raw const __executable_start, &raw const etext);
    let (start, end) = (start.addr().next_multiple_of(page_size()), end.addr() / page_size() * page_size());
    let Some(length) = end.checked_sub(start) else { return };
    // SAFETY: between the two there is nothing that is ever written to: the program's data and what is relocated come
    // behind them. So each page is the file's, and comes back as it was.
    let _ = unsafe { madvise(ptr::with_exposed_provenance_mut(start), length, Advice::LinuxDontNeed) };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resident_file_pages() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssFile:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    #[test]
    fn pages_go_and_come_back() {
        let text = "a constant that is read before and after";
        let before = (resident_file_pages(), text.to_owned());
        release_text();
        let after = resident_file_pages();
        assert!(after < before.0, "{after} of {} kB", before.0);
        assert_eq!(text, before.1);
    }
}
