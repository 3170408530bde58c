//! Everything again as root of a user namespace with one ID: what a rootless engine is.

use std::process::Command;

const INSIDE: &str = "DHOW_TEST_IN_USER_NAMESPACE";

#[test]
fn all_of_it_in_a_user_namespace() {
    if std::env::var_os(INSIDE).is_some() {
        return;
    }
    if !Command::new("unshare").args(["-Ur", "true"]).status().is_ok_and(|status| status.success()) {
        eprintln!("NOT RUN: no user namespaces here");
        return;
    }
    let output =
        Command::new("unshare").arg("-Ur").arg(std::env::current_exe().unwrap()).env(INSIDE, "1").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
