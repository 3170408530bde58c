//! The whole command line, as a process of its own, against an engine that plays a part.
//!
//! This file is both sides: run by the test runner it is the tests; run by a test with `AS_CLIENT` set it is the client.

mod cases;
mod fake;

use std::ffi::OsString;
use std::io::Write;
use std::process::{Child, Command, ExitCode, Stdio};

use fake::Fake;

/// Tells a process of this file that it is the client, and where the engine's socket would be by default.
const AS_CLIENT: &str = "DHOW_TEST_DEFAULT_SOCKET";
/// Where an engine appears from when it is started on demand.
const HIDDEN: &str = "DHOW_TEST_HIDDEN_SOCKET";

fn main() -> ExitCode {
    if let Ok(socket) = std::env::var(AS_CLIENT) {
        return client(socket);
    }
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    if std::env::args().any(|word| word == "--list") {
        return ExitCode::SUCCESS;
    }
    let (mut passed, mut failed) = (0, 0);
    for (name, case) in cases::ALL {
        if wanted.iter().all(|word| name.contains(word.as_str())) {
            let outcome = std::panic::catch_unwind(case);
            println!("test {name} ... {}", if outcome.is_ok() { "ok" } else { "FAILED" });
            *if outcome.is_ok() { &mut passed } else { &mut failed } += 1;
        }
    }
    println!("test result: {}. {passed} passed; {failed} failed", if failed == 0 { "ok" } else { "FAILED" });
    ExitCode::from(u8::from(failed > 0))
}

fn client(socket: String) -> ExitCode {
    let hidden = std::env::var_os(HIDDEN);
    let to = socket.clone();
    let hooks = dhow_cli::Hooks {
        default_host: format!("unix://{socket}"),
        version: "0.0.0",
        start_engine: Box::new(move || {
            if let Some(hidden) = &hidden {
                std::fs::rename(hidden, &to).expect("the hidden engine appears");
            }
            Ok(())
        }),
    };
    let args = std::iter::once(OsString::from("dhow")).chain(std::env::args_os().skip(1));
    dhow_cli::main(args.collect(), hooks)
}

/// How a client ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A client of this engine, in a world of its own.
pub(crate) fn command(fake: &Fake, args: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this file runs"));
    command
        .args(args)
        .env_clear()
        .env(AS_CLIENT, fake.socket())
        .env("HOME", fake.dir())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

pub(crate) fn finish(child: Child) -> Ended {
    let output = child.wait_with_output().expect("the client ends");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ended { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

pub(crate) fn run(fake: &Fake, args: &[&str]) -> Ended {
    finish(command(fake, args).spawn().expect("the client starts"))
}

pub(crate) fn run_with_input(fake: &Fake, args: &[&str], input: &[u8]) -> Ended {
    let mut child = command(fake, args).stdin(Stdio::piped()).spawn().expect("the client starts");
    let mut stdin = child.stdin.take().expect("it was piped");
    stdin.write_all(input).expect("the client reads");
    drop(stdin);
    finish(child)
}
