//! The C library's heap (mallopt(3)).

/// Lets all threads share so many arenas. With the default of eight per processor every thread that ever worked keeps
/// pages of its own, which is most of what an idle engine would hold.
pub fn limit_arenas(count: u16) {
    // SAFETY: mallopt only changes parameters of the allocator; no safe function exists. It is called with a parameter that
    // glibc documents, and a refusal (0) leaves the defaults.
    let _ = unsafe { libc::mallopt(libc::M_ARENA_MAX, i32::from(count)) };
}

/// Gives pages that are free in the middle of the heap back to the kernel; by itself the allocator keeps them. Takes some
/// milliseconds for a large heap.
pub fn give_back() {
    // SAFETY: malloc_trim takes no pointer and may be called at any time from any thread (malloc_trim(3), MT-Safe).
    let _ = unsafe { libc::malloc_trim(0) };
}

/// Bytes of this process that are in memory and in no file (proc_pid_statm(5)); 0 where that cannot be read.
#[must_use]
pub fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let mut pages = statm.split_ascii_whitespace().skip(1).map(|number| number.parse::<u64>().unwrap_or(0));
    let (all, shared) = (pages.next().unwrap_or(0), pages.next().unwrap_or(0));
    all.saturating_sub(shared) * rustix::param::page_size() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_freed_in_the_middle_goes_back() {
        let mut blocks: Vec<Vec<u8>> = (0..8000).map(|_| vec![1; 16 << 10]).collect();
        let last = blocks.pop();
        let full = resident();
        drop(blocks);
        give_back();
        assert!(resident() < full - (64 << 20), "{} of {full}", resident());
        drop(last);
    }
}
