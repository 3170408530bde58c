//! System call filters: rules to a classic BPF program, without libseccomp.
mod program;
pub use program::Program;

/// Compiles a filter for the native architecture and those it names.
///
/// # Errors
/// `InvalidArgument` for names that mean nothing, `NotImplemented` for `SCMP_ACT_NOTIFY`.
pub fn compile(_rules: &dhow_oci::runtime::LinuxSeccomp) -> dhow_errdefs::Result<Program> {
    Err(dhow_errdefs::Error::not_implemented("seccomp"))
}
