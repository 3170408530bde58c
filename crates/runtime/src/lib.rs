//! The OCI runtime: namespaces, root file system, capabilities, seccomp, exec. Synchronous
