//! A program that keeps secrets, by the protocol of Docker's credential helpers.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Keeps one secret in `~/kept` and writes down in `~/asked` what it is asked.
const HELPER: &str = r#"#!/bin/sh
echo "$1" >>"$HOME/asked"
case $1 in
store) cat >"$HOME/kept" ;;
get) if [ -e "$HOME/kept" ]; then cat "$HOME/kept"; else echo "credentials not found in native keychain"; exit 1; fi ;;
erase) rm -f "$HOME/kept" ;;
esac
"#;

/// Puts the helper `test` into `bin` of a home.
///
/// # Panics
/// When the folder cannot be written.
pub fn install_credential_helper(home: &Path) {
    let program = home.join("bin/docker-credential-test");
    fs::create_dir_all(home.join("bin")).expect("made");
    fs::write(&program, HELPER).expect("written");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("executable");
}
