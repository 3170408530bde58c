//! Compiles the program of the embedded image `hello-world` for the target, statically linked, so that the engine can
//! run a first container without any network.

use std::env;
use std::path::PathBuf;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=hello");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("hello");
    let status = Command::new(env::var_os("RUSTC").expect("cargo sets RUSTC"))
        .args(["hello/hello.rs", "--edition", "2024", "--crate-name", "hello", "--crate-type", "bin"])
        .args(["--target", &env::var("TARGET").expect("cargo sets TARGET")])
        .args(["-C", "target-feature=+crt-static", "-C", "relocation-model=static"])
        .args(["-C", "opt-level=s", "-C", "panic=abort", "-C", "strip=symbols", "-C", "lto=fat"])
        .arg("-o")
        .arg(&out)
        .env_remove("RUSTC_WRAPPER")
        .status()
        .expect("rustc starts");
    assert!(status.success(), "rustc failed to compile hello/hello.rs: {status}");
}
