//! The C library's heap (mallopt(3)).

/// Lets all threads share so many arenas. With the default of eight per processor every thread that ever worked keeps
/// pages of its own, which is most of what an idle engine would hold.
pub fn limit_arenas(count: u16) {
    // SAFETY: mallopt only changes parameters of the allocator; no safe function exists. It is called with a parameter that
    // glibc documents, and a refusal (0) leaves the defaults.
    let _ = unsafe { libc::mallopt(libc::M_ARENA_MAX, i32::from(count)) };
}
